//! splice(2), tee(2), vmsplice(2). Bytes are copied: pages are the host's, and cannot change hands.

use alloc::sync::Arc;

use super::Call;
use super::at::{broken_pipe, check_file_size, offset};
use super::copy::stopped;
use crate::Errno;
use crate::io::Collect;
use crate::pipe::{Pipe, PipeEnd};
use crate::task::Task;
use crate::vfs::{File, OpenFlags, Seeking};
use crate::wait::Stop;

/// What one call moves at most: what a pipe holds.
const BYTES_MAX: usize = 1 << 20;

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct SpliceFlags: u32 {
        const MOVE = 1;
        const NON_BLOCK = 2;
        const MORE = 4;
        const GIFT = 8;
    }
}

fn flags(bits: u32) -> Result<SpliceFlags, Errno> {
    SpliceFlags::from_bits(bits).ok_or(Errno::EINVAL)
}

fn pipe(file: &File) -> Option<&Arc<Pipe>> {
    file.downcast::<PipeEnd>().map(PipeEnd::pipe)
}

/// splice(2)
pub fn splice(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let flags = flags(call.uint(5))?;
    let files = task.files();
    let (input, output) = (files.get_open(call.int(0))?, files.get_open(call.int(2))?);
    input.check_readable()?;
    output.check_writable()?;
    let (from, to) = (pipe(&input), pipe(&output));
    if (from.is_some() && call.arg(1) != 0) || (to.is_some() && call.arg(3) != 0) {
        return Err(Errno::ESPIPE.into());
    }
    for address in [call.arg(1), call.arg(3)] {
        task.memory().read_optional::<u64>(address)?;
    }
    let same = from.zip(to).is_some_and(|(from, to)| Arc::ptr_eq(from, to));
    let append = output.flags().contains(OpenFlags::APPEND);
    if (from.is_none() && to.is_none()) || same || append {
        return Err(Errno::EINVAL.into());
    }
    let mut len = call.size(4).min(BYTES_MAX);
    if len == 0 {
        return Ok(0);
    }
    len = len.min(check_file_size(task, &output, || target(task, &output, call.arg(3)))?);
    if let Some(to) = to {
        len = len.min(to.room());
        if len == 0 {
            return blocked(task, call, &output, flags, Errno::EAGAIN);
        }
    }
    let mut chunk = Collect::new(len);
    if let Err(errno) = take(task, &input, call.arg(1), &mut chunk) {
        return blocked(task, call, &input, flags, errno);
    }
    let mut bytes = chunk.bytes.as_slice();
    if bytes.is_empty() {
        return Ok(0);
    }
    let given = give(task, &output, call.arg(3), &mut bytes);
    let count = given.unwrap_or_default();
    put_back(task, &input, call.arg(1), &chunk.bytes, count)?;
    task.kernel().vfs().notify_read(&input, count);
    match given {
        Ok(count) => Ok(count),
        Err(errno) => blocked(task, call, &output, flags, errno),
    }
}

fn blocked(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    flags: SpliceFlags,
    errno: Errno,
) -> Result<usize, Stop> {
    if errno == Errno::EAGAIN && flags.contains(SpliceFlags::NON_BLOCK) {
        return Err(errno.into());
    }
    stopped(task, call, file, errno)
}

/// Reads; an offset in memory is moved by [`put_back`].
fn take(task: &Arc<Task>, input: &Arc<File>, address: u64, chunk: &mut Collect) -> Result<usize, Errno> {
    if address == 0 {
        return input.read(chunk);
    }
    input.read_at(chunk, offset(task.memory().read_struct(address)?)?)
}

/// Undoes what was read but not written.
fn put_back(task: &Arc<Task>, input: &Arc<File>, address: u64, bytes: &[u8], count: usize) -> Result<(), Errno> {
    if address != 0 {
        // Read anew, so that another thread may have put anything there.
        let at: u64 = task.memory().read_struct(address)?;
        return task.memory().write_struct(address, &at.wrapping_add(count as u64));
    }
    let rest = &bytes[count..];
    if rest.is_empty() {
        return Ok(());
    }
    if let Some(pipe) = pipe(input) {
        pipe.unread(rest);
    } else if input.object().seeking() == Seeking::Yes {
        input.with_position(|position| {
            // Another thread may have moved it meanwhile.
            *position = position.saturating_sub(rest.len() as u64);
            Ok(())
        })?;
    }
    Ok(())
}

fn give(task: &Arc<Task>, output: &Arc<File>, address: u64, bytes: &mut &[u8]) -> Result<usize, Errno> {
    let count = if address == 0 {
        output.write(bytes)?
    } else {
        let at = target(task, output, address)?;
        let count = output.write_at(bytes, at)?;
        task.memory().write_struct(address, &(at + count as u64))?;
        count
    };
    task.kernel().vfs().notify_written(output, count, &task.credentials());
    Ok(count)
}

/// Where the output's bytes go: its position, or the offset in memory.
fn target(task: &Arc<Task>, output: &File, address: u64) -> Result<u64, Errno> {
    if address == 0 { Ok(output.position()) } else { offset(task.memory().read_struct(address)?) }
}

/// tee(2)
pub fn tee(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let flags = flags(call.uint(3))?;
    let files = task.files();
    let (input, output) = (files.get_open(call.int(0))?, files.get_open(call.int(1))?);
    input.check_readable()?;
    output.check_writable()?;
    let (Some(from), Some(to)) = (pipe(&input), pipe(&output)) else { return Err(Errno::EINVAL.into()) };
    if Arc::ptr_eq(from, to) {
        return Err(Errno::EINVAL.into());
    }
    let len = call.size(2).min(BYTES_MAX);
    if len == 0 {
        return Ok(0);
    }
    let mut chunk = Collect::new(len.min(to.room()));
    if to.room() == 0 {
        return blocked(task, call, &output, flags, Errno::EAGAIN);
    }
    if let Err(errno) = from.peek(&mut chunk) {
        return blocked(task, call, &input, flags, errno);
    }
    match to.write(&mut chunk.bytes.as_slice()) {
        Ok(count) => Ok(count),
        Err(errno) => blocked(task, call, &output, flags, errno),
    }
}

/// vmsplice(2)
pub fn vmsplice(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let flags = flags(call.uint(3))?;
    let file = task.files().get_open(call.int(0))?;
    let memory = task.memory();
    let mut buffer = memory.vectors(call.arg(1), call.size(2))?;
    let pipe = pipe(&file).ok_or(Errno::EBADF)?;
    let writes = file.flags().writes();
    let moved = if writes { pipe.write(&mut buffer) } else { pipe.read(&mut buffer) };
    match moved {
        Ok(count) => Ok(count),
        Err(Errno::EPIPE) => {
            broken_pipe(task);
            Err(Errno::EPIPE.into())
        }
        Err(errno) => blocked(task, call, &file, flags, errno),
    }
}
