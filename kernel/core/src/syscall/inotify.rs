//! inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use super::new_file::install;
use crate::Errno;
use crate::task::Task;
use crate::vfs::inotify::Inotify;
use crate::vfs::permission::{Access, check_inode};
use crate::vfs::{File, FileKind, FileObject, Follow, OpenFlags, User, WatchMask};
use crate::wait::Stop;

/// inotify_init(2)
pub fn inotify_init(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    make(task, 0)
}

/// inotify_init1(2)
pub fn inotify_init1(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    make(task, call.uint(0))
}

fn make(task: &Arc<Task>, flags: u32) -> Result<u64, Stop> {
    if flags & !(abi::IN_CLOEXEC | abi::IN_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let flags = OpenFlags::from_bits_truncate(flags);
    let owner = task.credentials();
    let instance = Inotify::new(&User::new(task.kernel().vfs().hooks(), owner.euid))?;
    let file = task.kernel().vfs().open_anonymous("inotify", instance, flags, &owner)?;
    Ok(install(task, file, flags)?)
}

/// The instance behind a descriptor, or `EINVAL`.
fn instance(task: &Arc<Task>, fd: i32) -> Result<Arc<Inotify>, Errno> {
    let file: Arc<File> = task.files().get_open(fd)?;
    let object: Arc<dyn FileObject> = file.object().clone();
    let any: Arc<dyn core::any::Any + Send + Sync> = object;
    any.downcast().map_err(|_| Errno::EINVAL)
}

/// inotify_add_watch(2)
pub fn inotify_add_watch(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let mask = WatchMask::from_bits(call.uint(2)).ok_or(Errno::EINVAL)?;
    let both = WatchMask::MASK_ADD | WatchMask::MASK_CREATE;
    if !mask.intersects(WatchMask::ALL) || mask.contains(both) {
        return Err(Errno::EINVAL.into());
    }
    let instance = instance(task, call.int(0))?;
    let at = At::cwd(task, call.arg(1))?;
    let follow = if mask.contains(WatchMask::DONT_FOLLOW) { Follow::No } else { Follow::Yes };
    let path = at.find(AtFlags::empty(), follow)?;
    if mask.contains(WatchMask::ONLY_DIRECTORY) && path.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    check_inode(&**path.inode(), &at.caller.credentials, Access::READ)?;
    let number = task.kernel().vfs().hooks().watches.add(&instance, &path, mask)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// inotify_rm_watch(2)
pub fn inotify_rm_watch(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let instance = instance(task, call.int(0))?;
    Ok(task.kernel().vfs().hooks().watches.remove(&instance, call.int(1))?)
}
