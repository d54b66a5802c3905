//! open(2), openat(2), openat2(2), creat(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::At;
use super::new_file::install;
use crate::Errno;
use crate::abi::{Abi as _, Decoder};
use crate::pipe::{FifoOpen, open_fifo};
use crate::task::{Credentials, Task};
use crate::vfs::{OpenFlags, OpenHow, Opened, Resolve};
use crate::wait::Stop;

/// open(2)
pub fn open(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let how = lenient(call.uint(1), call.uint(2));
    open_at(task, call, abi::AT_FDCWD, call.arg(0), how)
}

/// openat(2)
pub fn openat(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let how = lenient(call.uint(2), call.uint(3));
    open_at(task, call, call.int(0), call.arg(1), how)
}

/// creat(2)
pub fn creat(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let how = lenient(abi::O_CREAT | abi::O_WRONLY | abi::O_TRUNC, call.uint(1));
    open_at(task, call, abi::AT_FDCWD, call.arg(0), how)
}

/// openat2(2)
pub fn openat2(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let how = read_how(task, call.arg(2), call.size(3));
    open_at(task, call, call.int(0), call.arg(1), how)
}

/// open(2) ignores bits that it does not know, and the mode unless a file may be made.
pub(super) fn lenient(flags: u32, mode: u32) -> Result<OpenHow, Errno> {
    let mut flags = OpenFlags::from_bits_truncate(flags) | OpenFlags::LARGE_FILE;
    if flags.contains(OpenFlags::PATH) {
        flags &= OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW | OpenFlags::CLOSE_ON_EXEC;
    }
    let makes = flags.intersects(OpenFlags::CREATE | OpenFlags::TEMPORARY);
    check(OpenHow { flags, permissions: if makes { mode & 0o7777 } else { 0 }, resolve: Resolve::empty() })
}

/// `build_open_flags` of Linux.
fn check(how: OpenHow) -> Result<OpenHow, Errno> {
    let flags = how.flags;
    let temporary = flags.contains(OpenFlags::TEMPORARY);
    if temporary && (!flags.contains(OpenFlags::DIRECTORY) || flags.contains(OpenFlags::CREATE) || !flags.writes()) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::CREATE | OpenFlags::DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    Ok(how)
}

/// `struct open_how`: 64-bit flags, mode and restrictions. A longer one must be zero behind.
fn read_how(task: &Arc<Task>, address: u64, len: usize) -> Result<OpenHow, Errno> {
    const LEN: usize = 24;
    if len < LEN {
        return Err(Errno::EINVAL);
    }
    if len > 4096 {
        return Err(Errno::E2BIG);
    }
    let bytes = task.memory().read_vec(address, len)?;
    if bytes[LEN..].iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    let mut fields = Decoder::new(&bytes);
    let [flags, mode, resolve] = <[u64; 3]>::decode(&mut fields);
    let flags = u32::try_from(flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
    let permissions = u32::try_from(mode).ok().filter(|mode| *mode <= 0o7777).ok_or(Errno::EINVAL)?;
    let resolve = u32::try_from(resolve).ok().and_then(Resolve::from_bits).ok_or(Errno::EINVAL)?;
    let for_path = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW | OpenFlags::CLOSE_ON_EXEC;
    let makes = flags.intersects(OpenFlags::CREATE | OpenFlags::TEMPORARY);
    let mixed = resolve.contains(Resolve::BENEATH | Resolve::IN_ROOT);
    if (!makes && permissions != 0) || (flags.contains(OpenFlags::PATH) && !for_path.contains(flags)) || mixed {
        return Err(Errno::EINVAL);
    }
    if resolve.contains(Resolve::CACHED) && (makes || flags.contains(OpenFlags::TRUNCATE)) {
        return Err(Errno::EAGAIN);
    }
    check(OpenHow { flags: flags | OpenFlags::LARGE_FILE, permissions, resolve })
}

fn open_at(
    task: &Arc<Task>,
    call: &mut Call,
    directory: i32,
    path: u64,
    how: Result<OpenHow, Errno>,
) -> Result<u64, Stop> {
    let how = how?;
    let at = match how.resolve.contains(Resolve::IN_ROOT) {
        true => At::within(task, directory, path)?,
        false => At::new(task, directory, path)?,
    };
    let opened = task.kernel().vfs().open(&at.name(), &how)?;
    finish(task, call, opened, how.flags, &at.caller.credentials)
}

/// Gives what was opened a descriptor; a fifo may have to wait for its other end first.
pub(super) fn finish(
    task: &Arc<Task>,
    call: &mut Call,
    opened: Opened,
    flags: OpenFlags,
    credentials: &Arc<Credentials>,
) -> Result<u64, Stop> {
    let file = match opened {
        Opened::File(file) => file,
        Opened::Fifo(path) => match open_fifo(task, path, flags, &mut call.resume)? {
            FifoOpen::Open(file) => file,
            FifoOpen::Wait(queue) => return Err(call.wait(task, &queue)),
        },
    };
    file.set_opener(credentials);
    Ok(install(task, file, flags)?)
}
