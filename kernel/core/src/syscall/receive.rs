//! recvfrom(2), recvmsg(2), recvmmsg(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::net as abi;

use super::Call;
use super::ancillary::Control;
use super::message::{Header, MESSAGES_MAX};
use super::socket::{Opened, write_address};
use crate::Errno;
use crate::abi::Timespec;
use crate::io::{Collect, Sink as _, UserBuffer, UserRange};
use crate::mm::Memory;
use crate::net::{Connecting, Direction, Kind, Socket, Taken, Taking};
use crate::task::Task;
use crate::vfs::OpenFlags;
use crate::wait::Stop;

/// IPPROTO_TCP
const TCP: i32 = 6;
/// How much is thrown away at once.
const THROWN_BYTES_MAX: usize = 1 << 16;

bitflags::bitflags! {
    /// The flags of recv(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct ReceiveFlags: u32 {
        const OUT_OF_BAND = abi::MSG_OOB;
        const PEEK = abi::MSG_PEEK;
        const TRUNCATE = abi::MSG_TRUNC;
        const DONT_WAIT = abi::MSG_DONTWAIT;
        const WAIT_ALL = abi::MSG_WAITALL;
        const ERROR_QUEUE = abi::MSG_ERRQUEUE;
        const NO_SIGNAL = abi::MSG_NOSIGNAL;
        /// MSG_WAITFORONE
        const WAIT_FOR_ONE = 0x1_0000;
        const CLOSE_ON_EXEC = abi::MSG_CMSG_CLOEXEC;
    }
}

impl ReceiveFlags {
    fn new(bits: u32) -> Result<Self, Errno> {
        let flags = Self::from_bits(bits).ok_or(Errno::EINVAL)?;
        match () {
            // No error is ever kept with the message that caused it.
            () if flags.contains(Self::ERROR_QUEUE) => Err(Errno::EAGAIN),
            () => Ok(flags),
        }
    }

    fn taking(self) -> Taking {
        if self.contains(Self::PEEK) { Taking::Peek } else { Taking::Remove }
    }
}

/// recvfrom(2)
pub fn recvfrom(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let flags = ReceiveFlags::new(call.uint(3))?;
    let memory = task.memory();
    let taken = receive(task, call, &opened, memory.buffer(call.arg(1), call.size(2)), flags)?;
    if call.arg(4) != 0 {
        match &taken.parcel.from {
            Some(from) => write_address(task, from, call.arg(4), call.arg(5))?,
            None if call.arg(5) != 0 => memory.write_struct(call.arg(5), &0_u32)?,
            None => {}
        }
    }
    Ok(returned(&taken, flags))
}

/// MSG_TRUNC asks for the message's whole length.
fn returned(taken: &Taken, flags: ReceiveFlags) -> usize {
    if flags.contains(ReceiveFlags::TRUNCATE) { taken.whole } else { taken.count }
}

/// recvmsg(2)
pub fn recvmsg(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let flags = ReceiveFlags::new(call.uint(2))?;
    receive_one(task, call, &opened, call.arg(1), flags)
}

/// recvmmsg(2)
pub fn recvmmsg(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let mut flags = ReceiveFlags::new(call.uint(3))?;
    let count = u64::from(call.uint(2)).min(MESSAGES_MAX);
    let limit = task.memory().read_optional::<Timespec>(call.arg(4))?.map(Timespec::duration).transpose()?;
    while call.messages_done() < count {
        if call.messages_done() > 0 && flags.contains(ReceiveFlags::WAIT_FOR_ONE) {
            flags |= ReceiveFlags::DONT_WAIT;
        }
        let at = call.arg(1).wrapping_add(call.messages_done() * Header::WITH_COUNT_BYTES);
        match call.within_message(|call| receive_one(task, call, &opened, at, flags)) {
            Ok(received) => {
                let received = u32::try_from(received).unwrap_or(u32::MAX);
                task.memory().write_struct(at.wrapping_add(Header::BYTES), &received)?;
            }
            Err(Stop::Error(_)) if call.messages_done() > 0 => break,
            Err(stop) => return Err(stop),
        }
        if limit.is_some_and(|limit| call.times_out(task, limit)) {
            break;
        }
    }
    Ok(call.messages_done())
}

/// Where a message goes, read once: the application may use its memory for something else while it waits.
#[derive(Clone, Debug)]
struct Room {
    address: u64,
    header: Header,
    ranges: Vec<UserRange>,
}

impl Room {
    fn of(call: &Call, memory: &Memory, address: u64) -> Result<Self, Errno> {
        if let Some(kept) = call.kept::<Self>().filter(|kept| kept.address == address) {
            return Ok(kept.clone());
        }
        let header: Header = memory.read_struct(address)?;
        Ok(Self { address, ranges: header.ranges(memory)?, header })
    }
}

fn receive_one(
    task: &Arc<Task>,
    call: &mut Call,
    opened: &Opened,
    address: u64,
    flags: ReceiveFlags,
) -> Result<usize, Stop> {
    let memory = task.memory();
    let room = Room::of(call, &memory, address)?;
    let taken = match receive(task, call, opened, memory.buffer_of(room.ranges.clone()), flags) {
        Err(stop @ (Stop::Wait | Stop::WaitNoRestart)) => {
            call.keep(room);
            return Err(stop);
        }
        taken => taken?,
    };
    let mut header = room.header;
    if header.name != 0 {
        let bytes = taken.parcel.from.as_ref().map(crate::net::Address::to_bytes).unwrap_or_default();
        let room = usize::try_from(header.name_len).unwrap_or(0);
        memory.write_bytes(header.name, &bytes[..bytes.len().min(room)])?;
        header.name_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    }
    let control = control(task, opened, &header, &taken, flags)?;
    header.flags = u32::from(control.truncated) * abi::MSG_CTRUNC;
    header.flags |= flags.bits() & (abi::MSG_CMSG_CLOEXEC | abi::MSG_OOB);
    if taken.count < taken.whole {
        header.flags |= abi::MSG_TRUNC;
    }
    let bytes = control.finish();
    memory.write_bytes(header.control, &bytes)?;
    header.control_len = bytes.len() as u64;
    memory.write_struct(address, &header)?;
    Ok(returned(&taken, flags))
}

fn control(
    task: &Arc<Task>,
    opened: &Opened,
    header: &Header,
    taken: &Taken,
    flags: ReceiveFlags,
) -> Result<Control, Errno> {
    let mut control = Control::new(header.control_len());
    if taken.count > 0 || taken.is_message {
        control.add_credentials(&**opened.socket()?, taken.parcel.sender);
        opened.socket()?.tell(&taken.parcel, &mut |level, kind, data| control.add(level, kind, data));
    }
    if let Some(rights) = &taken.parcel.rights {
        let closing = flags.contains(ReceiveFlags::CLOSE_ON_EXEC);
        let flags = if closing { OpenFlags::CLOSE_ON_EXEC } else { OpenFlags::empty() };
        control.add_rights(task, rights, flags);
    }
    Ok(control)
}

fn receive(
    task: &Arc<Task>,
    call: &mut Call,
    opened: &Opened,
    mut buffer: UserBuffer<'_>,
    flags: ReceiveFlags,
) -> Result<Taken, Stop> {
    let socket = opened.socket()?;
    if flags.contains(ReceiveFlags::OUT_OF_BAND) {
        return Ok(receive_urgent(&**socket, &mut buffer, flags)?);
    }
    buffer.skip(call.resume.done);
    loop {
        match take(&**socket, &mut buffer, flags) {
            Ok(mut taken) => {
                call.resume.done += taken.count;
                let more = flags.contains(ReceiveFlags::WAIT_ALL) && socket.kind() == Kind::Stream;
                let ended = taken.count == 0 || buffer.remaining() == 0 || taken.parcel.rights.is_some();
                if more && !ended && !flags.contains(ReceiveFlags::PEEK) {
                    continue;
                }
                if socket.kind() == Kind::Stream {
                    (taken.count, taken.whole) = (call.resume.done, call.resume.done);
                }
                return Ok(taken);
            }
            Err(Errno::EAGAIN) => return wait(task, call, opened, flags),
            Err(_) if call.resume.done > 0 => return Ok(partly(call)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn receive_urgent(socket: &dyn Socket, buffer: &mut UserBuffer<'_>, flags: ReceiveFlags) -> Result<Taken, Errno> {
    let Some(byte) = socket.receive_urgent(flags.taking())? else { return Ok(Taken::default()) };
    let count = if buffer.remaining() > 0 { buffer.put(&[byte])? } else { 0 };
    Ok(Taken { count, whole: 1, ..Taken::default() })
}

/// With MSG_TRUNC, what a TCP socket received is thrown away (tcp(7)).
fn take(socket: &dyn Socket, buffer: &mut UserBuffer<'_>, flags: ReceiveFlags) -> Result<Taken, Errno> {
    if !flags.contains(ReceiveFlags::TRUNCATE) || socket.protocol() != TCP {
        return socket.receive(buffer, flags.taking());
    }
    let mut thrown = Collect::new(buffer.remaining().min(THROWN_BYTES_MAX));
    let taken = socket.receive(&mut thrown, flags.taking())?;
    buffer.skip(taken.count);
    Ok(taken)
}

/// What MSG_WAITALL has when no more comes.
fn partly(call: &Call) -> Taken {
    Taken { count: call.resume.done, whole: call.resume.done, ..Taken::default() }
}

fn wait(task: &Arc<Task>, call: &mut Call, opened: &Opened, flags: ReceiveFlags) -> Result<Taken, Stop> {
    let at_once = flags.contains(ReceiveFlags::DONT_WAIT);
    let patience = if at_once { Connecting::FailsAtOnce } else { opened.patience() };
    match opened.wait(task, call, Direction::Receive, patience, Errno::EAGAIN) {
        Stop::Error(_) if call.resume.done > 0 => Ok(partly(call)),
        stop => Err(stop),
    }
}
