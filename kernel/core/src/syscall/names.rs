//! mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2), readlink(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use crate::Errno;
use crate::task::{Capabilities, Task};
use crate::vfs::{Device, FileKind, Follow, NewKind, Rename, RenameHow};
use crate::wait::Stop;

const CWD: i32 = abi::AT_FDCWD;

/// mkdir(2)
pub fn mkdir(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make(task, CWD, call.arg(0), NewKind::Directory, call.uint(1))
}

/// mkdirat(2)
pub fn mkdirat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make(task, call.int(0), call.arg(1), NewKind::Directory, call.uint(2))
}

/// mknod(2)
pub fn mknod(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make_node(task, CWD, call.arg(0), call.uint(1), call.uint(2))
}

/// mknodat(2)
pub fn mknodat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make_node(task, call.int(0), call.arg(1), call.uint(2), call.uint(3))
}

fn make_node(task: &Arc<Task>, directory: i32, path: u64, mode: u32, device: u32) -> Result<(), Stop> {
    let device = Device::decode(device);
    let kind = match mode & abi::S_IFMT {
        0 => NewKind::Regular,
        _ => match FileKind::from_mode(mode) {
            Some(FileKind::Regular) => NewKind::Regular,
            Some(FileKind::Fifo) => NewKind::Fifo,
            Some(FileKind::Socket) => NewKind::Socket,
            Some(FileKind::Character) => NewKind::Character(device),
            Some(FileKind::Block) => NewKind::Block(device),
            Some(FileKind::Directory) => return Err(Errno::EPERM.into()),
            _ => return Err(Errno::EINVAL.into()),
        },
    };
    let is_device =
        matches!(kind, NewKind::Character(device) if device != Device::NONE) || matches!(kind, NewKind::Block(_));
    if is_device && !task.credentials().has(Capabilities::MKNOD) {
        return Err(Errno::EPERM.into());
    }
    make(task, directory, path, kind, mode)
}

fn make(task: &Arc<Task>, directory: i32, path: u64, kind: NewKind<'_>, mode: u32) -> Result<(), Stop> {
    let at = At::new(task, directory, path)?;
    task.kernel().vfs().create(&at.name(), kind, mode)?;
    Ok(())
}

/// symlink(2)
pub fn symlink(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make_link(task, call.arg(0), CWD, call.arg(1))
}

/// symlinkat(2)
pub fn symlinkat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make_link(task, call.arg(0), call.int(1), call.arg(2))
}

fn make_link(task: &Arc<Task>, target: u64, directory: i32, path: u64) -> Result<(), Stop> {
    let target = task.memory().read_path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    make(task, directory, path, NewKind::Symlink(&target), 0o777)
}

/// unlink(2)
pub fn unlink(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.kernel().vfs().unlink(&At::cwd(task, call.arg(0))?.name())?)
}

/// rmdir(2)
pub fn rmdir(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.kernel().vfs().rmdir(&At::cwd(task, call.arg(0))?.name())?)
}

/// unlinkat(2)
pub fn unlinkat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = AtFlags::check(call.uint(2), AtFlags::REMOVEDIR)?;
    let at = At::new(task, call.int(0), call.arg(1))?;
    let vfs = task.kernel().vfs();
    let removed = if flags.contains(AtFlags::REMOVEDIR) { vfs.rmdir(&at.name()) } else { vfs.unlink(&at.name()) };
    Ok(removed?)
}

/// link(2)
pub fn link(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    add_name(task, (CWD, call.arg(0)), (CWD, call.arg(1)), AtFlags::empty())
}

/// linkat(2)
pub fn linkat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = AtFlags::check(call.uint(4), AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH)?;
    if flags.contains(AtFlags::EMPTY_PATH) {
        check_empty_link(task, call.int(0), call.arg(1))?;
    }
    add_name(task, (call.int(0), call.arg(1)), (call.int(2), call.arg(3)), flags)
}

/// A file without a path is linked by who opened it, or with a capability (Linux 6.10).
fn check_empty_link(task: &Arc<Task>, fd: i32, path: u64) -> Result<(), Errno> {
    let credentials = task.credentials();
    let by_descriptor = fd != CWD && task.memory().read_path(path)?.first() != Some(&b'/');
    if !by_descriptor || credentials.has(Capabilities::DAC_READ_SEARCH) {
        return Ok(());
    }
    if task.files().get(fd)?.was_opened_with(&credentials) { Ok(()) } else { Err(Errno::ENOENT) }
}

fn add_name(task: &Arc<Task>, from: (i32, u64), to: (i32, u64), flags: AtFlags) -> Result<(), Stop> {
    let (from, to) = (At::new(task, from.0, from.1)?, At::new(task, to.0, to.1)?);
    let follow = if flags.contains(AtFlags::SYMLINK_FOLLOW) { Follow::Yes } else { Follow::No };
    let file = from.find(flags, follow)?;
    Ok(task.kernel().vfs().link(&file, &to.name())?)
}

/// rename(2)
pub fn rename(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let how = RenameHow::Over(Rename::Replace);
    move_name(task, (CWD, call.arg(0)), (CWD, call.arg(1)), how)
}

/// renameat(2)
pub fn renameat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let how = RenameHow::Over(Rename::Replace);
    move_name(task, (call.int(0), call.arg(1)), (call.int(2), call.arg(3)), how)
}

/// renameat2(2)
pub fn renameat2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let how = match call.uint(4) {
        0 => RenameHow::Over(Rename::Replace),
        abi::RENAME_NOREPLACE => RenameHow::NoReplace,
        abi::RENAME_EXCHANGE => RenameHow::Over(Rename::Exchange),
        abi::RENAME_WHITEOUT if task.credentials().has(Capabilities::MKNOD) => RenameHow::Over(Rename::Whiteout),
        abi::RENAME_WHITEOUT => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    move_name(task, (call.int(0), call.arg(1)), (call.int(2), call.arg(3)), how)
}

fn move_name(task: &Arc<Task>, from: (i32, u64), to: (i32, u64), how: RenameHow) -> Result<(), Stop> {
    let (from, to) = (At::new(task, from.0, from.1)?, At::new(task, to.0, to.1)?);
    Ok(task.kernel().vfs().rename(&from.name(), &to.name(), how)?)
}

/// readlink(2)
pub fn readlink(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    read_link(task, CWD, call.arg(0), call.arg(1), call.int(2))
}

/// readlinkat(2)
pub fn readlinkat(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    read_link(task, call.int(0), call.arg(1), call.arg(2), call.int(3))
}

fn read_link(task: &Arc<Task>, directory: i32, path: u64, buffer: u64, room: i32) -> Result<usize, Stop> {
    let room = usize::try_from(room).ok().filter(|room| *room > 0).ok_or(Errno::EINVAL)?;
    let at = At::new(task, directory, path)?;
    let empty = at.name().text.is_empty();
    let found = at.find(AtFlags::EMPTY_PATH, Follow::No)?;
    if found.inode().kind() != FileKind::Symlink {
        return Err(if empty { Errno::ENOENT } else { Errno::EINVAL }.into());
    }
    let text = found.inode().read_link(&at.caller)?;
    let shown = &text[..text.len().min(room)];
    task.memory().write_bytes(buffer, shown)?;
    Ok(shown.len())
}
