//! A gate that a helper waits at for its place in the control groups.
//!
//! A helper that was cloned before its v1 groups were made gets their descriptors by a socket, and moves itself while
//! it has one thread. One whose starter goes without opening the gate learns so by the end of the socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use stockade_sandbox::{Error, Result};

use crate::cgroup::{Cgroup, Joiner};
use crate::fail::Context;

/// More than there are hierarchies, and those of the applications' groups again.
const DESCRIPTORS_MAX: usize = 64;

/// The starter's end.
#[derive(Debug)]
pub struct Gate(OwnedFd);

impl Gate {
    /// A gate, and the helper's end of it.
    pub fn new() -> Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .at("make a socket pair")?;
        Ok((Self(ours), theirs))
    }

    /// Lets the helper into the v1 directories of `own`, and gives it the entrances of others. Of one that has ended,
    /// whoever waits for it hears why.
    pub fn open(self, own: &Cgroup, others: &[OwnedFd]) -> Result<()> {
        let joiner = own.joiner()?;
        let entrances = joiner.tasks();
        let descriptors: Vec<_> = entrances.iter().chain(others).map(AsFd::as_fd).collect();
        let count = u8::try_from(entrances.len()).ok().filter(|_| descriptors.len() <= DESCRIPTORS_MAX);
        let count = count.ok_or_else(|| Error::Other("too many control groups".to_owned()))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        match sendmsg(&self.0, &[IoSlice::new(&[count])], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(errno).at("open the helper's gate"),
        }
    }
}

/// In the helper, while it has one thread: waits for its groups, moves into them, and returns the entrances of others.
pub fn pass(gate: &OwnedFd) -> Result<Vec<OwnedFd>> {
    let mut count = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message =
        retry_on_intr(|| recvmsg(gate, &mut [IoSliceMut::new(&mut count)], &mut control, RecvFlags::CMSG_CLOEXEC));
    if message.at("wait at the gate")?.bytes == 0 {
        return Err(Error::Other("the runtime process gave up".to_owned()));
    }
    let mut own = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            own.extend(descriptors);
        }
    }
    if own.len() < count[0].into() {
        return Err(Error::Other("the gate gave too few control groups".to_owned()));
    }
    let others = own.split_off(count[0].into());
    Joiner::of(own).join().at("join the monitor's cgroup")?;
    Ok(others)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_let_in_gets_the_entrances_of_others() {
        let (gate, helper) = Gate::new().expect("a gate");
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        gate.open(&Cgroup::none(), &[writer.into()]).expect("open");
        let [entrance] = pass(&helper).expect("pass").try_into().expect("one entrance");
        rustix::io::write(&entrance, b"0").expect("write");
        drop(entrance);
        let mut said = String::new();
        reader.read_to_string(&mut said).expect("read");
        assert_eq!(said, "0");
    }

    #[test]
    fn a_helper_that_has_ended_is_no_error() {
        let (gate, helper) = Gate::new().expect("a gate");
        drop(helper);
        assert!(gate.open(&Cgroup::none(), &[]).is_ok());
    }

    #[test]
    fn a_gate_that_never_opens_is_an_error() {
        let (gate, helper) = Gate::new().expect("a gate");
        drop(gate);
        assert!(pass(&helper).expect_err("nobody opens").to_string().contains("gave up"));
    }
}
