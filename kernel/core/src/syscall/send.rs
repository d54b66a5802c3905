//! sendto(2), sendmsg(2), sendmmsg(2).

use alloc::sync::Arc;

use linux_raw_sys::net as abi;

use super::Call;
use super::ancillary::Ancillary;
use super::message::Header;
use super::socket::{Opened, read_destination};
use crate::Errno;
use crate::io::{Source as _, UserBuffer};
use crate::net::{Address, Connecting, Direction, Kind, Outgoing, Ucred, Urgency};
use crate::signal::{Signal, SignalInfo};
use crate::task::Task;
use crate::wait::Stop;

bitflags::bitflags! {
    /// The flags of send(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct SendFlags: u32 {
        const OUT_OF_BAND = abi::MSG_OOB;
        const DONT_ROUTE = abi::MSG_DONTROUTE;
        const DONT_WAIT = abi::MSG_DONTWAIT;
        const END_OF_RECORD = abi::MSG_EOR;
        const CONFIRM = abi::MSG_CONFIRM;
        const NO_SIGNAL = abi::MSG_NOSIGNAL;
        const MORE = abi::MSG_MORE;
        /// MSG_ZEROCOPY: without SO_ZEROCOPY it means nothing.
        const ZERO_COPY = 0x400_0000;
    }
}

impl SendFlags {
    fn new(bits: u32) -> Result<Self, Errno> {
        Self::from_bits(bits).ok_or(Errno::EINVAL)
    }

    fn urgency(self) -> Urgency {
        if self.contains(Self::OUT_OF_BAND) { Urgency::Urgent } else { Urgency::Ordinary }
    }
}

/// sendto(2)
pub fn sendto(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let flags = SendFlags::new(call.uint(3))?;
    let to = match call.arg(4) {
        0 => None,
        address => read_destination(task, &**opened.socket()?, address, call.uint(5).into())?,
    };
    let memory = task.memory();
    let buffer = memory.buffer(call.arg(1), call.size(2));
    send(task, call, &opened, buffer, to.as_ref(), Ancillary::default(), flags)
}

/// sendmsg(2)
pub fn sendmsg(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let flags = SendFlags::new(call.uint(2))?;
    send_one(task, call, &opened, call.arg(1), flags)
}

/// sendmmsg(2)
pub fn sendmmsg(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let flags = SendFlags::new(call.uint(3))?;
    let count = u64::from(call.uint(2)).min(super::message::MESSAGES_MAX);
    while call.messages_done() < count {
        let at = call.arg(1).wrapping_add(call.messages_done() * Header::WITH_COUNT_BYTES);
        match call.within_message(|call| send_one(task, call, &opened, at, flags)) {
            Ok(sent) => {
                let sent = u32::try_from(sent).unwrap_or(u32::MAX);
                task.memory().write_struct(at.wrapping_add(Header::BYTES), &sent)?;
            }
            Err(Stop::Error(_)) if call.messages_done() > 0 => break,
            Err(stop) => return Err(stop),
        }
    }
    Ok(call.messages_done())
}

fn send_one(task: &Arc<Task>, call: &mut Call, opened: &Opened, address: u64, flags: SendFlags) -> Result<usize, Stop> {
    let memory = task.memory();
    let header: Header = memory.read_struct(address)?;
    let to = match header.name {
        0 => None,
        _ if header.name_len == 0 => None,
        name => read_destination(task, &**opened.socket()?, name, header.name_len.into())?,
    };
    let ancillary = Ancillary::read(task, header.control, header.control_len())?;
    let buffer = header.vectors(&memory)?;
    send(task, call, opened, buffer, to.as_ref(), ancillary, flags)
}

fn send(
    task: &Arc<Task>,
    call: &mut Call,
    opened: &Opened,
    mut buffer: UserBuffer<'_>,
    to: Option<&Address>,
    ancillary: Ancillary,
    flags: SendFlags,
) -> Result<usize, Stop> {
    let socket = opened.socket()?;
    let total = buffer.remaining();
    buffer.skip(call.resume.done);
    let sender = ancillary.sender.unwrap_or_else(|| Ucred::of(task));
    let rights = ancillary.rights.filter(|_| call.resume.done == 0);
    let mut message = Outgoing {
        to,
        rights,
        sender: Some(sender),
        task: Some(task),
        urgency: flags.urgency(),
        controls: &ancillary.controls,
    };
    loop {
        match socket.send(&mut buffer, &mut message) {
            Ok(count) => {
                call.resume.done += count;
                message.rights = None;
                if socket.kind() != Kind::Stream || count == 0 || call.resume.done >= total {
                    return Ok(call.resume.done);
                }
            }
            Err(Errno::EAGAIN) => return wait(task, call, opened, flags),
            Err(_) if call.resume.done > 0 => return Ok(call.resume.done),
            Err(errno) => {
                if errno == Errno::EPIPE && !flags.contains(SendFlags::NO_SIGNAL) && socket.kind() != Kind::Datagram {
                    task.send_signal(SignalInfo::kernel(Signal::PIPE));
                }
                return Err(errno.into());
            }
        }
    }
}

fn wait(task: &Arc<Task>, call: &mut Call, opened: &Opened, flags: SendFlags) -> Result<usize, Stop> {
    let at_once = flags.contains(SendFlags::DONT_WAIT);
    let patience = if at_once { Connecting::FailsAtOnce } else { opened.patience() };
    match opened.wait(task, call, Direction::Send, patience, Errno::EAGAIN) {
        Stop::Error(_) if call.resume.done > 0 => Ok(call.resume.done),
        stop => Err(stop),
    }
}
