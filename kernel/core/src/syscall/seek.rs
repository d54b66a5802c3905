//! lseek(2), truncate(2), fallocate(2), fsync(2) and advice about files.

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags, check_new_size, offset};
use crate::Errno;
use crate::task::Task;
use crate::vfs::{Allocation, Direction, File, FileKind, Follow, Seeking};
use crate::wait::Stop;

/// lseek(2)
pub fn lseek(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let file = task.files().get_open(call.int(0))?;
    if file.object().seeking() == Seeking::OnlyIgnored {
        return Ok(0);
    }
    file.check_seekable()?;
    let (by, whence) = (call.arg(1).cast_signed(), call.uint(2));
    if file.object().seeking() == Seeking::Ignored {
        return Ok(0);
    }
    let moved = file.with_position(|position| {
        let from_end = |end: u64| end.checked_add_signed(by).ok_or(Errno::EINVAL);
        let to = match whence {
            abi::SEEK_SET => u64::try_from(by).map_err(|_| Errno::EINVAL)?,
            abi::SEEK_CUR => from_end(*position)?,
            abi::SEEK_END => from_end(file.inode().stat()?.size)?,
            abi::SEEK_DATA => find(&file, by, Direction::Data)?,
            abi::SEEK_HOLE => find(&file, by, Direction::Hole)?,
            _ => return Err(Errno::EINVAL),
        };
        i64::try_from(to).map_err(|_| Errno::EINVAL)?;
        *position = to;
        Ok(to)
    });
    Ok(moved?)
}

fn find(file: &File, from: i64, what: Direction) -> Result<u64, Errno> {
    let from = u64::try_from(from).map_err(|_| Errno::ENXIO)?;
    let size = file.inode().stat()?.size;
    if from >= size {
        return Err(Errno::ENXIO);
    }
    match file.object().find(from, what) {
        // A file system that does not know its holes has none but the one behind the end.
        Err(Errno::EINVAL) if what == Direction::Data => Ok(from),
        Err(Errno::EINVAL) => Ok(size),
        found => found,
    }
}

/// truncate(2)
pub fn truncate(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let len = offset(call.arg(1))?;
    let at = At::cwd(task, call.arg(0))?;
    let path = at.find(AtFlags::empty(), Follow::Yes)?;
    check_new_size(task, path.inode(), len)?;
    Ok(task.kernel().vfs().truncate(&path, len, &at.caller.credentials)?)
}

/// ftruncate(2)
pub fn ftruncate(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let len = offset(call.arg(1))?;
    let file = task.files().get_open(call.int(0))?;
    if file.inode().kind() != FileKind::Regular || !file.flags().writes() {
        return Err(Errno::EINVAL.into());
    }
    check_new_size(task, file.inode(), len)?;
    Ok(task.kernel().vfs().set_len(file.path(), len, &task.credentials())?)
}

/// fallocate(2)
pub fn fallocate(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (from, len) = (offset(call.arg(2))?, offset(call.arg(3))?);
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    let keep = abi::FALLOC_FL_KEEP_SIZE;
    let what = match call.uint(1) {
        0 => Allocation::Extend,
        mode if mode == keep => Allocation::Reserve,
        mode if mode == abi::FALLOC_FL_PUNCH_HOLE | keep => Allocation::Punch,
        mode if mode == abi::FALLOC_FL_ZERO_RANGE => Allocation::Zero,
        mode if mode == abi::FALLOC_FL_ZERO_RANGE | keep => Allocation::ZeroWithin,
        _ => return Err(Errno::EOPNOTSUPP.into()),
    };
    let file = task.files().get_open(call.int(0))?;
    file.check_writable()?;
    match file.inode().kind() {
        FileKind::Regular => {}
        FileKind::Fifo => return Err(Errno::ESPIPE.into()),
        FileKind::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::ENODEV.into()),
    }
    if matches!(what, Allocation::Extend | Allocation::Zero) {
        check_new_size(task, file.inode(), from.saturating_add(len))?;
    }
    file.inode().allocate(what, from, len)?;
    Ok(task.kernel().vfs().wrote(file.path(), &task.credentials())?)
}

/// fsync(2)
pub fn fsync(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    match file.inode().kind() {
        FileKind::Regular | FileKind::Directory => Ok(file.inode().sync()?),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// fdatasync(2)
pub fn fdatasync(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    fsync(task, call)
}

/// sync(2)
pub fn sync(task: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
    for mount in task.fs().namespace().all() {
        // sync(2) has no way to tell; fsync(2) of the file does.
        let _unreported = mount.superblock().filesystem().sync();
    }
    Ok(())
}

/// syncfs(2)
pub fn syncfs(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    Ok(file.path().mount.superblock().filesystem().sync()?)
}

/// sync_file_range(2)
pub fn sync_file_range(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let all = abi::SYNC_FILE_RANGE_WAIT_BEFORE | abi::SYNC_FILE_RANGE_WRITE | abi::SYNC_FILE_RANGE_WAIT_AFTER;
    let file = task.files().get_open(call.int(0))?;
    let (from, len) = (offset(call.arg(1))?, offset(call.arg(2))?);
    if call.uint(3) & !all != 0 || i64::try_from(from + len).is_err() {
        return Err(Errno::EINVAL.into());
    }
    match file.inode().kind() {
        FileKind::Regular | FileKind::Directory | FileKind::Block | FileKind::Symlink => Ok(file.inode().sync()?),
        _ => Err(Errno::ESPIPE.into()),
    }
}

/// fadvise64(2). Files are in memory already: advice changes nothing.
pub fn fadvise64(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    if file.inode().kind() == FileKind::Fifo {
        return Err(Errno::ESPIPE.into());
    }
    let known = call.uint(3) <= abi::POSIX_FADV_NOREUSE;
    if known && call.arg(2).cast_signed() >= 0 { Ok(()) } else { Err(Errno::EINVAL.into()) }
}

/// readahead(2)
pub fn readahead(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    file.check_readable()?;
    if file.inode().kind() == FileKind::Regular { Ok(()) } else { Err(Errno::EINVAL.into()) }
}
