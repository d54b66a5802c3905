//! Files that become longer or shorter while they are mapped.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;

use stockade_kernel_sync::Mutex;

use super::remap::map_again;
use super::{MapPiece, Memory, Object, Source, State, Vma, VmaFlags};
use crate::platform::{Backing, HostCall, Sharing};
use crate::task::{Pid, Task};

/// The address spaces that have mapped a file. Its inode has one, and says when the file's length changed.
#[derive(Debug, Default)]
pub struct Mappers(Mutex<Vec<Weak<Memory>>>);

impl Mappers {
    /// Nobody.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One more.
    pub fn add(&self, memory: &Arc<Memory>) {
        let mut all = self.0.lock();
        all.retain(|other| other.strong_count() > 0);
        if !all.iter().any(|other| Weak::as_ptr(other) == Arc::as_ptr(memory)) {
            all.push(Arc::downgrade(memory));
        }
    }

    fn all(&self) -> Vec<Arc<Memory>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The file's pages have changed: every mapping of it shows them before its process runs on. Call this without a
    /// lock of the file held.
    pub fn changed(&self) {
        for memory in self.all() {
            let calls = memory.follow(self);
            memory.defer_to_any(calls);
        }
    }

    /// Whether somebody can write to the file through a mapping.
    pub fn have_writer(&self) -> bool {
        let writes = |vma: &Vma| vma.sharing == Sharing::Shared && !vma.flags.contains(VmaFlags::NEVER_WRITE);
        self.all().iter().any(|memory| memory.mappings_of(self).iter().any(|(_, vma)| writes(vma)))
    }
}

impl Memory {
    /// Every thread is interrupted, since any may run; the first one to come makes the calls.
    fn defer_to_any(&self, calls: Vec<HostCall>) {
        if calls.is_empty() {
            return;
        }
        self.state.lock().deferred.extend(calls);
        let users: Vec<Arc<Task>> = self.users.lock().iter().filter_map(Weak::upgrade).collect();
        for task in users.iter().filter(|task| core::ptr::eq(Arc::as_ptr(&task.memory()), self)) {
            if let Some(thread) = task.thread() {
                thread.interrupt();
            }
        }
    }

    /// What the host has to do so that mappings of this file show what it has now.
    fn follow(&self, mappers: &Mappers) -> Vec<HostCall> {
        let mut calls = Vec::new();
        for (range, vma) in self.mappings_of(mappers) {
            let Object::Source { source, offset, .. } = &vma.object else { continue };
            let Ok(pieces) = source.map(*offset, range.end - range.start, vma.sharing) else { continue };
            let mut at = range.start;
            for piece in &pieces {
                let part = at..(at + piece.len).min(range.end);
                at = part.end;
                calls.extend(self.state.lock().follow_piece(part, &vma, piece));
            }
        }
        calls
    }

    fn mappings_of(&self, mappers: &Mappers) -> Vec<(Range<u64>, Vma)> {
        let same =
            |source: &Arc<dyn Source>| source.mappers().is_some_and(|other| core::ptr::eq(&raw const *other, mappers));
        let state = self.state.lock();
        let of_file =
            state.vmas.iter().filter(|(_, vma)| matches!(&vma.object, Object::Source { source, .. } if same(source)));
        of_file.map(|(start, vma)| (start..vma.end, vma.clone())).collect()
    }
}

impl State {
    /// Pages that appeared or vanished. What stays is not mapped again: a private mapping may have been written to.
    fn follow_piece(&mut self, part: Range<u64>, vma: &Vma, piece: &MapPiece) -> Option<HostCall> {
        let there = self.vmas.find(part.start).filter(|(_, now)| now.end >= part.end)?.1;
        let was_hole = there.flags.contains(VmaFlags::HOLE);
        let is_hole = piece.backing == Backing::Nothing;
        // Pages of a shared mapping were replaced when none of those that it keeps is shown.
        let replaced = vma.sharing == Sharing::Shared && !there.keeps(piece);
        if was_hole == is_hole && (is_hole || !replaced) {
            return None;
        }
        let call = map_again(part.clone(), vma, piece.backing);
        let flags = if is_hole { VmaFlags::HOLE } else { VmaFlags::empty() };
        let old = self.replace_keeps(part, flags, piece);
        self.keep(Pid::NONE, old);
        Some(call)
    }

    /// Marks a part as a hole or as filled, and gives back what it was.
    pub fn replace_keeps(&mut self, part: Range<u64>, hole: VmaFlags, piece: &MapPiece) -> Vec<(u64, Vma)> {
        let old = self.vmas.take(part);
        for (start, vma) in &old {
            let mut vma = vma.clone();
            vma.flags = (vma.flags - VmaFlags::HOLE) | hole;
            if let Object::Source { keeps, fixed, .. } = &mut vma.object {
                (*keeps, *fixed) = (piece.keep.iter().cloned().collect(), None);
            }
            self.vmas.insert(*start, vma);
        }
        old
    }
}
