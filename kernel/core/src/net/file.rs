//! A socket as an open file.

use alloc::sync::Arc;
use core::time::Duration;

use linux_raw_sys::ioctl;

use super::{Direction, Kind, Outgoing, Socket, Taking};
use crate::Errno;
use crate::fs::Anonymous;
use crate::io::{Sink, Source};
use crate::task::Task;
use crate::vfs::{File, FileKind, FileObject, OpenFlags, PollEvents, WriteAt, Written};
use crate::wait::SharedQueue;

/// SIOCATMARK
const IS_AT_URGENT: u32 = 0x8905;
/// SIOCINQ, the same as FIONREAD and TIOCINQ.
const INPUT_BYTES: u32 = ioctl::FIONREAD;

/// The inside of a socket's file.
#[derive(Debug)]
pub struct SocketFile {
    socket: Arc<dyn Socket>,
}

impl SocketFile {
    /// Opens a socket.
    pub fn open(task: &Task, socket: Arc<dyn Socket>, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        let (vfs, owner) = (task.kernel().vfs(), task.credentials());
        let number = vfs.inode_number();
        let inode = Anonymous::new(number, FileKind::Socket, 0o777, owner.fsuid, owner.fsgid, vfs.now());
        let name = alloc::format!("socket:[{number}]");
        vfs.open_inode(Arc::new(inode), name.as_bytes(), Arc::new(Self { socket }), flags | OpenFlags::READ_WRITE)
    }

    /// The socket.
    pub fn socket(&self) -> &Arc<dyn Socket> {
        &self.socket
    }
}

impl FileObject for SocketFile {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        Ok(self.socket.receive(sink, Taking::Remove)?.count)
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        Ok(Written { count: self.socket.send(source, &mut Outgoing::default())?, end: 0 })
    }

    fn takes_all(&self) -> bool {
        self.socket.kind() == Kind::Stream
    }

    fn time_limit(&self, events: PollEvents) -> Option<Duration> {
        let reads = events.intersects(PollEvents::READABLE);
        let direction = if reads { Direction::Receive } else { Direction::Send };
        self.socket.common().options.lock().limit(direction)
    }

    fn poll(&self) -> PollEvents {
        self.socket.poll()
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.socket.common().queue.clone())
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        let value = match request {
            INPUT_BYTES if self.socket.is_listening() && self.socket.kind() == Kind::Stream => {
                return Err(Errno::EINVAL);
            }
            INPUT_BYTES => self.socket.readable_bytes(),
            IS_AT_URGENT => usize::from(self.socket.is_at_urgent()),
            ioctl::TIOCOUTQ => self.socket.unread_bytes(),
            _ => return super::netlink::interface_request(task, request, argument),
        };
        task.memory().write_struct(argument, &i32::try_from(value).unwrap_or(i32::MAX))?;
        Ok(0)
    }
}
