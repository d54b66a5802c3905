//! The server: requests of one client, served one after another.

mod attributes;
mod listing;
mod make;
mod names;
mod nodes;
#[cfg(test)]
mod tests;

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, fstatfs, readlinkat};
use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, sendmsg,
};

use crate::protocol::{Access, Attributes, Entry, FileSystem, PACKET_BYTES_MAX, Request, Writer, encode_failure};
use nodes::Nodes;

/// Why the server ends before its client does.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The directory cannot be used.
    #[error("look at the directory to be served: {0}")]
    Directory(#[source] Errno),
    /// The socket failed.
    #[error("talk to the monitor: {0}")]
    Socket(#[source] Errno),
    /// The client sent something that is no request.
    #[error("the monitor sent a packet of {0} bytes that is no request")]
    Nonsense(usize),
}

/// Hands a server its directory: the first thing that is said to it, before its client has the socket.
pub fn hand_over(root: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<()> {
    send_with(socket, &[0], &[root])
}

/// A server that has its directory, and has asked nothing of the host for its client yet.
#[derive(Debug)]
pub struct Ready(Server);

/// Takes the directory that [`hand_over`] brings, and sets the umask.
pub fn receive(socket: &OwnedFd) -> std::result::Result<Ready, ServeError> {
    rustix::process::umask(Mode::empty());
    let own_uid = rustix::process::geteuid().as_raw();
    let nodes = receive_root(socket).and_then(Nodes::new).map_err(ServeError::Directory)?;
    Ok(Ready(Server { nodes, own_uid, changes: Changes::Allowed }))
}

impl Ready {
    /// Serves until the client is gone. Needs /proc.
    pub fn serve(self, socket: &OwnedFd) -> std::result::Result<(), ServeError> {
        self.0.run(socket)
    }
}

/// Whether anything may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    Allowed,
    Refused,
}

/// An answer: its bytes, and the descriptor of a regular file that goes with it.
type Answer = (Writer, Option<OwnedFd>);

#[derive(Debug)]
struct Server {
    nodes: Nodes,
    /// Whose the files are that were made and not given away yet.
    own_uid: u32,
    changes: Changes,
}

impl Server {
    fn run(mut self, socket: &OwnedFd) -> std::result::Result<(), ServeError> {
        // One more than allowed, to see what is too long.
        let mut packet = vec![0; PACKET_BYTES_MAX + 1];
        loop {
            let len = match recv(socket, &mut packet[..], RecvFlags::empty()) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(()),
                Ok((_, len)) => len,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(ServeError::Socket(errno)),
            };
            let request = Some(&packet[..len]).filter(|packet| packet.len() <= PACKET_BYTES_MAX);
            let request = request.and_then(Request::decode).ok_or(ServeError::Nonsense(len))?;
            if let Request::Forget(nodes) = request {
                nodes.into_iter().for_each(|node| self.nodes.forget(node));
                continue;
            }
            match send(socket, self.answer(&request)) {
                Ok(()) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(errno) => return Err(ServeError::Socket(errno)),
            }
        }
    }

    fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        let mut out = Writer::default();
        out.u32(0);
        let file = match *request {
            Request::Lookup { directory, name } => {
                self.lookup(directory, name)?.encode(&mut out);
                None
            }
            Request::Attributes { node } => {
                Attributes::of(self.nodes.get(node)?)?.encode(&mut out);
                None
            }
            Request::Open { node, access } => Some(self.open(node, access)?),
            Request::ReadLink { node } => {
                out.bytes(readlinkat(self.nodes.get(node)?, c"", Vec::with_capacity(256))?.as_bytes());
                None
            }
            Request::List { node } => {
                self.begin_listing(node, &mut out)?;
                None
            }
            Request::ReadListing { listing, at } => {
                self.read_listing(listing, at, &mut out)?;
                None
            }
            Request::Xattr { node, name } => {
                out.bytes(&self.xattr(node, name)?);
                None
            }
            Request::Xattrs { node } => {
                out.bytes(&self.xattrs(node)?);
                None
            }
            Request::FileSystem => {
                self.file_system()?.encode(&mut out);
                None
            }
            Request::Sync { node } => {
                self.sync(node)?;
                None
            }
            Request::Seal => {
                self.changes = Changes::Refused;
                None
            }
            ref change => self.change(change, &mut out)?,
        };
        Ok((out, file))
    }

    /// What changes something.
    fn change(&mut self, request: &Request<'_>, out: &mut Writer) -> Result<Option<OwnedFd>> {
        self.check_changes()?;
        match *request {
            Request::Make { directory, name, ref make } => {
                let (entry, file) = self.make(directory, name, make)?;
                entry.encode(out);
                return Ok(file);
            }
            Request::MakeUnnamed { directory, permissions, uid, gid } => {
                let (entry, file) = self.make_unnamed(directory, permissions, uid, gid)?;
                entry.encode(out);
                return Ok(Some(file));
            }
            Request::Link { node, directory, name } => self.link(node, directory, name)?,
            Request::Remove { directory, name, what } => self.remove(directory, name, what)?,
            Request::Rename { directory, name, to, to_name, how } => self.rename(directory, name, to, to_name, how)?,
            Request::SetMode { node, permissions } => self.set_mode(node, permissions)?,
            Request::SetOwner { node, uid, gid } => self.set_owner(node, uid, gid)?,
            Request::SetTimes { node, times } => self.set_times(node, times)?,
            Request::SetXattr { node, name, value, how } => self.set_xattr(node, name, value, how)?,
            Request::RemoveXattr { node, name } => self.remove_xattr(node, name)?,
            _ => return Err(Errno::NOSYS),
        }
        Ok(None)
    }

    /// `EROFS` once the server is sealed.
    fn check_changes(&self) -> Result<()> {
        if self.changes == Changes::Allowed { Ok(()) } else { Err(Errno::ROFS) }
    }

    fn lookup(&mut self, directory: u32, name: &[u8]) -> Result<Entry> {
        let file = names::find(self.nodes.get(directory)?, &names::checked(name)?)?;
        self.enter(file)
    }

    /// Gives a file a number.
    fn enter(&mut self, file: OwnedFd) -> Result<Entry> {
        let attributes = Attributes::of(&file)?;
        Ok(Entry { node: self.nodes.add(file)?, attributes })
    }

    fn open(&self, node: u32, access: Access) -> Result<OwnedFd> {
        if access == Access::ReadWrite {
            self.check_changes()?;
        }
        nodes::open_regular(self.nodes.get(node)?, access)
    }

    fn file_system(&self) -> Result<FileSystem> {
        let found = fstatfs(self.nodes.get(crate::protocol::ROOT)?)?;
        Ok(FileSystem {
            block_bytes: found.f_bsize.try_into().unwrap_or(4096),
            blocks: found.f_blocks,
            blocks_free: found.f_bavail,
            files: found.f_files,
            files_free: found.f_ffree,
            magic: found.f_type.try_into().unwrap_or(0),
        })
    }
}

fn send(socket: &OwnedFd, answer: Result<Answer>) -> Result<()> {
    let (packet, file) = match answer {
        Ok((out, file)) => (out.0, file),
        Err(errno) => (encode_failure(errno), None),
    };
    let files: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
    send_with(socket.as_fd(), &packet, &files)
}

fn send_with(socket: BorrowedFd<'_>, packet: &[u8], files: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(files));
    }
    sendmsg(socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

fn receive_root(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let root = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    root.ok_or(Errno::BADF)
}
