//! The HTTP server: one thread, a handful of connections, one request carried out at a time.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use stockade_vmm::config::VmState;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use crate::request::{self, Method, RequestFault};
use crate::session::{Answer, Fault};
use crate::{Controller, Session};

/// The longest body, unless the command line says otherwise.
pub const DEFAULT_PAYLOAD_BYTES: usize = 51_200;
const MAX_CONNECTIONS: usize = 10;
/// The longest head of a request: hyper's least.
const HEAD_BYTES: usize = 8192;
const METRICS_PERIOD: Duration = Duration::from_secs(60);
/// How long nobody asks for anything before what requests and a guest's boot needed is given back.
const REST_AFTER: Duration = Duration::from_secs(1);

/// Where snapshots are loaded.
const LOAD: &str = "/snapshot/load";

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: Stockade\r\nConnection: close\r\n\
    Content-Length: 40\r\n\r\n{ \"error\": \"Too many open connections\" }";

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Server {
    listener: Option<StdListener>,
    payload_bytes: usize,
}

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Something lies at its path.
    #[error("Failed to open the API socket at: {}. Check that it is not already used.", .0.display())]
    InUse(PathBuf),
    /// Another reason.
    #[error("Failed to bind and run the HTTP server: {0}")]
    Other(#[from] io::Error),
}

impl Server {
    /// Binds a socket. Nothing that lies at its path is removed.
    ///
    /// # Errors
    /// See the variants of [`BindError`].
    pub fn bind(path: &Path, payload_bytes: usize) -> Result<Self, BindError> {
        let listener = StdListener::bind(path).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(path.to_owned()),
            _ => BindError::Other(error),
        })?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Some(listener), payload_bytes })
    }

    /// One that nobody can reach: it only writes metrics.
    #[must_use]
    pub fn without_socket() -> Self {
        Self { listener: None, payload_bytes: 0 }
    }

    /// Serves a session until `stop` is ready, and gives what that gave. Metrics are written every minute meanwhile;
    /// `rest` is called when a machine was started, before or by a request, and when nobody asks for anything for a
    /// while.
    ///
    /// # Errors
    /// The runtime cannot be made.
    pub fn run<C: Controller + 'static, T>(
        self,
        session: Session<C>,
        stop: impl Future<Output = T>,
        rest: impl Fn() + Clone + Send + Sync + 'static,
    ) -> io::Result<(Session<C>, T)> {
        let rests = Arc::new(AtomicBool::new(session.state() != VmState::NotStarted));
        let runtime = runtime(Arc::clone(&rests), rest.clone())?;
        let shared = Rc::new(Shared { session: RefCell::new(session), asked: Notify::new(), rests });
        let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = self.listener.map(UnixListener::from_std).transpose()?;
            tokio::select! {
                outcome = stop => Ok::<T, io::Error>(outcome),
                never = accept(listener, &shared, self.payload_bytes) => match never {},
                never = write_metrics(&shared.session) => match never {},
                never = rest_when_quiet(&shared.asked, rest) => match never {},
            }
        })?;
        // Connections died with their tasks; the last one out leaves the session here.
        drop(runtime);
        let shared = Rc::try_unwrap(shared).map_err(|_| io::Error::other("a connection outlived its runtime"))?;
        Ok((shared.session.into_inner(), outcome))
    }
}

/// On this thread alone, which calls `rest` before a wait if it is to.
fn runtime(rests: Arc<AtomicBool>, rest: impl Fn() + Send + Sync + 'static) -> io::Result<Runtime> {
    let before_wait = move || {
        if rests.swap(false, Ordering::Relaxed) {
            rest();
        }
    };
    Builder::new_current_thread().enable_io().enable_time().on_thread_park(before_wait).build()
}

/// What all connections share.
struct Shared<C: Controller> {
    session: RefCell<Session<C>>,
    /// After each request.
    asked: Notify,
    /// Whether what was needed so far is given back before the next wait.
    rests: Arc<AtomicBool>,
}

async fn rest_when_quiet(asked: &Notify, rest: impl Fn()) -> Infallible {
    loop {
        while tokio::time::timeout(REST_AFTER, asked.notified()).await.is_ok() {}
        rest();
        asked.notified().await;
    }
}

async fn write_metrics<C: Controller>(session: &RefCell<Session<C>>) -> Infallible {
    loop {
        tokio::time::sleep(METRICS_PERIOD).await;
        if let Err(error) = session.borrow_mut().flush_metrics() {
            warn!("cannot write metrics: {error}");
        }
    }
}

async fn accept<C: Controller + 'static>(
    listener: Option<UnixListener>,
    shared: &Rc<Shared<C>>,
    payload_bytes: usize,
) -> Infallible {
    let Some(listener) = listener else { return std::future::pending().await };
    info!("API server started.");
    let open = Rc::new(());
    loop {
        match listener.accept().await {
            // The listener itself holds one.
            Ok((stream, _)) if Rc::strong_count(&open) > MAX_CONNECTIONS => {
                tokio::task::spawn_local(turn_away(stream));
            }
            Ok((stream, _)) => {
                let (shared, ticket) = (Rc::clone(shared), Rc::clone(&open));
                tokio::task::spawn_local(async move {
                    connection(stream, shared, payload_bytes).await;
                    drop(ticket);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: some may be free a little later.
                error!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn turn_away(mut stream: UnixStream) {
    if let Err(error) = stream.write_all(TOO_MANY).await {
        debug!("a connection too many went by itself: {error}");
    }
}

async fn connection<C: Controller + 'static>(stream: UnixStream, shared: Rc<Shared<C>>, payload_bytes: usize) {
    let service = service_fn(|request| {
        let shared = Rc::clone(&shared);
        async move {
            let before = shared.session.borrow().state();
            // A guest that goes on at once would have to wait for it where there is one processor.
            let restores = request.uri().path() == LOAD;
            let response = respond(request, &shared.session, payload_bytes).await;
            if !restores && before == VmState::NotStarted && shared.session.borrow().state() != before {
                shared.rests.store(true, Ordering::Relaxed);
            }
            shared.asked.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES).auto_date_header(false);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        debug!("a connection ended: {error}");
    }
}

async fn respond<C: Controller>(
    request: Request<Incoming>,
    session: &RefCell<Session<C>>,
    payload_bytes: usize,
) -> Response<Full<Bytes>> {
    let Some(method) = Method::new(request.method().as_str()) else {
        return refusal("Invalid HTTP Method: Unsupported HTTP method.");
    };
    let path = request.uri().path().to_owned();
    match read(request.into_body(), payload_bytes).await {
        Ok(body) => handle(session, method, &path, &body),
        Err(words) => refusal(&words),
    }
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, String> {
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > limit {
        return Err(too_large(told, limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        // It came in chunks: how many more there are, nobody knows.
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit.saturating_add(1), limit)),
        Err(error) => Err(error.to_string()),
    }
}

fn too_large(size: usize, limit: usize) -> String {
    format!("Request payload with size {size} is larger than the limit of {limit} allowed by server.")
}

/// Carries out one request.
fn handle<C: Controller>(
    session: &RefCell<Session<C>>,
    method: Method,
    path: &str,
    body: &[u8],
) -> Response<Full<Bytes>> {
    let mut session = session.borrow_mut();
    describe(method, path, body);
    let counted = request::counted_as(path);
    if let Some(endpoint) = counted {
        session.metrics().request(method, endpoint);
    }
    let parsed = match request::parse(method, path, body) {
        Ok(parsed) => parsed,
        Err(fault) => {
            if let Some(endpoint) = counted {
                session.metrics().failure(method, endpoint);
            }
            return request_fault(&fault);
        }
    };
    if let Some(words) = parsed.deprecation {
        warn!("{words}");
        session.metrics().deprecated();
    }
    let mut response = match session.execute(parsed.action) {
        Ok(answer) => success(answer),
        Err(fault) => session_fault(&fault),
    };
    if parsed.deprecation.is_some() {
        response.headers_mut().insert("Deprecation", HeaderValue::from_static("true"));
    }
    response
}

/// What is in metadata is nobody's business.
fn describe(method: Method, path: &str, body: &[u8]) {
    match (path, body.is_empty()) {
        ("/mmds", _) | (_, true) => info!("The API server received a {method:?} request on {path:?}."),
        _ => {
            let body = String::from_utf8_lossy(body);
            info!("The API server received a {method:?} request on {path:?} with body {body:?}.");
        }
    }
}

fn success(answer: Answer) -> Response<Full<Bytes>> {
    match answer {
        Answer::Done => {
            info!("The request was executed successfully. Status code: 204 No Content.");
            respond_with(StatusCode::NO_CONTENT, String::new())
        }
        Answer::Json(value) => {
            info!("The request was executed successfully. Status code: 200 OK.");
            respond_with(StatusCode::OK, value.to_string())
        }
    }
}

fn request_fault(fault: &RequestFault) -> Response<Full<Bytes>> {
    error!("{fault}");
    respond_with(StatusCode::BAD_REQUEST, json!({"fault_message": fault.to_string()}).to_string())
}

fn session_fault(fault: &Fault) -> Response<Full<Bytes>> {
    let status = match fault {
        Fault::MmdsLimit(_) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    error!("Received Error. Status code: {status}. Message: {fault}");
    respond_with(status, json!({"fault_message": fault.to_string()}).to_string())
}

/// What Firecracker's HTTP server refuses before its API sees it.
fn refusal(words: &str) -> Response<Full<Bytes>> {
    error!("{words}");
    let words = format!("{words}\nAll previous unanswered requests will be dropped.");
    let mut response = respond_with(StatusCode::BAD_REQUEST, json!({"error": words}).to_string());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn respond_with(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let has_body = !body.is_empty();
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("Stockade"));
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
