//! io_setup(2), io_submit(2), io_getevents(2) and their like.

use alloc::sync::Arc;
use core::time::Duration;

use super::at::offset;
use super::poll::{patience, replace_mask};
use super::read_write::{IoFlags, Place, read_file, wait_for, write_file};
use super::{Call, Outcome};
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec};
use crate::aio::{AioContext, AioEvent};
use crate::eventfd::EventFd;
use crate::io::UserBuffer;
use crate::mm::{MapRequest, Memory, PAGE};
use crate::platform::{Form, Protection};
use crate::poll::Look;
use crate::task::Task;
use crate::vfs::{File, FileKind, PollEvents, Seeking};
use crate::wait::Stop;

/// /proc/sys/fs/aio-max-nr, for each address space
const EVENTS_MAX: usize = 65_536;
/// More than that no ring of Linux has.
const RING_EVENTS_MAX: u32 = 4_194_304;
/// What a request does (IOCB_CMD_*).
mod operation {
    pub const PREAD: u16 = 0;
    pub const PWRITE: u16 = 1;
    pub const FSYNC: u16 = 2;
    pub const FDSYNC: u16 = 3;
    pub const PREADV: u16 = 7;
    pub const PWRITEV: u16 = 8;
}
/// IOCB_FLAG_RESFD
const FLAG_RESULT_FD: u32 = 1;

/// `struct iocb`
#[derive(Clone, Copy, Debug)]
struct Request {
    data: u64,
    flags: u32,
    operation: u16,
    fd: i32,
    buffer: u64,
    len: u64,
    offset: u64,
    reserved: u64,
    options: u32,
    result_fd: i32,
}

impl Abi for Request {
    const LEN: usize = 64;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let data = from.take();
        from.skip(4);
        let (flags, operation) = (from.take(), from.take());
        from.skip(2);
        Self {
            data,
            flags,
            operation,
            fd: from.take(),
            buffer: from.take(),
            len: from.take(),
            offset: from.take(),
            reserved: from.take(),
            options: from.take(),
            result_fd: from.take(),
        }
    }

    /// Only its key is ever written, by the caller.
    fn encode(&self, to: &mut Encoder) {
        to.zeros(Self::LEN);
    }
}

/// io_setup(2)
///
/// The identifier is the address of a page, because libraries look for a ring there before they make a call. It stays
/// zero, which tells them to call.
pub fn io_setup(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let (count, memory) = (call.uint(0), task.memory());
    let known: u64 = memory.read_struct(call.arg(1))?;
    if known != 0 || count == 0 || count > RING_EVENTS_MAX {
        return Err(Errno::EINVAL.into());
    }
    // The word is known to be 0: whether it can be written is asked before anything is made.
    memory.write_struct(call.arg(1), &known)?;
    let count = usize::try_from(count).map_err(|_| Errno::EAGAIN)?;
    let request = MapRequest::anonymous(PAGE, Protection::READ | Protection::WRITE);
    let mut change = {
        let mut contexts = memory.contexts.lock();
        let taken: usize = contexts.values().map(|context| context.events_max()).sum();
        if taken.saturating_add(count) > EVENTS_MAX {
            return Err(Errno::EAGAIN.into());
        }
        let change = memory.map(task.tid(), &request, &task.memory_limits())?;
        contexts.insert(change.value, Arc::new(AioContext::new(count)));
        change
    };
    let id = core::mem::take(&mut change.value);
    // Another thread may have taken the word away since: its process is left with a context that it cannot name.
    let _unreadable = memory.write_struct(call.arg(1), &id);
    Ok(task.answer(call, change))
}

/// io_destroy(2)
pub fn io_destroy(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let memory = task.memory();
    let context = memory.contexts.lock().remove(&call.arg(0)).ok_or(Errno::EINVAL)?;
    context.queue().wake();
    let change = memory.unmap(task.tid(), call.arg(0), PAGE)?;
    Ok(task.answer(call, change))
}

fn context(memory: &Memory, id: u64) -> Result<Arc<AioContext>, Errno> {
    memory.contexts.lock().get(&id).cloned().ok_or(Errno::EINVAL)
}

/// io_submit(2)
pub fn io_submit(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let memory = task.memory();
    let context = context(&memory, call.arg(0))?;
    let count = usize::try_from(call.arg(1).cast_signed()).map_err(|_| Errno::EINVAL)?.min(EVENTS_MAX);
    while call.resume.done < count {
        match submit(task, call, &memory, &context) {
            Ok(()) => call.resume.done += 1,
            // What was submitted before counts more than why no more could be.
            Err(Stop::Error(_)) if call.resume.done > 0 => break,
            Err(stop) => return Err(stop),
        }
    }
    Ok(call.resume.done)
}

fn submit(task: &Arc<Task>, call: &mut Call, memory: &Memory, context: &AioContext) -> Result<(), Stop> {
    let at: u64 = memory.read_struct(call.arg(2).wrapping_add(call.resume.done as u64 * 8))?;
    let request: Request = memory.read_struct(at)?;
    if request.reserved != 0 || isize::try_from(request.len).is_err() {
        return Err(Errno::EINVAL.into());
    }
    context.check_room()?;
    let file = task.files().get_open(request.fd)?;
    let told = told(task, &request)?;
    // aio_key, by which io_cancel(2) knows a request that was submitted.
    memory.write_struct(at.wrapping_add(8), &0_u32)?;
    let result = match carry_out(task, memory, &file, &request)? {
        Ok(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Err(Stop::Error(Errno::EAGAIN)) if !file.is_nonblocking() => {
            return Err(wait_for(task, call, &file, interest(request.operation)));
        }
        Err(Stop::Error(errno)) => -i64::from(errno.raw()),
        Err(stop) => return Err(stop),
    };
    context.complete(AioEvent { data: request.data, request: at, result });
    if let Some(told) = told {
        told.downcast::<EventFd>().ok_or(Errno::EINVAL)?.signal();
    }
    Ok(())
}

/// The eventfd that hears of the completion, if there is one.
fn told(task: &Task, request: &Request) -> Result<Option<Arc<File>>, Errno> {
    if request.options & FLAG_RESULT_FD == 0 {
        return Ok(None);
    }
    let file = task.files().get_open(request.result_fd)?;
    if file.downcast::<EventFd>().is_some() { Ok(Some(file)) } else { Err(Errno::EINVAL) }
}

fn interest(operation: u16) -> PollEvents {
    let writes = matches!(operation, operation::PWRITE | operation::PWRITEV);
    if writes { PollEvents::WRITABLE } else { PollEvents::READABLE }
}

/// Does what a request asks for. The outer error refuses the request, the inner one is how it completes.
fn carry_out(
    task: &Arc<Task>,
    memory: &Memory,
    file: &Arc<File>,
    request: &Request,
) -> Result<Result<usize, Stop>, Errno> {
    match request.operation {
        operation::PREAD | operation::PREADV => {
            file.check_readable()?;
            let (flags, place, buffer) = (flags(request)?, place(file, request)?, buffer(memory, request)?);
            Ok(read_file(task, &mut nested(), file, buffer, place, flags))
        }
        operation::PWRITE | operation::PWRITEV => {
            file.check_writable()?;
            let (flags, place, buffer) = (flags(request)?, place(file, request)?, buffer(memory, request)?);
            Ok(write_file(task, &mut nested(), file, buffer, place, flags))
        }
        operation::FSYNC | operation::FDSYNC => match file.inode().kind() {
            FileKind::Regular | FileKind::Directory => Ok(file.inode().sync().map(|()| 0).map_err(Stop::from)),
            _ => Err(Errno::EINVAL),
        },
        _ => Err(Errno::EINVAL),
    }
}

/// A request never waits by itself.
fn flags(request: &Request) -> Result<IoFlags, Errno> {
    Ok(IoFlags::from_bits(request.flags).ok_or(Errno::EOPNOTSUPP)? | IoFlags::NO_WAIT)
}

/// A call of its own, which remembers nothing.
fn nested() -> Call {
    Call::new(0, [0; 6], Form::Direct)
}

fn place(file: &File, request: &Request) -> Result<Place, Errno> {
    if file.object().seeking() == Seeking::No { Ok(Place::Position) } else { offset(request.offset).map(Place::Offset) }
}

fn buffer<'a>(memory: &'a Memory, request: &Request) -> Result<UserBuffer<'a>, Errno> {
    let len = usize::try_from(request.len).map_err(|_| Errno::EINVAL)?;
    match request.operation {
        operation::PREADV | operation::PWRITEV => memory.vectors(request.buffer, len),
        _ => Ok(memory.buffer(request.buffer, len)),
    }
}

/// io_cancel(2): no request is ever under way between two calls.
pub fn io_cancel(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    context(&task.memory(), call.arg(0))?;
    let _key: u32 = task.memory().read_struct(call.arg(1).wrapping_add(8))?;
    Err(Errno::EINVAL.into())
}

/// io_getevents(2)
pub fn io_getevents(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let timeout = task.memory().read_optional::<Timespec>(call.arg(4))?.map(Timespec::duration).transpose()?;
    get_events(task, call, timeout)
}

/// io_pgetevents(2)
pub fn io_pgetevents(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let memory = task.memory();
    let timeout = memory.read_optional::<Timespec>(call.arg(4))?.map(Timespec::duration).transpose()?;
    if call.arg(5) != 0 {
        let [set, len] = memory.read_struct::<[u64; 2]>(call.arg(5))?;
        replace_mask(task, set, len)?;
    }
    get_events(task, call, timeout)
}

fn get_events(task: &Arc<Task>, call: &mut Call, timeout: Option<Duration>) -> Result<usize, Stop> {
    let memory = task.memory();
    let context = context(&memory, call.arg(0))?;
    let number = |index: usize| usize::try_from(call.arg(index).cast_signed()).map_err(|_| Errno::EINVAL);
    let (least, most) = (number(1)?, number(2)?);
    if least > most {
        return Err(Errno::EINVAL.into());
    }
    if context.len() < least && patience(task, call, timeout) == Look::Wait {
        call.watch(task, context.queue());
        return Err(Stop::WaitNoRestart);
    }
    let events = context.take(most);
    memory.write_array(call.arg(3), &events)?;
    Ok(events.len())
}
