//! mount(2), umount2(2), pivot_root(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use super::mount_attributes::PROPAGATION;
use super::open_tree;
use crate::Errno;
use crate::fs;
use crate::task::{Capabilities, Task};
use crate::vfs::{FileKind, Follow, Mount, MountFlags, Path, ReadOnly};
use crate::wait::Stop;

/// The magic number in the upper half that old programs set.
const MAGIC: u32 = 0xc0ed_0000;

pub(super) fn check_admin(task: &Arc<Task>) -> Result<(), Errno> {
    if task.credentials().has(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

/// mount(2)
pub fn mount(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let target = At::cwd(task, call.arg(1))?;
    check_admin(task)?;
    let target = target.find(AtFlags::empty(), Follow::Yes)?;
    let mut flags = u32::try_from(call.arg(3)).map_err(|_| Errno::EINVAL)?;
    if flags & 0xffff_0000 == MAGIC {
        flags &= 0xffff;
    }
    if flags & abi::MS_REMOUNT != 0 {
        return Ok(remount(task, &target, flags, call.arg(4))?);
    }
    if flags & abi::MS_BIND != 0 {
        return Ok(bind(task, call.arg(0), &target, flags)?);
    }
    if flags & PROPAGATION != 0 {
        return Ok(set_propagation(task, &target, flags)?);
    }
    if flags & abi::MS_MOVE != 0 {
        return Ok(relocate(task, call.arg(0), &target)?);
    }
    Ok(add(task, call, &target, flags)?)
}

/// What a mount allows. What only matters to disks changes nothing here.
fn mount_flags(flags: u32) -> Result<MountFlags, Errno> {
    let harmless = abi::MS_SYNCHRONOUS
        | abi::MS_DIRSYNC
        | abi::MS_MANDLOCK
        | abi::MS_SILENT
        | abi::MS_LAZYTIME
        | abi::MS_I_VERSION
        | abi::MS_REMOUNT
        | abi::MS_BIND;
    let flags = flags & !harmless;
    let known = MountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    Ok(known.with_default_times())
}

fn read_only(flags: MountFlags) -> ReadOnly {
    if flags.contains(MountFlags::READ_ONLY) { ReadOnly::Yes } else { ReadOnly::No }
}

fn text(task: &Arc<Task>, address: u64) -> Result<Vec<u8>, Errno> {
    if address == 0 { Ok(Vec::new()) } else { task.memory().read_string(address, 4096, Errno::EINVAL) }
}

fn check_same_kind(one: &Path, other: &Path) -> Result<(), Errno> {
    let is_directory = |path: &Path| path.inode().kind() == FileKind::Directory;
    if is_directory(one) == is_directory(other) { Ok(()) } else { Err(Errno::ENOTDIR) }
}

fn add(task: &Arc<Task>, call: &Call, target: &Path, flags: u32) -> Result<(), Errno> {
    let source = text(task, call.arg(0))?;
    let name = task.memory().read_string(call.arg(2), 4096, Errno::EINVAL)?;
    let data = text(task, call.arg(4))?;
    let flags = mount_flags(flags)?;
    if target.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let filesystem = fs::make(task.kernel(), task.process().namespaces(), &name, &data)?;
    let superblock = task.kernel().vfs().superblock(filesystem);
    superblock.set_read_only(read_only(flags));
    task.fs().namespace().mount(target, &superblock, flags, &source).map(drop)
}

fn remount(task: &Arc<Task>, target: &Path, flags: u32, data: u64) -> Result<(), Errno> {
    if !target.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let new = mount_flags(flags)?;
    if flags & abi::MS_BIND == 0 {
        let superblock = target.mount.superblock();
        superblock.filesystem().remount(&text(task, data)?)?;
        superblock.set_read_only(read_only(new));
    }
    target.mount.set_flags(new);
    Ok(())
}

fn bind(task: &Arc<Task>, source: u64, target: &Path, flags: u32) -> Result<(), Errno> {
    let source = At::cwd(task, source)?.find(AtFlags::empty(), Follow::Yes)?;
    check_same_kind(&source, target)?;
    let context = task.fs();
    let namespace = context.namespace();
    match flags & abi::MS_REC {
        0 => namespace.bind(&source, target).map(drop),
        _ => namespace.bind_all(&source, target).map(drop),
    }
}

fn set_propagation(task: &Arc<Task>, target: &Path, flags: u32) -> Result<(), Errno> {
    let allowed = PROPAGATION | abi::MS_REC | abi::MS_SILENT;
    if !target.is_mount_root() || flags & !allowed != 0 {
        return Err(Errno::EINVAL);
    }
    let mut mounts = alloc::vec![target.mount.clone()];
    if flags & abi::MS_REC != 0 {
        mounts.extend(task.fs().namespace().below(&target.mount));
    }
    propagate(&mounts, flags & PROPAGATION)
}

/// How mounts pass on to other namespaces: there is one namespace, and they never do.
pub(super) fn propagate(mounts: &[Arc<Mount>], how: u32) -> Result<(), Errno> {
    if how & !PROPAGATION != 0 || !how.is_power_of_two() || how & abi::MS_SHARED != 0 {
        return Err(Errno::EINVAL);
    }
    for mount in mounts {
        if how & abi::MS_UNBINDABLE != 0 { mount.forbid_binding() } else { mount.allow_binding() }
    }
    Ok(())
}

fn relocate(task: &Arc<Task>, source: u64, target: &Path) -> Result<(), Errno> {
    let source = At::cwd(task, source)?.find(AtFlags::empty(), Follow::Yes)?;
    open_tree::relocate(task, &source, target)
}

/// umount2(2)
pub fn umount2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    const FORCE: u32 = 1;
    const DETACH: u32 = 2;
    const EXPIRE: u32 = 4;
    const NO_FOLLOW: u32 = 8;
    let flags = call.uint(1);
    let expires = flags & EXPIRE != 0;
    if flags & !(FORCE | DETACH | EXPIRE | NO_FOLLOW) != 0 || (expires && flags & (FORCE | DETACH) != 0) {
        return Err(Errno::EINVAL.into());
    }
    let follow = if flags & NO_FOLLOW == 0 { Follow::Yes } else { Follow::No };
    let target = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), follow)?;
    check_admin(task)?;
    if !target.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    let Path { mount, dentry } = target;
    drop(dentry);
    let context = task.fs();
    if expires && !mount.expires() {
        return Err(Errno::EAGAIN.into());
    }
    Ok(match flags & DETACH {
        0 => context.namespace().unmount(&mount),
        _ => context.namespace().detach(&mount),
    }?)
}

/// pivot_root(2)
pub fn pivot_root(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    check_admin(task)?;
    let new_root = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::Yes)?;
    let put_old = At::cwd(task, call.arg(1))?.find(AtFlags::empty(), Follow::Yes)?;
    if [&new_root, &put_old].iter().any(|path| path.inode().kind() != FileKind::Directory) {
        return Err(Errno::ENOTDIR.into());
    }
    let context = task.fs();
    let root = context.root();
    if Arc::ptr_eq(&new_root.mount, &root.mount) || Arc::ptr_eq(&put_old.mount, &root.mount) {
        return Err(Errno::EBUSY.into());
    }
    let is_top = root.is_mount_root() && root.mount.point().is_none();
    if !is_top || !new_root.is_mount_root() || !put_old.is_below(&new_root) || !new_root.is_below(&root) {
        return Err(Errno::EINVAL.into());
    }
    context.namespace().pivot(&new_root.mount, &put_old)?;
    task.kernel().move_roots(&root, &new_root);
    Ok(())
}
