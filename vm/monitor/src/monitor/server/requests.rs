//! What the host's processes ask, on its way to the agent.

use std::os::fd::OwnedFd;

use oci_spec::runtime::{LinuxMemory, LinuxResources};
use prost::Message;
use stockade_sandbox::protocol::{
    Configure, ContainerRequest, CreateContainer, Empty, ExecProcess, Incoming, Method, ProcessRequest, Resize,
    SignalRequest, Update,
};
use stockade_sandbox::{Error, Result};

use super::super::agent::{Asker, ProcessName};
use super::super::machine::Guest;
use super::disks::Brought;
use super::{Server, lacking};
use crate::class::size;

impl<G: Guest> Server<G> {
    pub(super) fn pass_on(&mut self, source: u64, request: Incoming) {
        let stream = request.stream;
        let asker = Asker::Peer { source, stream };
        match self.serve_request(asker, request) {
            Ok(Some(answer)) => self.respond(source, stream, Ok(answer)),
            Ok(None) => {}
            Err(error) => self.respond(source, stream, Err(error)),
        }
    }

    /// `None` when the agent will answer.
    fn serve_request(&mut self, asker: Asker, request: Incoming) -> Result<Option<Vec<u8>>> {
        let Incoming { method, payload, descriptors, .. } = request;
        let (process, payload) = match method {
            Method::Pause | Method::Resume if self.is_member(&container_of(&payload)?) => {
                (container_of(&payload)?, payload)
            }
            Method::Pause => {
                self.guest.pause().map_err(Error::Other)?;
                return Ok(Some(Empty {}.encode_to_vec()));
            }
            Method::Resume => {
                self.guest.resume().map_err(Error::Other)?;
                self.agent.postpone();
                return Ok(Some(Empty {}.encode_to_vec()));
            }
            Method::WaitOom => return self.want_news(asker, &decode(&payload)?),
            Method::Configure => (ProcessName::default(), network(&payload)?),
            Method::Create => self.create(&payload, descriptors)?,
            Method::Exec => self.exec(&payload, descriptors)?,
            _ => (self.named(method, &payload)?, payload),
        };
        let asked = self.agent.ask(asker, method, process.clone(), payload);
        if asked.is_err() && matches!(method, Method::Create | Method::Exec) {
            self.drop_relays(&process);
        }
        asked.map(|()| None)
    }

    /// Whether a container joined: the guest alone stops that one.
    fn is_member(&self, (id, _): &ProcessName) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner != id)
    }

    /// Which process is meant; what the agent is not to be asked by others is refused.
    fn named(&self, method: Method, payload: &[u8]) -> Result<ProcessName> {
        match method {
            Method::Start | Method::Stats | Method::Processes => container_of(payload),
            Method::Wait => decode(payload).map(|ProcessRequest { id, process }| (id, process)),
            Method::Signal => decode(payload).map(|SignalRequest { id, process, .. }| (id, process)),
            Method::Resize => decode(payload).map(|Resize { id, process, .. }| (id, process)),
            Method::Update => {
                let update: Update = decode(payload)?;
                self.check_size(&update)?;
                Ok((update.id, String::new()))
            }
            other => Err(lacking(format!("serve {}", other.name()), "it is the monitor's own to ask")),
        }
    }

    /// A machine keeps the memory and the processors that it has.
    fn check_size(&self, update: &Update) -> Result<()> {
        let resources: LinuxResources =
            serde_json::from_slice(&update.resources).map_err(|error| Error::InvalidConfig(error.to_string()))?;
        self.check_memory(&resources)?;
        match (size::processors(&resources), u64::from(self.guest.vcpus())) {
            (Some(wanted), has) if wanted > has => Err(lacking(
                format!("raise the limit of CPU time to {wanted} processors"),
                &format!("its machine has {has}, and a machine's size is set when it is made"),
            )),
            _ => Ok(()),
        }
    }

    fn check_memory(&self, resources: &LinuxResources) -> Result<()> {
        let wanted = resources.memory().as_ref().and_then(LinuxMemory::limit);
        let wanted_mib = wanted.and_then(|bytes| usize::try_from(bytes >> 20).ok()).unwrap_or_default();
        let has_mib = self.guest.memory_mib();
        match wanted_mib > has_mib {
            true => Err(lacking(
                format!("raise the limit of memory to {wanted_mib} MiB"),
                &format!("its machine has {has_mib} MiB, and a machine's size is set when it is made"),
            )),
            false => Ok(()),
        }
    }

    fn create(&mut self, payload: &[u8], mut descriptors: Vec<OwnedFd>) -> Result<(ProcessName, Vec<u8>)> {
        let mut request: CreateContainer = decode(payload)?;
        let process = (request.id.clone(), String::new());
        let mut roles = std::mem::take(&mut request.descriptors);
        let brought = Brought::of(&mut roles, &mut descriptors);
        self.plug(&mut request, brought)?;
        request.streams = self.open_streams(&process, &roles, descriptors).inspect_err(|_| self.remove(&process.0))?;
        Ok((process, request.encode_to_vec()))
    }

    fn exec(&mut self, payload: &[u8], descriptors: Vec<OwnedFd>) -> Result<(ProcessName, Vec<u8>)> {
        let mut request: ExecProcess = decode(payload)?;
        let process = (request.id.clone(), request.process.clone());
        let roles = std::mem::take(&mut request.descriptors);
        request.streams = self.open_streams(&process, &roles, descriptors)?;
        Ok((process, request.encode_to_vec()))
    }
}

/// The network is the launcher's to say, all else about the machine the monitor's.
fn network(payload: &[u8]) -> Result<Vec<u8>> {
    let Configure { network, .. } = decode(payload)?;
    let configure = Configure { network, ..Configure::default() };
    configure.check()?;
    Ok(configure.encode_to_vec())
}

/// The init of the container that a request is about.
fn container_of(payload: &[u8]) -> Result<ProcessName> {
    Ok((decode::<ContainerRequest>(payload)?.id, String::new()))
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|_| Error::Other("malformed message".to_owned()))
}
