//! Requests, parsed and checked: the only place where bytes from the host are looked at.

use oci_spec::runtime::{LinuxResources, Process, Spec};
use prost::Message;
use stockade_sandbox::protocol::{
    Configure, ContainerRequest, CreateContainer, ExecProcess, FdRole, Method, OomRequest, ProcessRequest, Resize,
    SignalRequest, StreamId, Update,
};
use stockade_sandbox::{ContainerId, Error, Result};

/// The longest name of a process.
const PROCESS_BYTES_MAX: usize = 256;
/// The highest signal (signal(7)).
const SIGNAL_MAX: i32 = 64;

/// A request that makes sense by itself.
#[derive(Debug)]
pub enum Request {
    /// Time, entropy, network, shares.
    Configure(Box<Configure>),
    /// A container.
    Create(Box<Create>),
    /// One more process.
    Exec(Box<Exec>),
    /// Lets an init run.
    Start(ContainerId),
    /// A signal.
    Signal(SignalRequest),
    /// A process's end.
    Wait(ProcessRequest),
    /// The size of a terminal.
    Resize(Resize),
    /// Limits.
    Update(ContainerId, Box<LinuxResources>),
    /// Figures.
    Stats(ContainerId),
    /// Stops a container.
    Pause(ContainerId),
    /// Lets it go on.
    Resume(ContainerId),
    /// Lists processes.
    Processes(ContainerId),
    /// Removes a container.
    Delete(ContainerId),
    /// Ends the machine, with this grace in milliseconds.
    Shutdown(u32),
    /// News of memory.
    WaitOom(OomRequest),
}

/// A container to be made.
#[derive(Debug)]
pub struct Create {
    /// Its name.
    pub id: ContainerId,
    /// Its config.json.
    pub spec: Spec,
    /// The rest.
    pub message: CreateContainer,
}

/// A process to be made.
#[derive(Debug)]
pub struct Exec {
    /// Its container.
    pub id: ContainerId,
    /// What config.json has of a process.
    pub process: Process,
    /// The rest.
    pub message: ExecProcess,
}

impl Request {
    /// From the wire.
    pub fn parse(method: Method, payload: &[u8]) -> Result<Self> {
        Ok(match method {
            Method::Configure => Self::Configure(Box::new(configure(payload)?)),
            Method::Create => Self::Create(Box::new(create(payload)?)),
            Method::Exec => Self::Exec(Box::new(exec(payload)?)),
            Method::Start => Self::Start(container(payload)?),
            Method::Signal => Self::Signal(signal(payload)?),
            Method::Wait => Self::Wait(decode(payload)?),
            Method::Resize => Self::Resize(decode(payload)?),
            Method::Update => {
                let Update { id, resources } = decode(payload)?;
                Self::Update(parse_id(&id)?, Box::new(json("resources", &resources)?))
            }
            Method::Stats => Self::Stats(container(payload)?),
            Method::Pause => Self::Pause(container(payload)?),
            Method::Resume => Self::Resume(container(payload)?),
            Method::Processes => Self::Processes(container(payload)?),
            Method::Delete => Self::Delete(container(payload)?),
            Method::Shutdown => Self::Shutdown(decode::<stockade_sandbox::protocol::Shutdown>(payload)?.grace_ms),
            Method::WaitOom => Self::WaitOom(decode(payload)?),
        })
    }

    /// The streams that it needs.
    pub fn streams(&self) -> &[StreamId] {
        match self {
            Self::Create(create) => &create.message.streams,
            Self::Exec(exec) => &exec.message.streams,
            _ => &[],
        }
    }
}

fn configure(payload: &[u8]) -> Result<Configure> {
    let configure: Configure = decode(payload)?;
    configure.check()?;
    Ok(configure)
}

fn create(payload: &[u8]) -> Result<Create> {
    let mut message: CreateContainer = decode(payload)?;
    let spec: Spec = json("config.json", &std::mem::take(&mut message.spec))?;
    check_streams(&message.streams, spec.process().as_ref())?;
    let root = message.root.as_ref().ok_or_else(|| Error::InvalidConfig("the request names no root".to_owned()))?;
    root.check()?;
    message.mounts.iter().filter_map(|mount| mount.source.as_ref()).try_for_each(|source| source.check())?;
    Ok(Create { id: parse_id(&message.id)?, spec, message })
}

fn exec(payload: &[u8]) -> Result<Exec> {
    let mut message: ExecProcess = decode(payload)?;
    let process: Process = json("process", &std::mem::take(&mut message.spec))?;
    check_streams(&message.streams, Some(&process))?;
    if message.process.is_empty() || message.process.len() > PROCESS_BYTES_MAX {
        return Err(Error::InvalidConfig("a process needs a name, and a short one".to_owned()));
    }
    Ok(Exec { id: parse_id(&message.id)?, process, message })
}

/// A terminal is one in the spec and in the streams.
fn check_streams(streams: &[StreamId], process: Option<&Process>) -> Result<()> {
    StreamId::check_all(streams)?;
    let wanted = process.is_some_and(|process| process.terminal() == Some(true));
    let given = streams.iter().any(|stream| stream.role() == FdRole::Terminal);
    if wanted == given {
        return Ok(());
    }
    Err(Error::InvalidConfig("a process with a terminal has one stream for it, and no other has one".to_owned()))
}

fn signal(payload: &[u8]) -> Result<SignalRequest> {
    let request: SignalRequest = decode(payload)?;
    if (0..=SIGNAL_MAX).contains(&request.signal) {
        return Ok(request);
    }
    Err(Error::InvalidConfig(format!("there is no signal {}", request.signal)))
}

fn container(payload: &[u8]) -> Result<ContainerId> {
    parse_id(&decode::<ContainerRequest>(payload)?.id)
}

/// A directory's name has 255 bytes at most.
fn parse_id(id: &str) -> Result<ContainerId> {
    let parsed = id.parse::<ContainerId>().map_err(|error| Error::InvalidConfig(error.to_string()))?;
    if id.len() > 255 || id.starts_with('@') {
        return Err(Error::InvalidConfig("a container's name is too long".to_owned()));
    }
    Ok(parsed)
}

fn json<T: serde::de::DeserializeOwned>(what: &str, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| Error::InvalidConfig(format!("{what}: {error}")))
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|_| Error::Other("malformed message".to_owned()))
}

#[cfg(test)]
mod tests {
    use stockade_sandbox::protocol::{GuestRoot, SharePath};

    use super::*;

    fn create(terminal: bool, roles: &[FdRole]) -> CreateContainer {
        let streams = (1..).zip(roles).map(|(id, role)| StreamId { role: (*role).into(), id }).collect();
        let directory = Some(SharePath { tag: "bundle".into(), path: String::new() });
        let process = format!(r#"{{"terminal": {terminal}, "cwd": "/", "user": {{"uid": 0, "gid": 0}}}}"#);
        let spec = format!(r#"{{"ociVersion": "1.2.0", "process": {process}}}"#);
        CreateContainer {
            id: "web".into(),
            spec: spec.into_bytes(),
            streams,
            root: Some(GuestRoot { directory, ..GuestRoot::default() }),
            ..CreateContainer::default()
        }
    }

    fn check(message: &CreateContainer, fine: bool) {
        let parsed = Request::parse(Method::Create, &message.encode_to_vec());
        assert_eq!(parsed.is_ok(), fine, "{parsed:?}");
    }

    #[test]
    fn a_container_is_checked_before_anything_is_made() {
        check(&create(false, &[FdRole::Stdout]), true);
        check(&create(true, &[FdRole::Terminal]), true);
        check(&create(true, &[FdRole::Stdout]), false);
        check(&create(false, &[FdRole::Terminal]), false);
        check(&CreateContainer { root: None, ..create(false, &[]) }, false);
        check(&CreateContainer { id: "../x".into(), ..create(false, &[]) }, false);
        check(&CreateContainer { id: "x".repeat(256), ..create(false, &[]) }, false);
        check(&CreateContainer { spec: b"{".to_vec(), ..create(false, &[]) }, false);
    }

    #[test]
    fn noise_is_refused() {
        let noise = [0xff; 32];
        for method in [Method::Create, Method::Exec, Method::Signal, Method::Configure, Method::WaitOom] {
            assert!(Request::parse(method, &noise).is_err(), "{method:?}");
        }
        let signal = SignalRequest { id: "web".into(), signal: 65, ..SignalRequest::default() };
        assert!(Request::parse(Method::Signal, &signal.encode_to_vec()).is_err());
    }
}
