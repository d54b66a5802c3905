//! mount_setattr(2), and its bits.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use super::mount::{check_admin, propagate};
use crate::Errno;
use crate::abi::{Abi as _, Decoder};
use crate::task::Task;
use crate::vfs::{MountFlags, Path};
use crate::wait::Stop;

/// The bits that stand for one flag each.
const SINGLE: [(u32, MountFlags); 6] = [
    (0x1, MountFlags::READ_ONLY),
    (0x2, MountFlags::NO_SUID),
    (0x4, MountFlags::NO_DEV),
    (0x8, MountFlags::NO_EXEC),
    (0x80, MountFlags::NO_DIR_ATIME),
    (0x0020_0000, MountFlags::NO_SYMLINK_FOLLOW),
];
/// MOUNT_ATTR__ATIME, of which one value is set.
const TIMES: u32 = 0x70;
const TIME_FLAGS: MountFlags = MountFlags::NO_ATIME.union(MountFlags::STRICT_ATIME).union(MountFlags::RELATIVE_ATIME);
/// All of them.
pub(super) const VALID: u32 = 0x0020_00ff;
/// AT_RECURSIVE
const RECURSIVE: u32 = 0x8000;

/// What a mount with these attributes allows.
pub(super) fn flags_of(attributes: u32) -> Result<MountFlags, Errno> {
    let times = match attributes & TIMES {
        0 => MountFlags::RELATIVE_ATIME,
        0x10 => MountFlags::NO_ATIME,
        0x20 => MountFlags::STRICT_ATIME,
        _ => return Err(Errno::EINVAL),
    };
    Ok(single(attributes) | times)
}

fn single(attributes: u32) -> MountFlags {
    SINGLE.iter().filter(|(bit, _)| attributes & bit != 0).map(|(_, flag)| *flag).collect()
}

/// The attributes of a mount.
pub(super) fn attributes_of(flags: MountFlags) -> u32 {
    let times = match flags & TIME_FLAGS {
        times if times.contains(MountFlags::NO_ATIME) => 0x10,
        times if times.contains(MountFlags::STRICT_ATIME) => 0x20,
        _ => 0,
    };
    SINGLE.iter().filter(|(_, flag)| flags.contains(*flag)).fold(times, |all, (bit, _)| all | bit)
}

/// A change of attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    set: MountFlags,
    clear: MountFlags,
    propagation: u32,
}

impl Change {
    /// From `struct mount_attr`, which may be longer than is known; `None` when it changes nothing.
    pub(super) fn read(task: &Arc<Task>, address: u64, len: usize) -> Result<Option<Self>, Errno> {
        const LEN: usize = 32;
        match len {
            0..LEN => return Err(Errno::EINVAL),
            LEN..=4096 => {}
            _ => return Err(Errno::E2BIG),
        }
        check_admin(task)?;
        let bytes = task.memory().read_vec(address, len)?;
        if bytes[LEN..].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        let [set, clear, propagation, users] = <[u64; 4]>::decode(&mut Decoder::new(&bytes));
        if set == 0 && clear == 0 && propagation == 0 {
            return Ok(None);
        }
        Self::new(set, clear, propagation, users).map(Some)
    }

    fn new(set: u64, clear: u64, propagation: u64, users: u64) -> Result<Self, Errno> {
        let bits = |number: u64| u32::try_from(number).ok().filter(|bits| bits & !VALID == 0).ok_or(Errno::EINVAL);
        let (set, clear) = (bits(set)?, bits(clear)?);
        let propagation = u32::try_from(propagation).map_err(|_| Errno::EINVAL)?;
        // The times are one value: whoever changes it clears all of it first.
        let times_fit = match clear & TIMES {
            0 => set & TIMES == 0,
            TIMES => true,
            _ => false,
        };
        if users != 0 || !times_fit {
            return Err(Errno::EINVAL);
        }
        let (mut set_flags, mut clear_flags) = (single(set), single(clear));
        if clear & TIMES != 0 {
            set_flags |= flags_of(set)? & TIME_FLAGS;
            clear_flags |= TIME_FLAGS;
        }
        Ok(Self { set: set_flags, clear: clear_flags, propagation })
    }

    /// Makes it to a mount, and those below if wanted.
    pub(super) fn apply(self, task: &Arc<Task>, path: &Path, flags: u32) -> Result<(), Errno> {
        if !path.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        let mut mounts: Vec<_> = alloc::vec![path.mount.clone()];
        if flags & RECURSIVE != 0 {
            mounts.extend(task.fs().namespace().below(&path.mount));
        }
        if self.propagation != 0 {
            propagate(&mounts, self.propagation)?;
        }
        for mount in mounts {
            mount.set_flags((mount.flags() - self.clear) | self.set);
        }
        Ok(())
    }
}

/// mount_setattr(2)
pub fn mount_setattr(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let bits = call.uint(2);
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let flags = AtFlags::check(bits & !RECURSIVE, allowed)?;
    let Some(change) = Change::read(task, call.arg(3), call.size(4))? else { return Ok(()) };
    let path = At::new(task, call.int(0), call.arg(1))?.find(flags, flags.follow())?;
    Ok(change.apply(task, &path, bits)?)
}

/// open_tree_attr(2)
pub fn open_tree_attr(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let change = match (call.arg(3), call.size(4)) {
        (0, 0) => None,
        (address, len) => Change::read(task, address, len)?,
    };
    let (path, opened) = super::open_tree::open(task, call)?;
    if let Some(change) = change {
        change.apply(task, &path, call.uint(2) & RECURSIVE)?;
    }
    opened.install(task)
}

/// Propagation that mount_setattr(2) and mount(2) can ask for.
pub(super) const PROPAGATION: u32 = abi::MS_SHARED | abi::MS_PRIVATE | abi::MS_SLAVE | abi::MS_UNBINDABLE;
