//! sendfile(2), copy_file_range(2).

use alloc::sync::Arc;
use core::ops::Range;

use super::Call;
use super::at::{broken_pipe, check_file_size, offset};
use super::read_write::wait_for;
use crate::Errno;
use crate::io::Collect;
use crate::task::Task;
use crate::vfs::{File, FileKind, OpenFlags, PollEvents, Seeking};
use crate::wait::Stop;

/// Bytes moved at a time.
const STEP_BYTES: usize = 64 << 10;
/// MAX_RW_COUNT
const BYTES_MAX: usize = 0x7fff_f000;
/// How often one call moves something: whoever has it move single bytes, as from a file onto its own end, gets part.
const STEPS_MAX: usize = 2 * BYTES_MAX / STEP_BYTES;

/// Where one side of a copy is.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// At the file's position.
    Position,
    /// At an offset that lies in the application's memory, and is moved there.
    Memory(u64),
}

impl Cursor {
    fn new(address: u64) -> Self {
        if address == 0 { Self::Position } else { Self::Memory(address) }
    }

    fn get(self, task: &Arc<Task>, file: &File) -> Result<u64, Errno> {
        match self {
            Self::Position => Ok(file.position()),
            Self::Memory(address) => offset(task.memory().read_struct(address)?),
        }
    }

    fn set(self, task: &Arc<Task>, file: &File, to: u64) -> Result<(), Errno> {
        match self {
            Self::Position => file.with_position(|position| {
                *position = to;
                Ok(())
            }),
            Self::Memory(address) => task.memory().write_struct(address, &to),
        }
    }
}

/// Counts a call that reads and writes as both.
fn counted(task: &Task, result: Result<usize, Stop>) -> Result<usize, Stop> {
    task.counters.read(&result);
    task.counters.wrote(&result);
    result
}

/// sendfile(2)
pub fn sendfile(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    counted(task, send_file(task, call))
}

fn send_file(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let files = task.files();
    let (output, input) = (files.get_open(call.int(0))?, files.get_open(call.int(1))?);
    input.check_readable()?;
    output.check_writable()?;
    if input.object().seeking() == Seeking::No {
        return Err(if call.arg(2) == 0 { Errno::EINVAL } else { Errno::ESPIPE }.into());
    }
    if output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL.into());
    }
    let (cursor, total) = (Cursor::new(call.arg(2)), call.size(3).min(BYTES_MAX));
    let mut at = cursor.get(task, &input)?;
    let mut steps = 0..STEPS_MAX;
    while call.resume.done < total && goes_on(task, &mut steps) {
        let allowed = match check_file_size(task, &output, || Ok(output.position())) {
            Ok(allowed) => allowed,
            Err(errno) => return stopped(task, call, &output, errno),
        };
        let mut chunk = Collect::new((total - call.resume.done).min(STEP_BYTES).min(allowed));
        input.object().read(&mut chunk, at)?;
        if chunk.bytes.is_empty() {
            break;
        }
        match output.write(&mut chunk.bytes.as_slice()) {
            Ok(0) => break,
            Ok(count) => {
                call.resume.done += count;
                at += count as u64;
                cursor.set(task, &input, at)?;
                tell(task, &input, &output, count);
            }
            Err(errno) => return stopped(task, call, &output, errno),
        }
    }
    Ok(call.resume.done)
}

/// Whether a call may take a further step: the first in any case, others until a signal waits.
fn goes_on(task: &Task, steps: &mut Range<usize>) -> bool {
    steps.next().is_some_and(|step| step == 0 || !task.has_signal())
}

/// Waits for room, or ends with what was moved.
pub(super) fn stopped(task: &Arc<Task>, call: &mut Call, file: &Arc<File>, errno: Errno) -> Result<usize, Stop> {
    if errno == Errno::EPIPE {
        broken_pipe(task);
    }
    match errno {
        Errno::EAGAIN if !file.is_nonblocking() => Err(wait_for(task, call, file, PollEvents::all())),
        _ if call.resume.done > 0 => Ok(call.resume.done),
        _ => Err(errno.into()),
    }
}

/// copy_file_range(2)
pub fn copy_file_range(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    counted(task, copy_range(task, call))
}

fn copy_range(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let files = task.files();
    let (input, output) = (files.get_open(call.int(0))?, files.get_open(call.int(2))?);
    if call.uint(5) != 0 {
        return Err(Errno::EINVAL.into());
    }
    check_regular(&input)?;
    check_regular(&output)?;
    input.check_readable()?;
    output.check_writable()?;
    if output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF.into());
    }
    let (from, to) = (Cursor::new(call.arg(1)), Cursor::new(call.arg(3)));
    let total = call.size(4).min(BYTES_MAX);
    let (from_at, to_at) = (from.get(task, &input)?, to.get(task, &output)?);
    check_apart(&input, &output, from_at, to_at, total)?;
    let (mut done, mut steps) = (0, 0..STEPS_MAX);
    while done < total && goes_on(task, &mut steps) {
        let (from_at, to_at) = (from_at + done as u64, to_at + done as u64);
        match copy_step(task, (&input, from_at), (&output, to_at), total - done) {
            Ok(0) => break,
            Ok(count) => {
                done += count;
                from.set(task, &input, from_at + count as u64)?;
                to.set(task, &output, to_at + count as u64)?;
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(done)
}

fn check_regular(file: &File) -> Result<(), Errno> {
    match file.inode().kind() {
        FileKind::Regular => Ok(()),
        FileKind::Directory => Err(Errno::EISDIR),
        _ => Err(Errno::EINVAL),
    }
}

/// Two ranges of one file must not overlap.
fn check_apart(input: &File, output: &File, from: u64, to: u64, len: usize) -> Result<(), Errno> {
    let apart = from.abs_diff(to) >= len as u64;
    if input.path().key() == output.path().key() && !apart { Err(Errno::EINVAL) } else { Ok(()) }
}

fn copy_step(
    task: &Arc<Task>,
    (input, from_at): (&Arc<File>, u64),
    (output, to_at): (&Arc<File>, u64),
    len: usize,
) -> Result<usize, Errno> {
    let allowed = check_file_size(task, output, || Ok(to_at))?;
    let mut chunk = Collect::new(len.min(STEP_BYTES).min(allowed));
    input.object().read(&mut chunk, from_at)?;
    let count = output.write_at(&mut chunk.bytes.as_slice(), to_at)?;
    tell(task, input, output, count);
    Ok(count)
}

/// Tells watchers of both files.
fn tell(task: &Task, input: &Arc<File>, output: &Arc<File>, count: usize) {
    let kernel = task.kernel();
    kernel.vfs().notify_read(input, count);
    kernel.vfs().notify_written(output, count, &task.credentials());
}
