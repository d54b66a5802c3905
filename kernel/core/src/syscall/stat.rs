//! stat(2), statx(2), statfs(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use crate::Errno;
use crate::abi::Encoder;
use crate::task::Task;
use crate::vfs::{Device, Follow, Mount, MountFlags, PAGE_BYTES, Path, Stat, Timestamp};
use crate::wait::Stop;

/// stat(2)
pub fn stat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let path = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::Yes)?;
    Ok(store(task, &path, call.arg(1))?)
}

/// lstat(2)
pub fn lstat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let path = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::No)?;
    Ok(store(task, &path, call.arg(1))?)
}

/// fstat(2)
pub fn fstat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get(call.int(0))?;
    Ok(store(task, file.path(), call.arg(1))?)
}

/// newfstatat(2)
pub fn newfstatat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let flags = AtFlags::check(call.uint(3), allowed)?;
    let path = At::new(task, call.int(0), call.arg(1))?.find(flags, flags.follow())?;
    Ok(store(task, &path, call.arg(2))?)
}

fn store(task: &Arc<Task>, path: &Path, address: u64) -> Result<(), Errno> {
    let stat = encode_stat(&path.stat()?, path.mount.superblock().device());
    task.memory().write_bytes(address, &stat)
}

/// `struct stat` of x86-64.
fn encode_stat(stat: &Stat, device: Device) -> alloc::vec::Vec<u8> {
    let mut to = Encoder::with_capacity(144);
    to.put(device.encode()).put(stat.ino).put(u64::from(stat.nlink));
    to.put(stat.mode).put(stat.uid).put(stat.gid).put(0_u32).put(stat.rdev.encode());
    to.put(stat.size).put(PAGE_BYTES).put(stat.blocks);
    for time in [stat.atime, stat.mtime, stat.ctime] {
        to.put(time.secs).put(u64::from(time.nanos));
    }
    to.zeros(24);
    to.finish()
}

/// statx(2)
pub fn statx(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let sync = AtFlags::STATX_FORCE_SYNC | AtFlags::STATX_DONT_SYNC;
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT | sync;
    if call.uint(3) & abi::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL.into());
    }
    let flags = AtFlags::check(call.uint(2), allowed)?;
    if flags.contains(sync) {
        return Err(Errno::EINVAL.into());
    }
    let path = At::new(task, call.int(0), call.arg(1))?.find(flags, flags.follow())?;
    Ok(task.memory().write_bytes(call.arg(4), &encode_statx(&path, call.uint(3))?)?)
}

/// STATX_MNT_ID_UNIQUE
const MNT_ID_UNIQUE: u32 = 0x4000;

/// `struct statx`. Few of the fields are there only when they are asked for.
fn encode_statx(path: &Path, asked: u32) -> Result<alloc::vec::Vec<u8>, Errno> {
    let stat = path.stat()?;
    let (id_kind, id) = match asked & MNT_ID_UNIQUE {
        0 => (abi::STATX_MNT_ID, path.mount.id().0.into()),
        _ => (MNT_ID_UNIQUE, path.mount.id().unique()),
    };
    let mut mask = abi::STATX_BASIC_STATS | id_kind;
    if stat.btime.is_some() {
        mask |= abi::STATX_BTIME;
    }
    let attributes = if path.is_mount_root() { u64::from(abi::STATX_ATTR_MOUNT_ROOT) } else { 0 };
    let mode = u16::try_from(stat.mode).unwrap_or_default();
    let mut to = Encoder::with_capacity(256);
    to.put(mask).put(4096_u32).put(attributes);
    to.put(stat.nlink).put(stat.uid).put(stat.gid).put(mode).put(0_u16);
    to.put(stat.ino).put(stat.size).put(stat.blocks).put(u64::from(abi::STATX_ATTR_MOUNT_ROOT));
    for time in [stat.atime, stat.btime.unwrap_or_default(), stat.ctime, stat.mtime] {
        put_time(&mut to, time);
    }
    for device in [stat.rdev, path.mount.superblock().device()] {
        to.put(device.major).put(device.minor);
    }
    to.put(id);
    let rest = 256 - to.len();
    to.zeros(rest);
    Ok(to.finish())
}

fn put_time(to: &mut Encoder, time: Timestamp) {
    to.put(time.secs).put(time.nanos).put(0_u32);
}

/// statfs(2)
pub fn statfs(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let path = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::Yes)?;
    Ok(store_fs(task, &path.mount, call.arg(1))?)
}

/// fstatfs(2)
pub fn fstatfs(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get(call.int(0))?;
    Ok(store_fs(task, &file.path().mount, call.arg(1))?)
}

/// `struct statfs` of x86-64.
fn store_fs(task: &Arc<Task>, mount: &Mount, address: u64) -> Result<(), Errno> {
    const VALID: u64 = 0x20;
    let facts = mount.superblock().filesystem().statfs()?;
    let device = mount.superblock().device();
    let flags = mount.shown_flags();
    let bits = [
        (MountFlags::READ_ONLY, 0x1_u64),
        (MountFlags::NO_SUID, 0x2),
        (MountFlags::NO_DEV, 0x4),
        (MountFlags::NO_EXEC, 0x8),
        (MountFlags::NO_ATIME, 0x400),
        (MountFlags::NO_DIR_ATIME, 0x800),
        (MountFlags::RELATIVE_ATIME, 0x1000),
        (MountFlags::NO_SYMLINK_FOLLOW, 0x2000),
    ];
    let shown = bits.iter().filter(|(flag, _)| flags.contains(*flag)).fold(VALID, |all, (_, bit)| all | bit);
    let mut to = Encoder::with_capacity(120);
    to.put(u64::from(facts.magic)).put(facts.block_bytes).put(facts.blocks).put(facts.blocks_free);
    to.put(facts.blocks_available).put(facts.files).put(facts.files_free);
    to.put(u32::try_from(device.encode()).unwrap_or_default()).put(0_u32);
    to.put(255_u64).put(facts.block_bytes).put(shown).zeros(32);
    task.memory().write_bytes(address, &to.finish())
}
