//! Questions to the file server, one at a time. One that does not answer, or talks nonsense, ends the sandbox: nothing
//! in it could go on without its root.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg,
};
use rustix::stdio::stderr;
use stockade_kernel::Errno;
use stockade_kernel_files::protocol::{FORGOTTEN_MAX, PACKET_BYTES_MAX, Reader, Request, Writer, decode_answer};

/// Nodes that are let go of together.
const FORGOTTEN_TOGETHER: usize = 64;
const _: () = assert!(FORGOTTEN_TOGETHER <= FORGOTTEN_MAX);

/// The way to a file server.
#[derive(Debug)]
pub(super) struct Channel {
    line: Mutex<Line>,
    /// Nodes to be let go of.
    forgotten: Mutex<Vec<u32>>,
}

#[derive(Debug)]
struct Line {
    /// Its time limits are the launcher's. `None` once nothing is asked any more.
    socket: Option<OwnedFd>,
    /// Where answers come in: as long as the longest.
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Heard {
    packet: Vec<u8>,
    /// What came along.
    pub(super) file: Option<OwnedFd>,
}

impl Heard {
    /// Reads what was asked for.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, Errno> {
        let answer = decode_answer(&self.packet).ok_or_else(|| nonsense("no answer"))?;
        let mut reader = answer.map_err(|errno| Errno::from_raw(errno.raw_os_error()).unwrap_or(Errno::EIO))?;
        read(&mut reader).ok_or_else(|| nonsense("half an answer"))
    }
}

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> Self {
        let line = Line { socket: Some(socket), buffer: vec![0; PACKET_BYTES_MAX] };
        Self { line: Mutex::new(line), forgotten: Mutex::default() }
    }

    /// Asks, and waits for the answer. An errno of the server's is one here; `EIO` once it was let go of.
    pub(super) fn ask(&self, request: &Request<'_>) -> Result<Heard, Errno> {
        let mut packet = Writer::default();
        request.encode(&mut packet);
        let heard = {
            let mut line = self.lock();
            let Line { socket, buffer } = &mut *line;
            let socket = socket.as_ref().ok_or(Errno::EIO)?;
            send(socket, &packet.0);
            receive(socket, buffer)
        };
        heard.read(|_| Some(()))?;
        Ok(heard)
    }

    /// Asks nothing any more; the server ends.
    pub(super) fn close(&self) {
        let closed = self.lock().socket.take();
        drop(closed);
    }

    /// Lets go of a node, sooner or later.
    pub(super) fn forget(&self, node: u32) {
        let is_full = {
            let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
            forgotten.push(node);
            forgotten.len() >= FORGOTTEN_TOGETHER
        };
        if is_full {
            self.settle();
        }
    }

    /// Lets go of all that is to be let go of.
    pub(super) fn settle(&self) {
        let line = self.lock();
        let all = std::mem::take(&mut *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(socket) = &line.socket else { return };
        for nodes in all.chunks(FORGOTTEN_MAX) {
            let mut packet = Writer::default();
            Request::Forget(nodes.to_vec()).encode(&mut packet);
            send(socket, &packet.0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(socket: &OwnedFd, packet: &[u8]) {
    loop {
        let sent = sendmsg(socket, &[IoSlice::new(packet)], &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL);
        match sent {
            Ok(_) => return,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => lost(&format!("it takes no question: {errno}")),
        }
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Heard {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC);
        match received {
            Ok(message) if message.bytes == 0 => lost("it is gone"),
            Ok(message) if message.flags.contains(ReturnFlags::TRUNC) => lost("its answer is too long"),
            Ok(message) => {
                let file = control.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                    _ => None,
                });
                return Heard { packet: buffer[..message.bytes].to_vec(), file };
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => lost("it does not answer"),
            Err(errno) => lost(&errno.to_string()),
        }
    }
}

/// The server said something that no server of ours says.
pub(super) fn nonsense(what: &str) -> Errno {
    lost(&format!("it sent {what}"))
}

/// Without its files the sandbox is over; stubs end with their monitor.
fn lost(why: &str) -> ! {
    let _ = rustix::io::write(stderr(), format!("stockade-monitor: lost the file server: {why}\n").as_bytes());
    std::process::exit(1)
}
