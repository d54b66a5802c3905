//! madvise(2).

use super::{Memory, PAGE, Vma, VmaFlags};
use crate::Errno;
use crate::platform::Sharing;

/// What madvise(2) comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advised {
    /// The application's own call does the right thing.
    Native,
    /// There is nothing to do.
    Nothing,
}

mod advice {
    pub const DONTNEED: i32 = 4;
    pub const FREE: i32 = 8;
    pub const REMOVE: i32 = 9;
    pub const DONTFORK: i32 = 10;
    pub const DOFORK: i32 = 11;
    pub const HUGEPAGE: i32 = 14;
    pub const NOHUGEPAGE: i32 = 15;
    pub const DONTDUMP: i32 = 16;
    pub const DODUMP: i32 = 17;
    pub const WIPEONFORK: i32 = 18;
    pub const KEEPONFORK: i32 = 19;
    pub const COLLAPSE: i32 = 25;
    pub const HWPOISON: i32 = 100;
    pub const SOFT_OFFLINE: i32 = 101;
    /// KSM would merge pages of different sandboxes, whose owners could tell by the time of a write: as a kernel
    /// without it.
    pub const KSM: core::ops::RangeInclusive<i32> = 12..=13;
}

impl Memory {
    /// Notes what the kernel must know, and says who does the rest.
    pub fn advise(&self, address: u64, bytes: u64, what: i32) -> Result<Advised, Errno> {
        let known = (0..=4).contains(&what) || (advice::FREE..=advice::COLLAPSE).contains(&what);
        if matches!(what, advice::HWPOISON | advice::SOFT_OFFLINE) {
            return Err(Errno::EPERM);
        }
        if !known || advice::KSM.contains(&what) || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        let range = state.checked(address, bytes, if bytes > 0 { Errno::ENOMEM } else { Errno::EINVAL })?;
        if range.is_empty() {
            return Ok(Advised::Nothing);
        }
        state.vmas.within(range.clone()).try_for_each(|(_, vma)| refuse(vma, what))?;
        let (set, clear) = flags(what);
        if matches!(what, advice::DONTNEED | advice::FREE | advice::REMOVE) {
            state.note_freed(range.end - range.start);
        }
        if !(set | clear).is_empty() {
            state.vmas.update(range, |vma| vma.flags = (vma.flags - clear) | set);
        }
        Ok(Advised::Native)
    }
}

/// What the host would do otherwise than Linux, because its mapping is not what the application asked for.
fn refuse(vma: &Vma, what: i32) -> Result<(), Errno> {
    let locked = vma.flags.contains(VmaFlags::LOCKED);
    let file = !vma.object.is_anonymous();
    let wrong = match what {
        advice::DONTNEED | advice::REMOVE if locked => true,
        advice::FREE => file,
        advice::REMOVE => !file,
        advice::WIPEONFORK => file || vma.sharing == Sharing::Shared,
        _ => false,
    };
    let denied =
        what == advice::REMOVE && (vma.sharing == Sharing::Private || vma.flags.contains(VmaFlags::NEVER_WRITE));
    match (wrong, denied) {
        (true, _) => Err(Errno::EINVAL),
        (_, true) => Err(Errno::EACCES),
        _ => Ok(()),
    }
}

/// Flags that an advice sets and clears.
fn flags(what: i32) -> (VmaFlags, VmaFlags) {
    let none = VmaFlags::empty();
    match what {
        advice::DONTFORK => (VmaFlags::NOT_FORKED, none),
        advice::DOFORK => (none, VmaFlags::NOT_FORKED),
        advice::WIPEONFORK => (VmaFlags::WIPED_ON_FORK, none),
        advice::KEEPONFORK => (none, VmaFlags::WIPED_ON_FORK),
        advice::DONTDUMP => (VmaFlags::NOT_DUMPED, none),
        advice::DODUMP => (none, VmaFlags::NOT_DUMPED),
        advice::HUGEPAGE => (VmaFlags::HUGE, VmaFlags::NOT_HUGE),
        advice::NOHUGEPAGE => (VmaFlags::NOT_HUGE, VmaFlags::HUGE),
        _ => (none, none),
    }
}
