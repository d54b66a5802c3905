//! Starting programs: execve(2), execveat(2).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use super::{Call, Outcome};
use crate::Errno;
use crate::exec::{Request, STRING_BYTES_MAX, load};
use crate::mm::{Memory, PAGE, page_down};
use crate::task::Task;
use crate::vfs::{Caller, FdFlags, Follow, Name, Path};
use crate::wait::Stop;

/// What strings may take in all, whatever the limit on the stack.
const STRINGS_BYTES_MAX: usize = 6 << 20;

/// execve(2)
pub fn execve(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let memory = task.memory();
    let mut pages = Pages::new(&memory);
    let text = pages.path(call.arg(0))?;
    let caller = Caller::of(task);
    let path = Name::new(&task.fs(), &caller, &text).find(Follow::Yes)?;
    let command = last_part(&text).to_vec();
    let file = Named { path, name: Some(text), command };
    let strings = [call.arg(1), call.arg(2)];
    start(task, call, &caller, file, &mut pages, strings)
}

bitflags::bitflags! {
    /// The flags of execveat(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct AtFlags: u32 {
        const EMPTY_PATH = abi::AT_EMPTY_PATH;
        const NO_FOLLOW = abi::AT_SYMLINK_NOFOLLOW;
    }
}

/// execveat(2)
pub fn execveat(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let flags = AtFlags::from_bits(call.uint(4)).ok_or(Errno::EINVAL)?;
    let memory = task.memory();
    let mut pages = Pages::new(&memory);
    let text = pages.path(call.arg(1))?;
    let caller = Caller::of(task);
    let file = named_at(task, &caller, call.int(0), text, flags)?;
    let strings = [call.arg(2), call.arg(3)];
    start(task, call, &caller, file, &mut pages, strings)
}

/// What is to be started.
struct Named {
    path: Path,
    name: Option<Vec<u8>>,
    command: Vec<u8>,
}

fn named_at(task: &Task, caller: &Caller, fd: i32, text: Vec<u8>, flags: AtFlags) -> Result<Named, Errno> {
    let follow = if flags.contains(AtFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes };
    let context = task.fs();
    if fd == abi::AT_FDCWD || text.starts_with(b"/") {
        let path = Name::new(&context, caller, &text).find(follow)?;
        let command = last_part(&text).to_vec();
        return Ok(Named { path, name: Some(text), command });
    }
    let descriptor = task.files().descriptor(fd)?;
    let base = descriptor.file.path().clone();
    let through = alloc::format!("/dev/fd/{fd}").into_bytes();
    let (path, name) = if text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        (base, through)
    } else {
        let name = [&through, &b"/"[..], &text].concat();
        (Name { base: Some(base), ..Name::new(&context, caller, &text) }.find(follow)?, name)
    };
    let command = path.dentry.name();
    // An interpreter would find the descriptor closed.
    let usable = !descriptor.flags.contains(FdFlags::CLOSE_ON_EXEC);
    Ok(Named { path, name: usable.then_some(name), command })
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn start(
    task: &Arc<Task>,
    call: &mut Call,
    caller: &Caller,
    file: Named,
    pages: &mut Pages<'_>,
    strings: [u64; 2],
) -> Result<Outcome, Stop> {
    let loaded = load(Request {
        kernel: task.kernel(),
        caller,
        context: &task.fs(),
        path: file.path,
        name: file.name.as_deref(),
        command: &file.command,
        arguments: read_strings(pages, strings[0])?,
        environment: read_strings(pages, strings[1])?,
        limits: &task.process().limits(),
        personality: task.personality(),
        space: task.succeeding_space(call),
    });
    let program = match loaded {
        Ok(program) => program,
        // The other threads are gone, so there is nobody to go on.
        Err(_) if call.resume.state == ALONE => return Ok(task.die_in_exec()),
        Err(errno) => return Err(errno.into()),
    };
    if task.process().task_count() > 1 {
        call.resume.state = ALONE;
    }
    task.stand_alone(call)?;
    close_files(task);
    task.enter_program(program).or_else(|_| Ok(task.die_in_exec()))
}

/// [`crate::syscall::Resume::state`] once the process' other threads are being ended.
const ALONE: u64 = 1;

/// Descriptors are no longer shared, and those marked so are closed.
fn close_files(task: &Task) {
    let files = task.files();
    // One reference is the task's, one is here.
    if Arc::strong_count(&files) > 2 {
        task.replace_files(files.copy());
    }
    drop(files);
    for closed in task.files().remove_close_on_exec() {
        closed.file.object().closed_by(task);
    }
}

/// An array of pointers to strings up to a null pointer; a null array is empty, as on Linux.
fn read_strings(pages: &mut Pages<'_>, array: u64) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    if array == 0 {
        return Ok(strings);
    }
    loop {
        let at = array.checked_add(8 * strings.len() as u64).ok_or(Errno::EFAULT)?;
        let string = pages.number(at)?;
        if string == 0 {
            return Ok(strings);
        }
        strings.push(pages.string(string)?);
        // With its terminator and the pointer to it.
        bytes += strings.last().map_or(0, Vec::len) + 9;
        if bytes > STRINGS_BYTES_MAX {
            return Err(Errno::E2BIG);
        }
    }
}

/// What a path takes at most (PATH_MAX).
const PATH_BYTES_MAX: usize = 4096;
/// Pages that are kept: the path, pointers and strings of arguments and environment lie in two or three, mostly.
const PAGES_MAX: usize = 4;

/// Reads what mostly lies close together, page by page.
struct Pages<'a> {
    memory: &'a Memory,
    read: VecDeque<(u64, Vec<u8>)>,
}

impl<'a> Pages<'a> {
    fn new(memory: &'a Memory) -> Self {
        Self { memory, read: VecDeque::new() }
    }

    /// What of its page lies behind an address.
    fn rest(&mut self, at: u64) -> Result<&[u8], Errno> {
        let start = page_down(at);
        let known = self.read.iter().position(|(page, _)| *page == start);
        let index = known.map_or_else(|| self.add(start), Ok)?;
        Ok(&self.read[index].1[usize::try_from(at - start).map_err(|_| Errno::EFAULT)?..])
    }

    /// Reads one more page; where it is now.
    fn add(&mut self, start: u64) -> Result<usize, Errno> {
        let bytes = self.memory.read_vec(start, usize::try_from(PAGE).map_err(|_| Errno::EFAULT)?)?;
        self.read.truncate(PAGES_MAX - 1);
        self.read.push_front((start, bytes));
        Ok(0)
    }

    fn number(&mut self, at: u64) -> Result<u64, Errno> {
        match self.rest(at)?.first_chunk() {
            Some(bytes) => Ok(u64::from_le_bytes(*bytes)),
            None => self.memory.read_struct(at),
        }
    }

    /// `ENAMETOOLONG` from PATH_MAX on.
    fn path(&mut self, address: u64) -> Result<Vec<u8>, Errno> {
        self.text(address, PATH_BYTES_MAX, Errno::ENAMETOOLONG)
    }

    /// `E2BIG` when it is longer than a string may be.
    fn string(&mut self, address: u64) -> Result<Vec<u8>, Errno> {
        self.text(address, STRING_BYTES_MAX, Errno::E2BIG)
    }

    fn text(&mut self, address: u64, max: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        while string.len() < max {
            let at = address.checked_add(string.len() as u64).ok_or(Errno::EFAULT)?;
            let rest = self.rest(at)?;
            let end = rest.iter().position(|byte| *byte == 0);
            string.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            if end.is_some() {
                break;
            }
        }
        if string.len() < max { Ok(string) } else { Err(too_long) }
    }
}
