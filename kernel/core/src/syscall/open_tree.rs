//! open_tree(2), move_mount(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use super::mount::check_admin;
use super::new_file::install;
use crate::Errno;
use crate::task::Task;
use crate::vfs::{File, FileKind, FloatingTree, Follow, Mount, OpenFlags, Path};
use crate::wait::Stop;

/// OPEN_TREE_CLONE
const CLONE: u32 = 1;
/// AT_RECURSIVE
const RECURSIVE: u32 = 0x8000;

/// A descriptor that is to be given.
#[derive(Debug)]
pub(super) struct Opened {
    file: Arc<File>,
    flags: OpenFlags,
}

impl Opened {
    pub(super) fn install(self, task: &Arc<Task>) -> Result<u64, Stop> {
        Ok(install(task, self.file, self.flags)?)
    }
}

/// open_tree(2)
pub fn open_tree(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    open(task, call)?.1.install(task)
}

/// What open_tree(2) opens, and where it lies.
pub(super) fn open(task: &Arc<Task>, call: &Call) -> Result<(Path, Opened), Errno> {
    let bits = call.uint(2);
    let own = CLONE | abi::O_CLOEXEC | RECURSIVE;
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let flags = AtFlags::check(bits & !own, allowed)?;
    if bits & (RECURSIVE | CLONE) == RECURSIVE {
        return Err(Errno::EINVAL);
    }
    if bits & CLONE != 0 {
        check_admin(task)?;
    }
    let path = At::new(task, call.int(0), call.arg(1))?.find(flags, flags.follow())?;
    let status = OpenFlags::from_bits_truncate(bits & abi::O_CLOEXEC);
    if bits & CLONE == 0 {
        return Ok((path.clone(), Opened { file: task.kernel().vfs().open_place(path, status)?, flags: status }));
    }
    if task.kernel().vfs().is_internal(&path) {
        return Err(Errno::EINVAL);
    }
    let context = task.fs();
    let mount = match bits & RECURSIVE {
        0 => context.namespace().copy_floating(&path)?,
        _ => context.namespace().copy_all_floating(&path)?,
    };
    Ok((Path::root_of(&mount), Opened { file: floating(task, mount)?, flags: status }))
}

fn floating(task: &Arc<Task>, mount: Arc<Mount>) -> Result<Arc<File>, Errno> {
    let path = Path::root_of(&mount);
    let tree = Arc::new(FloatingTree::new(task.fs().namespace(), mount));
    task.kernel().vfs().file(tree, path, OpenFlags::PATH)
}

/// Gives a mount that shows nowhere a descriptor; it ends with that, unless it is put somewhere.
pub(super) fn install_floating(task: &Arc<Task>, mount: Arc<Mount>, flags: OpenFlags) -> Result<u64, Stop> {
    Opened { file: floating(task, mount)?, flags }.install(task)
}

/// The flags of move_mount(2) for one of its two paths, as they stand in the lower bits.
fn find(task: &Arc<Task>, fd: i32, path: u64, bits: u32) -> Result<Path, Errno> {
    const SYMLINKS: u32 = 1;
    const EMPTY_PATH: u32 = 4;
    let flags = if bits & EMPTY_PATH == 0 { AtFlags::empty() } else { AtFlags::EMPTY_PATH };
    let follow = if bits & SYMLINKS == 0 { Follow::No } else { Follow::Yes };
    At::new(task, fd, path)?.find(flags, follow)
}

/// move_mount(2)
pub fn move_mount(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    const PATHS: u32 = 0x77;
    /// MOVE_MOUNT_BENEATH
    const BENEATH: u32 = 0x200;
    check_admin(task)?;
    let bits = call.uint(4);
    // Nothing is shared, so that there are no groups.
    if bits & !(PATHS | BENEATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let from = find(task, call.int(0), call.arg(1), bits)?;
    let to = find(task, call.int(2), call.arg(3), bits >> 4)?;
    match bits & BENEATH {
        0 => Ok(relocate(task, &from, &to)?),
        _ => Ok(slip_beneath(task, &from, &to)?),
    }
}

/// Moves a mount, or puts one to its place that shows nowhere yet.
pub(super) fn relocate(task: &Arc<Task>, from: &Path, to: &Path) -> Result<(), Errno> {
    check_movable(from, to)?;
    let context = task.fs();
    match from.mount.point().is_some() {
        true => context.namespace().relocate(&from.mount, to),
        false => context.namespace().settle(&from.mount, to),
    }
}

/// The same, below the mount whose root `to` is, but not below the caller's root.
fn slip_beneath(task: &Arc<Task>, from: &Path, to: &Path) -> Result<(), Errno> {
    check_movable(from, to)?;
    let context = task.fs();
    if !to.is_mount_root() || Arc::ptr_eq(&to.mount, &context.root().mount) {
        return Err(Errno::EINVAL);
    }
    context.namespace().slip_beneath(&from.mount, &to.mount)
}

fn check_movable(from: &Path, to: &Path) -> Result<(), Errno> {
    let is_directory = |path: &Path| path.inode().kind() == FileKind::Directory;
    let known = from.mount.point().is_some() || from.mount.is_floating();
    if from.is_mount_root() && known && is_directory(from) == is_directory(to) { Ok(()) } else { Err(Errno::EINVAL) }
}
