//! How a supervisor that was started ahead of its container learns which one it keeps.
//!
//! Its starter finds the image and makes the container meanwhile. A supervisor whose starter goes without an order
//! ends. The order is one packet, a client's `Hello` and the container's id after it, with the container's lock.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::protocol::{Request, Role};
use crate::state::ContainerLock;

/// What a `Hello` takes.
const HELLO_BYTES: usize = 2;
/// More than an id has.
const ORDER_BYTES_MAX: usize = 256;

/// An order.
#[derive(Debug)]
pub(super) struct Order {
    /// The container's id.
    pub id: String,
    /// Its lock, held.
    pub lock: ContainerLock,
    /// What the starter is there for.
    pub role: Role,
}

impl Order {
    /// Sends it.
    pub(super) fn give(self, socket: &OwnedFd) -> Result<(), Errno> {
        let mut packet = Vec::new();
        Request::Hello(self.role).encode(&mut packet);
        packet.extend(self.id.as_bytes());
        let lock = self.lock.into_fd();
        let descriptors = [lock.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(socket, &[IoSlice::new(&packet)], &mut control, SendFlags::NOSIGNAL).map(drop)
    }

    /// Waits for it; `None` when there will be none.
    pub(super) fn take(socket: &OwnedFd) -> Option<Self> {
        let mut packet = [0; ORDER_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let (hello, id) = packet[..message.ok()?.bytes].split_at_checked(HELLO_BYTES)?;
        let Some(Request::Hello(role)) = Request::decode(hello) else { return None };
        let lock = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })?;
        Some(Self { id: std::str::from_utf8(id).ok()?.to_owned(), lock: ContainerLock::from_inherited(lock), role })
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{pair, send};
    use super::*;

    fn lock() -> ContainerLock {
        ContainerLock::from_inherited(super::super::streams::null().unwrap())
    }

    #[test]
    fn orders_arrive() {
        let (ours, theirs) = pair().unwrap();
        Order { id: "web".to_owned(), lock: lock(), role: Role::InputOutput }.give(&ours).unwrap();
        let order = Order::take(&theirs).unwrap();
        assert_eq!((order.id.as_str(), order.role), ("web", Role::InputOutput));
    }

    #[test]
    fn nonsense_and_the_end_are_no_orders() {
        for packet in [&b"h"[..], b"?1web", b"h\x01web"] {
            let (ours, theirs) = pair().unwrap();
            send(&ours, packet).unwrap();
            assert!(Order::take(&theirs).is_none(), "{packet:?}");
        }
        let (ours, theirs) = pair().unwrap();
        drop(ours);
        assert!(Order::take(&theirs).is_none());
    }
}
