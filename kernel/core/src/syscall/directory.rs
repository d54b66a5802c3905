//! getdents(2), chdir(2), getcwd(2), chroot(2).

use alloc::sync::Arc;

use super::Call;
use super::at::{At, AtFlags, directory};
use crate::Errno;
use crate::abi::Encoder;
use crate::task::{Capabilities, Task};
use crate::vfs::permission::{Access, check_inode};
use crate::vfs::{DirEntry, Emit, FileKind, Follow, Path};
use crate::wait::Stop;

/// What one call lists at most.
const BYTES_MAX: usize = 1 << 20;

/// getdents64(2)
pub fn getdents64(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    list(task, call, |entry, to| {
        let len = (19 + entry.name.len() + 1).next_multiple_of(8);
        let start = to.len();
        to.put(entry.ino).put(entry.next).put(u16::try_from(len).unwrap_or(u16::MAX));
        to.put(entry.kind.entry_type()).bytes(entry.name);
        let padding = start + len - to.len();
        to.zeros(padding);
    })
}

/// getdents(2): the type lies in the last byte.
pub fn getdents(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    list(task, call, |entry, to| {
        let len = (18 + entry.name.len() + 2).next_multiple_of(8);
        let start = to.len();
        to.put(entry.ino).put(entry.next).put(u16::try_from(len).unwrap_or(u16::MAX)).bytes(entry.name);
        let padding = start + len - 1 - to.len();
        to.zeros(padding).put(entry.kind.entry_type());
    })
}

fn list(task: &Arc<Task>, call: &Call, encode: impl Fn(&DirEntry<'_>, &mut Encoder)) -> Result<usize, Stop> {
    let file = task.files().get_open(call.int(0))?;
    if file.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    let room = usize::try_from(call.uint(2)).unwrap_or(usize::MAX).min(BYTES_MAX);
    let mut to = Encoder::new();
    let mut position = file.position();
    let mut too_long = false;
    file.list(position, &mut |entry| {
        // The longer of the two forms decides.
        let fits = to.len() + (20 + entry.name.len()).next_multiple_of(8) <= room;
        if !fits {
            too_long = to.is_empty();
            return Emit::Full;
        }
        encode(entry, &mut to);
        position = entry.next;
        Emit::More
    })?;
    task.kernel().vfs().notify_read(&file, 1);
    if too_long {
        return Err(Errno::EINVAL.into());
    }
    let bytes = to.finish();
    task.memory().write_bytes(call.arg(1), &bytes)?;
    file.with_position(|at| {
        *at = position;
        Ok(())
    })?;
    file.inode().accessed();
    Ok(bytes.len())
}

/// chdir(2)
pub fn chdir(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let at = At::cwd(task, call.arg(0))?;
    let path = at.find(AtFlags::empty(), Follow::Yes)?;
    enter(task, &path)?;
    task.fs().set_cwd(path);
    Ok(())
}

/// fchdir(2)
pub fn fchdir(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let path = directory(task, call.int(0))?.path().clone();
    enter(task, &path)?;
    task.fs().set_cwd(path);
    Ok(())
}

/// chroot(2)
pub fn chroot(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let at = At::cwd(task, call.arg(0))?;
    let path = at.find(AtFlags::empty(), Follow::Yes)?;
    enter(task, &path)?;
    if !at.caller.credentials.has(Capabilities::SYS_CHROOT) {
        return Err(Errno::EPERM.into());
    }
    task.fs().set_root(path);
    Ok(())
}

fn enter(task: &Arc<Task>, path: &Path) -> Result<(), Errno> {
    if path.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    check_inode(&**path.inode(), &task.credentials(), Access::EXECUTE)
}

/// getcwd(2)
pub fn getcwd(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let (root, cwd) = task.fs().places();
    if cwd.dentry.is_unlinked() {
        return Err(Errno::ENOENT.into());
    }
    let mut text = cwd.text_or_unreachable(&root);
    text.push(0);
    if text.len() > call.size(1) {
        return Err(Errno::ERANGE.into());
    }
    task.memory().write_bytes(call.arg(0), &text)?;
    Ok(text.len())
}
