//! One mapping.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use super::{Fixed, MapPiece, Source};
use crate::platform::{Protection, Sharing};

/// The page size.
pub const PAGE: u64 = 4096;

/// Rounds down to a page.
pub const fn page_down(value: u64) -> u64 {
    value & !(PAGE - 1)
}

/// Rounds up to a page; `None` beyond 64 bits.
pub fn page_up(value: u64) -> Option<u64> {
    value.checked_add(PAGE - 1).map(page_down)
}

bitflags::bitflags! {
    /// What else is known about a mapping.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct VmaFlags: u32 {
        /// MAP_GROWSDOWN
        const GROWS_DOWN = 1;
        /// MAP_NORESERVE
        const NO_RESERVE = 1 << 1;
        /// mlock(2)
        const LOCKED = 1 << 2;
        /// mlock2(2) MLOCK_ONFAULT
        const LOCKED_ON_FAULT = 1 << 3;
        /// A shared mapping of a file that is open for reading only: it can never become writable.
        const NEVER_WRITE = 1 << 4;
        /// Of a mount with MS_NOEXEC: it can never become executable.
        const NEVER_EXECUTE = 1 << 5;
        /// madvise(2) MADV_DONTFORK
        const NOT_FORKED = 1 << 6;
        /// madvise(2) MADV_WIPEONFORK
        const WIPED_ON_FORK = 1 << 7;
        /// madvise(2) MADV_DONTDUMP
        const NOT_DUMPED = 1 << 8;
        /// madvise(2) MADV_HUGEPAGE
        const HUGE = 1 << 9;
        /// madvise(2) MADV_NOHUGEPAGE
        const NOT_HUGE = 1 << 10;
        /// The file has no page here: it is mapped as nothing, and an access is a fault for the kernel to judge.
        const HOLE = 1 << 11;
        /// The program's first stack.
        const STACK = 1 << 12;
        /// Between the start of brk(2) and the break.
        const HEAP = 1 << 13;
    }
}

/// What a mapping shows.
#[derive(Clone, Debug)]
pub enum Object {
    /// Zeros of its own.
    Anonymous,
    /// A file or shared memory.
    Source {
        /// Which.
        source: Arc<dyn Source>,
        /// From where on.
        offset: u64,
        /// Where else its bytes can be read, as long as nobody could write to the mapping.
        fixed: Option<Fixed>,
        /// What keeps its memory.
        keeps: Vec<Arc<dyn Any + Send + Sync>>,
    },
}

/// A mapping; its start is its key in [`super::Vmas`].
#[derive(Clone, Debug)]
pub struct Vma {
    /// The first address behind it.
    pub end: u64,
    /// Access.
    pub protection: Protection,
    /// Private or shared.
    pub sharing: Sharing,
    /// What else is known.
    pub flags: VmaFlags,
    /// Contents.
    pub object: Object,
}

impl Vma {
    /// The part from `at` on; this one keeps what lies before.
    pub fn split_off(&mut self, start: u64, at: u64) -> Vma {
        let mut rest = self.clone();
        rest.move_start(at - start);
        self.end = at;
        rest
    }

    /// The file offset of the start moves along with the start.
    fn move_start(&mut self, by: u64) {
        if let Object::Source { offset, .. } = &mut self.object {
            *offset += by;
        }
    }

    /// Whether `next`, which starts where this one, from `start` on, ends, can become part of it.
    pub fn merges_with(&self, start: u64, next: &Vma) -> bool {
        self.protection == next.protection
            && self.sharing == next.sharing
            && self.flags == next.flags
            && !self.flags.intersects(VmaFlags::GROWS_DOWN | VmaFlags::STACK)
            && self.continues_in(start, next)
            && self.fixed() == next.fixed()
    }

    /// Where else its bytes can be read.
    pub fn fixed(&self) -> Option<&Fixed> {
        if let Object::Source { fixed, .. } = &self.object { fixed.as_ref() } else { None }
    }

    /// Whether the contents of `next` follow on the contents of this one.
    pub fn continues_in(&self, start: u64, next: &Vma) -> bool {
        match (&self.object, &next.object) {
            (Object::Anonymous, Object::Anonymous) => true,
            (Object::Source { source, offset, .. }, Object::Source { source: other, offset: next, .. }) => {
                Arc::ptr_eq(source, other) && offset + (self.end - start) == *next
            }
            _ => false,
        }
    }

    /// Changes access. What was writable once need not hold what its file does.
    pub fn set_protection(&mut self, protection: Protection) {
        self.protection = protection;
        if let Object::Source { fixed, .. } = &mut self.object
            && protection.contains(Protection::WRITE)
        {
            *fixed = None;
        }
    }

    /// Whether it keeps what the piece does.
    pub fn keeps(&self, piece: &MapPiece) -> bool {
        match (&self.object, &piece.keep) {
            (Object::Source { keeps, .. }, Some(keep)) => keeps.iter().any(|other| Arc::ptr_eq(other, keep)),
            _ => true,
        }
    }

    /// Takes `next` in.
    pub fn merge(&mut self, next: Vma) {
        self.end = next.end;
        let (Object::Source { keeps, .. }, Object::Source { keeps: more, .. }) = (&mut self.object, next.object) else {
            return;
        };
        for keep in more {
            if !keeps.iter().any(|other| Arc::ptr_eq(other, &keep)) {
                keeps.push(keep);
            }
        }
    }

    /// Whether it counts for RLIMIT_DATA: private, writable, and no stack.
    pub fn is_data(&self) -> bool {
        let stack = VmaFlags::GROWS_DOWN | VmaFlags::STACK;
        self.sharing == Sharing::Private && self.protection.contains(Protection::WRITE) && !self.flags.intersects(stack)
    }
}

/// Bytes of a range.
pub fn len(range: &Range<u64>) -> u64 {
    range.end - range.start
}
