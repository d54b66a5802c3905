//! socket(2), bind(2), listen(2), accept(2), connect(2) and what tells of a socket.

use alloc::sync::Arc;

use linux_raw_sys::general::{O_CLOEXEC, O_NONBLOCK};

use super::Call;
use super::new_file::{install, install_both};
use crate::Errno;
use crate::net::inet::{self, InetSocket, RawSocket};
use crate::net::netlink::NetlinkSocket;
use crate::net::packet::PacketSocket;
use crate::net::unix::UnixSocket;
use crate::net::{
    ADDRESS_BYTES_MAX, Address, Connecting, Direction, INET, INET6, Kind, NETLINK, PACKET, Shutdown, Socket,
    SocketFile, UNIX,
};
use crate::task::Task;
use crate::vfs::{File, OpenFlags, PollEvents};
use crate::wait::Stop;

/// SOCK_CLOEXEC and SOCK_NONBLOCK, which are the flags of open(2).
const TYPE_FLAGS: u32 = O_CLOEXEC | O_NONBLOCK;
/// `net.core.somaxconn`
const BACKLOG_MAX: u32 = 4096;

/// A descriptor that is a socket.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its file.
    pub file: Arc<File>,
}

impl Opened {
    /// `ENOTSOCK` when it is none.
    pub fn new(task: &Task, fd: i32) -> Result<Self, Errno> {
        let file = task.files().get_open(fd)?;
        if file.downcast::<SocketFile>().is_some() { Ok(Self { file }) } else { Err(Errno::ENOTSOCK) }
    }

    /// The socket.
    pub fn socket(&self) -> Result<&Arc<dyn Socket>, Errno> {
        Ok(self.file.downcast::<SocketFile>().ok_or(Errno::ENOTSOCK)?.socket())
    }

    /// Waits until the socket may go on, as long as its time limit says; `late` when that is over, or when it is not
    /// to be waited for.
    pub fn wait(
        &self,
        task: &Arc<Task>,
        call: &mut Call,
        direction: Direction,
        patience: Connecting,
        late: Errno,
    ) -> Stop {
        let Ok(socket) = self.socket() else { return Errno::ENOTSOCK.into() };
        if patience == Connecting::FailsAtOnce {
            return late.into();
        }
        let limit = socket.common().options.lock().limit(direction);
        if limit.is_some_and(|limit| call.times_out(task, limit)) {
            return late.into();
        }
        let interest = match direction {
            Direction::Receive => PollEvents::READABLE | PollEvents::RDHUP,
            Direction::Send => PollEvents::WRITABLE,
        };
        let stop = call.wait_for(task, &socket.common().queue, interest);
        // A call with a time limit is not restarted (signal(7)).
        if limit.is_some() { Stop::WaitNoRestart } else { stop }
    }

    /// Whether calls wait, as far as the file says.
    pub fn patience(&self) -> Connecting {
        if self.file.is_nonblocking() { Connecting::FailsAtOnce } else { Connecting::Waits }
    }
}

/// The type and the flags of socket(2).
fn kind_and_flags(argument: u32) -> Result<(Kind, OpenFlags), Errno> {
    let kind = argument & 0xf;
    if argument & !(TYPE_FLAGS | 0xf) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((Kind::from_raw(kind)?, OpenFlags::from_bits_truncate(argument & TYPE_FLAGS)))
}

/// socket(2)
pub fn socket(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (kind, flags) = kind_and_flags(call.uint(1))?;
    let socket = create(task, call.uint(0), kind, call.int(2))?;
    Ok(install(task, SocketFile::open(task, socket, flags)?, flags)?)
}

fn create(task: &Arc<Task>, family: u32, kind: Kind, protocol: i32) -> Result<Arc<dyn Socket>, Errno> {
    match u16::try_from(family).map_err(|_| Errno::EAFNOSUPPORT)? {
        UNIX => {
            check_unix(protocol)?;
            Ok(UnixSocket::new(task, kind)?)
        }
        NETLINK => Ok(NetlinkSocket::new(task, kind, protocol)?),
        PACKET => Ok(PacketSocket::new(task, kind, protocol)?),
        family @ (INET | INET6) => create_inet(task, family, kind, protocol),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn create_inet(task: &Arc<Task>, family: u16, kind: Kind, protocol: i32) -> Result<Arc<dyn Socket>, Errno> {
    let echoes = if family == INET { inet::ICMP } else { inet::ICMP_V6 };
    match kind {
        Kind::Raw => Ok(RawSocket::raw(task, family, protocol)?),
        Kind::Datagram if protocol == i32::from(echoes) => Ok(RawSocket::ping(task, family)?),
        _ => Ok(InetSocket::new(task, family, kind, protocol)?),
    }
}

fn check_unix(protocol: i32) -> Result<(), Errno> {
    if protocol == 0 || protocol == i32::from(UNIX) { Ok(()) } else { Err(Errno::EPROTONOSUPPORT) }
}

/// socketpair(2)
pub fn socketpair(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (kind, flags) = kind_and_flags(call.uint(1))?;
    if call.uint(0) != u32::from(UNIX) {
        let known = create(task, call.uint(0), kind, call.int(2));
        return Err(known.err().unwrap_or(Errno::EOPNOTSUPP).into());
    }
    check_unix(call.int(2))?;
    let [first, second] = UnixSocket::pair(task, kind)?;
    let files = [SocketFile::open(task, first, flags)?, SocketFile::open(task, second, flags)?];
    Ok(install_both(task, files, flags, call.arg(3))?)
}

/// An address that a program gives.
pub(super) fn read_address(task: &Task, address: u64, len: u64) -> Result<Address, Errno> {
    let len = usize::try_from(len).ok().filter(|len| *len <= ADDRESS_BYTES_MAX).ok_or(Errno::EINVAL)?;
    Address::parse(&task.memory().read_vec(address, len)?)
}

/// Where a message goes, if anywhere else than to the peer. Where there are connections nobody looks at it: only that
/// there is one counts. Packet sockets do not look at the family.
pub(super) fn read_destination(
    task: &Task,
    socket: &dyn Socket,
    address: u64,
    len: u64,
) -> Result<Option<Address>, Errno> {
    let len = usize::try_from(len).ok().filter(|len| *len <= ADDRESS_BYTES_MAX).ok_or(Errno::EINVAL)?;
    let bytes = task.memory().read_vec(address, len)?;
    match (socket.kind(), socket.family()) {
        (Kind::Stream | Kind::Packets, _) | (_, UNIX | NETLINK) if len == 0 => Ok(None),
        (Kind::Stream | Kind::Packets, _) => Ok(Some(Address::Unspecified)),
        (_, UNIX | NETLINK) => Address::parse(&bytes).map(Some).map_err(|_| Errno::EINVAL),
        (_, PACKET) => Address::parse_link(&bytes).map(Some),
        _ => Address::parse(&bytes).map(Some),
    }
}

/// Stores an address, cut to what the program has room for, and its whole length.
pub(super) fn write_address(task: &Task, address: &Address, at: u64, len_at: u64) -> Result<(), Errno> {
    let (memory, bytes) = (task.memory(), address.to_bytes());
    let room: i32 = memory.read_struct(len_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    memory.write_bytes(at, &bytes[..bytes.len().min(room)])?;
    memory.write_struct(len_at, &i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// bind(2)
pub fn bind(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let address = read_address(task, call.arg(1), call.uint(2).into())?;
    Ok(opened.socket()?.bind(task, &address)?)
}

/// listen(2)
pub fn listen(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let backlog = usize::try_from(call.uint(1).min(BACKLOG_MAX)).unwrap_or(0);
    Ok(opened.socket()?.listen(task, backlog)?)
}

/// accept(2)
pub fn accept(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    accept_one(task, call, OpenFlags::empty())
}

/// accept4(2)
pub fn accept4(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = call.uint(3);
    if flags & !TYPE_FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    accept_one(task, call, OpenFlags::from_bits_truncate(flags))
}

fn accept_one(task: &Arc<Task>, call: &mut Call, flags: OpenFlags) -> Result<u64, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let accepted = match opened.socket()?.accept() {
        Err(Errno::EAGAIN) => {
            let patience = opened.patience();
            return Err(opened.wait(task, call, Direction::Receive, patience, Errno::EAGAIN));
        }
        accepted => accepted?,
    };
    if call.arg(1) != 0 {
        let peer = accepted.accepted_name().unwrap_or(Address::Unspecified);
        write_address(task, &peer, call.arg(1), call.arg(2))?;
    }
    Ok(install(task, SocketFile::open(task, accepted, flags)?, flags)?)
}

/// connect(2)
pub fn connect(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let address = read_address(task, call.arg(1), call.uint(2).into())?;
    let patience = opened.patience();
    match opened.socket()?.connect(task, &address, patience) {
        Err(late @ (Errno::EAGAIN | Errno::EINPROGRESS)) => {
            Err(opened.wait(task, call, Direction::Send, patience, late))
        }
        result => Ok(result?),
    }
}

/// getsockname(2)
pub fn getsockname(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    Ok(write_address(task, &opened.socket()?.name(), call.arg(1), call.arg(2))?)
}

/// getpeername(2)
pub fn getpeername(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    Ok(write_address(task, &opened.socket()?.peer_name()?, call.arg(1), call.arg(2))?)
}

/// shutdown(2)
pub fn shutdown(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let how = match call.int(1) {
        0 => Shutdown { reading: true, writing: false },
        1 => Shutdown { reading: false, writing: true },
        2 => Shutdown { reading: true, writing: true },
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(opened.socket()?.shutdown(how)?)
}
