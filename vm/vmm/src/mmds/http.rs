//! One request of a guest and its answer, in HTTP/1.1 and in Firecracker's words.

use std::fmt::Write as _;
use std::time::Instant;

use super::store::{Format, Mmds, MmdsError};
use crate::config::MmdsVersion;

/// The longest head of a request. Bodies are not read: no request of the service has one.
pub(super) const MAX_REQUEST_BYTES: usize = 4096;
const MAX_HEADERS: usize = 32;

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_HEADERS: [&str; 2] = ["X-metadata-token", "X-aws-ec2-metadata-token"];
const TTL_HEADERS: [&str; 2] = ["X-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token-ttl-seconds"];
const FORWARDED_HEADER: &str = "X-Forwarded-For";

/// What stands at the front of a connection's bytes.
pub(super) enum Front {
    /// Not a whole request yet.
    Partial,
    /// A request of so many bytes, and its answer.
    Request { bytes: usize, answer: Vec<u8> },
    /// No request at all: this answer, and the connection ends.
    Malformed { answer: Vec<u8> },
}

/// Answers the first request in `bytes`.
pub(super) fn answer(mmds: &mut Mmds, bytes: &[u8], now: Instant) -> Front {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => {
            let answer = Request::new(&request).answer(mmds, now).write();
            Front::Request { bytes: head, answer }
        }
        Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST_BYTES => Front::Partial,
        _ => Front::Malformed { answer: Answer::text(400, "Invalid request.").write() },
    }
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    fn new(request: &'a httparse::Request<'a, 'a>) -> Self {
        Self {
            method: request.method.unwrap_or_default(),
            target: request.path.unwrap_or_default(),
            headers: request.headers,
        }
    }

    /// The first header of these names, by the name that the guest wrote.
    fn header(&self, names: &[&str]) -> Option<(&'a str, &'a str)> {
        let found = self.headers.iter().find(|header| names.iter().any(|name| header.name.eq_ignore_ascii_case(name)));
        found.map(|header| (header.name, std::str::from_utf8(header.value).unwrap_or_default().trim()))
    }

    fn answer(&self, mmds: &mut Mmds, now: Instant) -> Answer {
        let path = absolute_path(self.target);
        match (self.method, path) {
            (_, "") => Answer::text(400, "Invalid URI."),
            ("GET", path) => self.get(mmds, path, now),
            ("PUT", path) => self.put_token(mmds, path, now),
            _ => Answer { allow: true, ..Answer::text(405, "Not allowed HTTP method.") },
        }
    }

    fn get(&self, mmds: &Mmds, path: &str, now: Instant) -> Answer {
        if mmds.version() == MmdsVersion::V2 {
            match self.header(&TOKEN_HEADERS) {
                Some((_, token)) if mmds.has_token(token, now) => {}
                Some(_) => return Answer::text(401, "MMDS token not valid."),
                None => return Answer::text(401, NO_TOKEN),
            }
        }
        let json = self.header(&["Accept"]).is_some_and(|(_, accept)| accept == "application/json");
        let format = if json { Format::Json } else { Format::Lines };
        match mmds.read(&single_slashes(path), format) {
            Ok(body) => Answer { json, ..Answer::text(200, body) },
            Err(MmdsError::NotFound) => not_found(path),
            Err(error) => Answer::text(501, error.to_string()),
        }
    }

    fn put_token(&self, mmds: &mut Mmds, path: &str, now: Instant) -> Answer {
        if let Some((name, _)) = self.header(&[FORWARDED_HEADER]) {
            return Answer::text(400, format!("Invalid header. Reason: Unsupported header name. Key: {name}"));
        }
        if single_slashes(path) != TOKEN_PATH {
            return not_found(path);
        }
        let Some((name, value)) = self.header(&TTL_HEADERS) else { return Answer::text(400, NO_TTL) };
        let Ok(ttl_s) = value.parse() else {
            return Answer::text(400, format!("Invalid header. Reason: Invalid value. Key:{name}; Value:{value}"));
        };
        match mmds.issue_token(ttl_s, now) {
            Ok(token) => Answer { extra: Some((name.to_owned(), ttl_s)), ..Answer::text(200, token) },
            Err(error) => Answer::text(400, error.to_string()),
        }
    }
}

const NO_TOKEN: &str = "No MMDS token provided. Use `X-metadata-token` or `X-aws-ec2-metadata-token` header to specify \
                        the session token.";
const NO_TTL: &str = "Token time to live value not found. Use `X-metadata-token-ttl-seconds` or \
                      `X-aws-ec2-metadata-token-ttl-seconds` header to specify the token's lifetime.";

fn not_found(path: &str) -> Answer {
    Answer::text(404, format!("Resource not found: {path}."))
}

/// The path of a request's target, which may be a whole URI (RFC 9112, 3.2.2).
fn absolute_path(target: &str) -> &str {
    match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None if target.starts_with('/') => target,
        None => "",
    }
}

fn single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !single.ends_with('/') {
            single.push(char);
        }
    }
    single
}

struct Answer {
    status: u16,
    json: bool,
    allow: bool,
    extra: Option<(String, u32)>,
    body: String,
}

impl Answer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, json: false, allow: false, extra: None, body: body.into() }
    }

    fn write(self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} \r\nServer: Stockade MMDS\r\nConnection: keep-alive\r\n", self.status);
        if self.allow {
            head.push_str("Allow: GET, PUT\r\n");
        }
        if let Some((name, value)) = &self.extra {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let kind = if self.json { "application/json" } else { "text/plain" };
        let _ = write!(head, "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        head.into_bytes()
    }
}
