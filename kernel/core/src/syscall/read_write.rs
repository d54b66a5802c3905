//! read(2), write(2) and their like with vectors and offsets.

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{check_file_size, offset};
use crate::Errno;
use crate::io::{Front, Source as _, UserBuffer};
use crate::task::Task;
use crate::vfs::{File, FileObject, OpenFlags, PollEvents};
use crate::wait::Stop;

bitflags::bitflags! {
    /// The flags of preadv2(2) and pwritev2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct IoFlags: u32 {
        const HIGH_PRIORITY = abi::RWF_HIPRI;
        const DATA_SYNC = abi::RWF_DSYNC;
        const SYNC = abi::RWF_SYNC;
        const NO_WAIT = abi::RWF_NOWAIT;
        const APPEND = abi::RWF_APPEND;
    }
}

/// Where a call reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the file's position.
    Position,
    /// At an offset.
    Offset(u64),
    /// At the end, wherever the position is.
    End,
}

/// read(2)
pub fn read(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let memory = task.memory();
    read_file(task, call, &file, memory.buffer(call.arg(1), call.size(2)), Place::Position, IoFlags::empty())
}

/// write(2)
pub fn write(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let memory = task.memory();
    write_file(task, call, &file, memory.buffer(call.arg(1), call.size(2)), Place::Position, IoFlags::empty())
}

/// pread64(2)
pub fn pread64(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let (memory, place) = (task.memory(), Place::Offset(offset(call.arg(3))?));
    read_file(task, call, &file, memory.buffer(call.arg(1), call.size(2)), place, IoFlags::empty())
}

/// pwrite64(2)
pub fn pwrite64(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let (memory, place) = (task.memory(), Place::Offset(offset(call.arg(3))?));
    write_file(task, call, &file, memory.buffer(call.arg(1), call.size(2)), place, IoFlags::empty())
}

/// readv(2)
pub fn readv(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    read_vectors(task, call, Place::Position, 0)
}

/// writev(2)
pub fn writev(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    write_vectors(task, call, Place::Position, 0)
}

/// preadv(2)
pub fn preadv(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    read_vectors(task, call, Place::Offset(offset(call.arg(3))?), 0)
}

/// pwritev(2)
pub fn pwritev(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    write_vectors(task, call, Place::Offset(offset(call.arg(3))?), 0)
}

/// preadv2(2)
pub fn preadv2(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    read_vectors(task, call, place_or_position(call.arg(3))?, call.uint(5))
}

/// pwritev2(2)
pub fn pwritev2(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    write_vectors(task, call, place_or_position(call.arg(3))?, call.uint(5))
}

/// An offset of -1 means the position.
fn place_or_position(argument: u64) -> Result<Place, Errno> {
    if argument == u64::MAX { Ok(Place::Position) } else { Ok(Place::Offset(offset(argument)?)) }
}

fn read_vectors(task: &Arc<Task>, call: &mut Call, place: Place, flags: u32) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let flags = IoFlags::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    let memory = task.memory();
    let buffer = memory.vectors(call.arg(1), call.size(2))?;
    read_file(task, call, &file, buffer, place, flags)
}

fn write_vectors(task: &Arc<Task>, call: &mut Call, place: Place, flags: u32) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    let flags = IoFlags::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    let place = if flags.contains(IoFlags::APPEND) { Place::End } else { place };
    let memory = task.memory();
    let buffer = memory.vectors(call.arg(1), call.size(2))?;
    write_file(task, call, &file, buffer, place, flags)
}

pub(super) fn read_file(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    buffer: UserBuffer<'_>,
    place: Place,
    flags: IoFlags,
) -> Result<usize, Stop> {
    let result = read_some(task, call, file, buffer, place, flags);
    task.counters.read(&result);
    result
}

fn read_some(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    mut buffer: UserBuffer<'_>,
    place: Place,
    flags: IoFlags,
) -> Result<usize, Stop> {
    file.object().check_access(task, PollEvents::READABLE)?;
    let own = file.object().seen_by(task);
    let result = match place {
        _ if own.is_some() => own.as_ref().map_or(Err(Errno::EINVAL), |own| own.read(&mut buffer, 0)),
        Place::Offset(offset) => file.read_at(&mut buffer, offset),
        _ => file.read(&mut buffer),
    };
    match result {
        Err(Errno::EAGAIN) if !flags.contains(IoFlags::NO_WAIT) => {
            match wait_for(task, call, file, PollEvents::READABLE) {
                Stop::Error(_) if !file.is_nonblocking() => Ok(file.object().late_read(&mut buffer)?),
                stop => Err(stop),
            }
        }
        Ok(count) => {
            task.kernel().vfs().notify_read(file, count);
            Ok(count)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The inside of a file, as a task sees it.
pub(super) fn seen_by(task: &Arc<Task>, file: &File) -> Arc<dyn FileObject> {
    file.object().seen_by(task).unwrap_or_else(|| file.object().clone())
}

/// Waits until a file may give or take something, unless it is not to be waited for.
pub(super) fn wait_for(task: &Arc<Task>, call: &mut Call, file: &Arc<File>, interest: PollEvents) -> Stop {
    let queue = match seen_by(task, file).queue() {
        Some(queue) if !file.is_nonblocking() => queue,
        _ => return Errno::EAGAIN.into(),
    };
    match file.object().time_limit(interest) {
        None => call.wait_for(task, &queue, interest | PollEvents::RDHUP),
        Some(limit) if call.times_out(task, limit) => Errno::EAGAIN.into(),
        // Calls with a time limit of their file's are not restarted (signal(7)).
        Some(_) => {
            call.watch(task, &queue);
            Stop::WaitNoRestart
        }
    }
}

pub(super) fn write_file(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    buffer: UserBuffer<'_>,
    place: Place,
    flags: IoFlags,
) -> Result<usize, Stop> {
    let result = write_all(task, call, file, buffer, place, flags);
    task.counters.wrote(&result);
    result
}

fn write_all(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    buffer: UserBuffer<'_>,
    place: Place,
    flags: IoFlags,
) -> Result<usize, Stop> {
    file.object().check_access(task, PollEvents::WRITABLE)?;
    let total = buffer.remaining();
    let mut rest = buffer.clone();
    rest.skip(call.resume.done);
    let allowed = if total == 0 { 0 } else { check_file_size(task, file, || start(file, place))? };
    loop {
        let mut rest_allowed = Front::new(&mut rest, allowed);
        let result = match place {
            Place::Position => file.write(&mut rest_allowed),
            Place::Offset(offset) => file.write_at(&mut rest_allowed, offset.saturating_add(call.resume.done as u64)),
            Place::End => file.append(&mut rest_allowed),
        };
        let count = match result {
            Ok(count) => count,
            Err(Errno::EAGAIN) if !flags.contains(IoFlags::NO_WAIT) && !file.is_nonblocking() => {
                match wait_for(task, call, file, PollEvents::WRITABLE) {
                    Stop::Error(errno) => return finish_write(task, call, errno),
                    stop => return Err(stop),
                }
            }
            Err(errno) => return finish_write(task, call, errno),
        };
        call.resume.done += count;
        task.kernel().vfs().notify_written(file, count, &task.credentials());
        if count == 0 || call.resume.done >= total || !file.object().takes_all() {
            sync_after(file, flags)?;
            return Ok(call.resume.done);
        }
        // A file may take fewer bytes than it looked at.
        rest = buffer.clone();
        rest.skip(call.resume.done);
    }
}

/// Where a write begins.
fn start(file: &File, place: Place) -> Result<u64, Errno> {
    match place {
        _ if file.flags().contains(OpenFlags::APPEND) => Ok(file.inode().stat()?.size),
        Place::Position => Ok(file.position()),
        Place::Offset(offset) => Ok(offset),
        Place::End => Ok(file.inode().stat()?.size),
    }
}

/// What was written before counts more than why no more could be.
fn finish_write(task: &Arc<Task>, call: &Call, errno: Errno) -> Result<usize, Stop> {
    if errno == Errno::EPIPE {
        super::at::broken_pipe(task);
    }
    if call.resume.done > 0 { Ok(call.resume.done) } else { Err(errno.into()) }
}

fn sync_after(file: &Arc<File>, flags: IoFlags) -> Result<(), Errno> {
    let synced = OpenFlags::DATA_SYNC;
    if flags.intersects(IoFlags::DATA_SYNC | IoFlags::SYNC) || file.flags().contains(synced) {
        file.inode().sync()?;
    }
    Ok(())
}
