//! What /proc/PID/maps, smaps and statm tell.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::{MappedName, Memory, Object, State, Vma, VmaFlags};
use crate::platform::{Protection, Sharing};

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapLine {
    /// Addresses.
    pub range: Range<u64>,
    /// Access.
    pub protection: Protection,
    /// Private or shared.
    pub sharing: Sharing,
    /// Offset in the file.
    pub offset: u64,
    /// The file, or a name such as `[heap]`, or nothing.
    pub name: MappedName,
    /// Whether it is locked.
    pub flags: VmaFlags,
}

/// Sums, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Mapped.
    pub size: u64,
    /// The most that was.
    pub peak: u64,
    /// In memory.
    pub resident: u64,
    /// Of those, of files and shared memory.
    pub shared: u64,
    /// Executable mappings of files.
    pub text: u64,
    /// Private writable mappings, the stack included.
    pub data: u64,
    /// The stack.
    pub stack: u64,
    /// Locked.
    pub locked: u64,
}

/// What gave back no more than this had about the most at its end.
const FREED_BYTES_MAX: u64 = 1 << 20;

impl State {
    /// So much was given back. An application can say so of the same addresses again and again.
    pub(super) fn note_freed(&mut self, bytes: u64) {
        self.freed_bytes = self.freed_bytes.saturating_add(bytes);
    }
}

impl Memory {
    /// The most that was in memory, when the space ends with so much in it: the host is asked only if there may have
    /// been more.
    pub fn last_peak(&self, resident: u64) -> u64 {
        let freed = self.state.lock().freed_bytes;
        if freed > FREED_BYTES_MAX { self.space.resident_peak_bytes().max(resident) } else { resident }
    }

    /// The host process had another program before, whose peak counts too.
    pub fn succeeds(&self, old: &Memory) {
        let freed = old.state.lock().freed_bytes;
        self.state.lock().note_freed(freed);
    }

    /// Every mapping by rising address.
    pub fn map_lines(&self) -> Vec<MapLine> {
        let mappings: Vec<(u64, Vma)> =
            self.state.lock().vmas.iter().map(|(start, vma)| (start, vma.clone())).collect();
        let mut lines: Vec<MapLine> = Vec::with_capacity(mappings.len());
        let mut previous: Option<&(u64, Vma)> = None;
        for entry @ (start, vma) in &mappings {
            let same =
                previous.is_some_and(|(from, before)| before.end == *start && same_to_readers(*from, before, vma));
            match lines.last_mut() {
                Some(last) if same => last.range.end = vma.end,
                _ => lines.push(line(*start, vma)),
            }
            previous = Some(entry);
        }
        lines
    }

    /// Sums for statm and status.
    pub fn totals(&self) -> Totals {
        let (resident, shared) = self.space.resident_bytes();
        let state = self.state.lock();
        let text = |vma: &Vma| vma.protection.contains(Protection::EXEC) && !vma.object.is_anonymous();
        Totals {
            size: state.vmas.total_bytes(),
            peak: state.vmas.peak_bytes(),
            resident,
            shared,
            text: state.bytes(text),
            data: state.bytes(Vma::is_data),
            stack: state.bytes(|vma| vma.flags.contains(VmaFlags::STACK)),
            locked: state.locked_bytes(),
        }
    }
}

/// Parts of a file that are there and parts that are not are one mapping to the application.
fn same_to_readers(start: u64, before: &Vma, next: &Vma) -> bool {
    let flags = |vma: &Vma| vma.flags - VmaFlags::HOLE;
    let stack = vma_is_stack(before) && vma_is_stack(next);
    before.protection == next.protection
        && before.sharing == next.sharing
        && flags(before) == flags(next)
        && (stack || !before.object.is_anonymous() && before.continues_in(start, next))
}

fn vma_is_stack(vma: &Vma) -> bool {
    vma.flags.contains(VmaFlags::STACK)
}

fn line(start: u64, vma: &Vma) -> MapLine {
    let (offset, name) = match &vma.object {
        _ if vma_is_stack(vma) => (0, MappedName { path: special(vma.flags), ..MappedName::default() }),
        Object::Source { source, offset, .. } => (*offset, source.name()),
        Object::Anonymous => (0, MappedName { path: special(vma.flags), ..MappedName::default() }),
    };
    MapLine { range: start..vma.end, protection: vma.protection, sharing: vma.sharing, offset, name, flags: vma.flags }
}

fn special(flags: VmaFlags) -> String {
    match flags {
        flags if flags.contains(VmaFlags::STACK) => "[stack]",
        flags if flags.contains(VmaFlags::HEAP) => "[heap]",
        _ => "",
    }
    .into()
}
