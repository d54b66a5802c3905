//! What every family of sockets offers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;

use super::unix::Rights;
use super::{Address, Common, Kind, Parcel, Taken, Taking};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::task::Task;
use crate::vfs::PollEvents;

/// `struct ucred`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ucred {
    /// Process.
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Ucred {
    /// Who a task is.
    pub fn of(task: &Task) -> Self {
        let credentials = task.credentials();
        Self { pid: task.process().pid().raw(), uid: credentials.euid, gid: credentials.egid }
    }
}

/// Which halves of a connection shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// SHUT_RD
    pub reading: bool,
    /// SHUT_WR
    pub writing: bool,
}

/// Whether a call that would wait is to be told so in a way of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// It waits.
    Waits,
    /// It fails with EINPROGRESS or EAGAIN.
    FailsAtOnce,
}

/// Which way a time limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// SO_RCVTIMEO
    Receive,
    /// SO_SNDTIMEO
    Send,
}

/// Whether data is out of band (MSG_OOB).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// It is not.
    #[default]
    Ordinary,
    /// Its last byte is.
    Urgent,
}

/// A control message of a protocol's level (cmsg(3)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// IPPROTO_IP, ...
    pub level: u32,
    /// What it is about.
    pub kind: u32,
    /// Its data.
    pub data: Vec<u8>,
}

/// A message to be sent.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    /// To whom; `None` for the peer.
    pub to: Option<&'a Address>,
    /// Files that travel with it; taken out once they are on their way.
    pub rights: Option<Rights>,
    /// Who sends; `None` for the socket's owner.
    pub sender: Option<Ucred>,
    /// The sending task, which a path is resolved for.
    pub task: Option<&'a Arc<Task>>,
    /// Whether its last byte is urgent.
    pub urgency: Urgency,
    /// What the family's protocols are told about it.
    pub controls: &'a [ControlMessage],
}

/// The other half of a pair.
pub type Pairing = [Arc<dyn Socket>; 2];

/// A socket of any family. The last reference closes it.
pub trait Socket: Any + Debug + Send + Sync {
    /// What all sockets have.
    fn common(&self) -> &Common;

    /// AF_UNIX, ...
    fn family(&self) -> u16;

    /// SOCK_STREAM, ...
    fn kind(&self) -> Kind;

    /// IPPROTO_TCP, ...
    fn protocol(&self) -> i32 {
        0
    }

    /// bind(2)
    fn bind(&self, _task: &Arc<Task>, _address: &Address) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// listen(2)
    fn listen(&self, _task: &Arc<Task>, _backlog: usize) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Takes a connection that waits.
    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// connect(2)
    fn connect(&self, task: &Arc<Task>, address: &Address, connecting: Connecting) -> Result<(), Errno>;

    /// getsockname(2)
    fn name(&self) -> Address;

    /// getpeername(2)
    fn peer_name(&self) -> Result<Address, Errno>;

    /// The peer's name as accept(2) tells it, whatever became of the connection since.
    fn accepted_name(&self) -> Result<Address, Errno> {
        self.peer_name()
    }

    /// Sends a message, or a part of a stream.
    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno>;

    /// Receives a message, or a part of a stream.
    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno>;

    /// Receives what is out of band (MSG_OOB); `None` at the end.
    fn receive_urgent(&self, _taking: Taking) -> Result<Option<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether the next byte is the one that is out of band (sockatmark(3)).
    fn is_at_urgent(&self) -> bool {
        false
    }

    /// Tells what the socket's options ask for about received data, as control messages: level, type, data.
    fn tell(&self, _parcel: &Parcel, _add: &mut dyn FnMut(u32, u32, &[u8])) {}

    /// Puts a message of the kernel's in, for who reads from it: `EINVAL` where there are none.
    fn put_notice(&self, _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// shutdown(2)
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno>;

    /// What would not wait.
    fn poll(&self) -> PollEvents;

    /// Bytes that the next read gives.
    fn readable_bytes(&self) -> usize;

    /// Whether connections can be accepted from it (SO_ACCEPTCONN).
    fn is_listening(&self) -> bool {
        false
    }

    /// The error that came while nobody called (SO_ERROR).
    fn take_error(&self) -> Option<Errno> {
        self.common().take_error()
    }

    /// SO_PEERCRED
    fn peer_credentials(&self) -> Option<Ucred> {
        None
    }

    /// Bytes that it sent and nobody read yet (SIOCOUTQ).
    fn unread_bytes(&self) -> usize {
        0
    }

    /// An option of the family's own levels that is more than an integer.
    fn structure(&self, _level: u32, _name: u32) -> Option<Vec<u8>> {
        None
    }

    /// How many bytes such an option has, if it can be changed.
    fn structure_len(&self, _level: u32, _name: u32) -> Option<usize> {
        None
    }

    /// Changes one, of which there may be fewer bytes.
    fn set_structure(&self, _level: u32, _name: u32, _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOPROTOOPT)
    }

    /// An integer option of the family's own levels.
    fn option(&self, _level: u32, _name: u32) -> Result<i32, Errno> {
        Err(Errno::ENOPROTOOPT)
    }

    /// An option of the socket's level was changed.
    fn option_changed(&self, _name: u32) {}

    /// Changes one.
    fn set_option(&self, _level: u32, _name: u32, _value: i32) -> Result<(), Errno> {
        Err(Errno::ENOPROTOOPT)
    }
}
