//! Questions to the monitors of containers, from whoever calls a verb.

use std::path::PathBuf;

use prost::Message;
use stockade_native::{Native, hosted};
use stockade_sandbox::protocol::{
    Client, ContainerRequest, Empty, Method, ProcessEntry, Processes, SignalRequest, StatsReply,
};
use stockade_sandbox::{ContainerId, Error, Result, Runtime, SignalTarget, Stats, Status};

use crate::{Owner, connect};

/// The monitors of the containers below one state root.
#[derive(Debug)]
pub struct Monitors {
    state_root: PathBuf,
    native: Native,
}

impl Monitors {
    /// Those of the containers below `state_root`.
    pub fn new(state_root: PathBuf) -> Self {
        Self { native: Native::new(state_root.clone()), state_root }
    }

    /// A connection to a live container's monitor.
    pub fn connect(&self, id: &ContainerId) -> Result<Client> {
        self.live(id).map(|(client, _)| client)
    }

    /// Asks a live container's monitor; one that stands still will do it once it goes on.
    pub fn order(&self, id: &ContainerId, method: Method, request: &impl Message) -> Result<()> {
        match self.live(id)? {
            (client, Status::Paused) => client.tell(method, request),
            (mut client, _) => client.call::<Empty>(method, request, &[]).map(drop),
        }
    }

    /// Asks a monitor that runs.
    pub fn ask<A: Message + Default>(&self, id: &ContainerId, method: Method, verb: &'static str) -> Result<A> {
        match self.live(id)? {
            (_, Status::Paused) => Err(Error::Paused { verb }),
            (mut client, _) => client.call(method, &ContainerRequest { id: id.to_string() }, &[]),
        }
    }

    /// Has a signal sent to a container's init or all of its processes.
    pub fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()> {
        let all = target == SignalTarget::All;
        self.order(id, Method::Signal, &SignalRequest { id: id.to_string(), process: String::new(), signal, all })
    }

    /// What a container uses inside; `None` while its monitor stands still.
    pub fn stats(&self, id: &ContainerId) -> Result<Option<Stats>> {
        let reply: StatsReply = match self.ask(id, Method::Stats, "stats") {
            Err(Error::Paused { .. }) => return Ok(None),
            reply => reply?,
        };
        serde_json::from_slice(&reply.stats).map(Some).map_err(|error| Error::Other(error.to_string()))
    }

    /// A container's processes as its own kernel sees them.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<ProcessEntry>> {
        self.ask(id, Method::Processes, "top").map(|reply: Processes| reply.entries)
    }

    /// Whether a container is paused, by itself or with its sandbox.
    pub fn stands_still(&self, id: &ContainerId) -> Result<bool> {
        Ok(self.status(id)? == Status::Paused)
    }

    fn live(&self, id: &ContainerId) -> Result<(Client, Status)> {
        match self.status(id)? {
            Status::Stopped | Status::Creating => Err(Error::NotRunning),
            status => Ok((connect(&hosted::state_dir(&self.state_root, id))?, status)),
        }
    }

    /// One that lives in another's sandbox stands still with that one.
    fn status(&self, id: &ContainerId) -> Result<Status> {
        let own = self.native.state(id)?.status;
        match (own, Owner::of(&self.state_root, id)?) {
            (Status::Created | Status::Running, Some(owner)) => match self.native.state(&owner)?.status {
                Status::Paused => Ok(Status::Paused),
                _ => Ok(own),
            },
            _ => Ok(own),
        }
    }
}
