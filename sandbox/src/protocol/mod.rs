//! The sandbox protocol: how a class's monitor, or a virtual machine's agent, serves the verbs.
//!
//! Wire format: ttrpc (containerd/ttrpc, PROTOCOL.md) over a stream: frames with a ten-byte header, protobuf inside.
//! On a unix socket the descriptors that a request hands over travel as SCM_RIGHTS with its first byte; over vsock
//! there are none, and a process's streams are connections of their own ([`StreamId`]). The service is [`SERVICE`]; a
//! change that an older peer would misread gets a new version in its name.
//!
//! Either side takes the other's bytes as hostile: frames and descriptors are bounded, and what does not parse ends
//! the connection.

mod client;
mod connection;
mod frame;
mod guest;
mod message;

pub use client::Client;
pub use connection::{Answer, Connection, Incoming, ProtocolError};
pub use guest::{
    ADDRESSES_MAX, CONTROL_PORT, Configure, DiskPart, ENTROPY_BYTES_MAX, GuestInterface, GuestNeighbour, GuestNetwork,
    GuestRoot, GuestRoute, GuestUpper, INTERFACES_MAX, NEIGHBOURS_MAX, OomRequest, PARTS_MAX, ROUTES_MAX, SHARES_MAX,
    STREAM_PORT, STREAMS_MAX, Share, SharePath, SharedMount, Shutdown, StreamId,
};
pub use message::{
    BoundFile, ContainerRequest, CreateContainer, Empty, Event, ExecProcess, ExitStatus, FdRole, ProcessEntry,
    ProcessRequest, Processes, Resize, SignalRequest, StatsReply, ThreadEntry, Update, WireError,
};

/// The service's name in every request.
pub const SERVICE: &str = "stockade.sandbox.v1.Sandbox";

/// What can be asked. The names are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Makes a container in the sandbox; its init waits for `Start`.
    Create,
    /// Lets the init run.
    Start,
    /// Runs one more process.
    Exec,
    /// Sends a signal.
    Signal,
    /// Answers once a process ended.
    Wait,
    /// Tells a terminal its size.
    Resize,
    /// Changes limits.
    Update,
    /// One sample of resource use.
    Stats,
    /// Stops every process of a container where it is.
    Pause,
    /// Lets them go on.
    Resume,
    /// Lists a container's processes.
    Processes,
    /// Removes a container.
    Delete,
    /// Tells a guest what its machine is to be like: time, entropy, network, shares.
    Configure,
    /// Ends a guest in good order.
    Shutdown,
    /// Answers once a process of a container was killed for lack of memory.
    WaitOom,
}

const METHODS: [(Method, &str); 15] = [
    (Method::Create, "Create"),
    (Method::Start, "Start"),
    (Method::Exec, "Exec"),
    (Method::Signal, "Signal"),
    (Method::Wait, "Wait"),
    (Method::Resize, "Resize"),
    (Method::Update, "Update"),
    (Method::Stats, "Stats"),
    (Method::Pause, "Pause"),
    (Method::Resume, "Resume"),
    (Method::Processes, "Processes"),
    (Method::Delete, "Delete"),
    (Method::Configure, "Configure"),
    (Method::Shutdown, "Shutdown"),
    (Method::WaitOom, "WaitOom"),
];

impl Method {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        METHODS.iter().find(|(method, _)| *method == self).map_or("", |(_, name)| name)
    }

    /// From the wire.
    pub fn parse(name: &str) -> Option<Self> {
        METHODS.iter().find(|(_, known)| *known == name).map(|(method, _)| *method)
    }
}
