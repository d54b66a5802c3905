//! Faults that are not the application's fault.

use alloc::vec::Vec;
use core::ops::Range;

use super::remap::map_again;
use super::{MapPiece, Memory, MemoryLimits, Object, PAGE, Vma, VmaFlags, page_down};
use crate::platform::{Backing, Fault, HostCall, Protection};
use crate::task::Pid;

const SIGBUS: i32 = 7;
const SIGSEGV: i32 = 11;
/// `si_code` BUS_ADRERR: beyond the end of a file.
const BUS_ADRERR: i32 = 2;
/// `si_code` SEGV_MAPERR and SEGV_ACCERR.
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
/// The processor's vector of page faults.
const PAGE_FAULT: u64 = 14;
/// Bits of its error code.
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// What a fault comes to.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The host has to do this, then the application tries again.
    Retry(Vec<HostCall>),
    /// It is the application's.
    Signal(Fault),
}

impl Memory {
    /// Brings in what a file has by now, lets a stack grow, or says which signal it is.
    pub fn resolve(&self, tid: Pid, fault: &Fault, limits: &MemoryLimits) -> Resolution {
        if fault.trap_number != PAGE_FAULT || !matches!(fault.signal, SIGSEGV | SIGBUS) {
            return Resolution::Signal(*fault);
        }
        match self.find(fault.address) {
            Some((start, vma)) if vma.flags.contains(VmaFlags::HOLE) && permits(&vma, fault) => {
                self.fill_hole(tid, start, &vma, fault)
            }
            Some(_) if fault.signal == SIGBUS => Resolution::Signal(*fault),
            Some(_) => Resolution::Signal(Fault { code: SEGV_ACCERR, ..*fault }),
            None => self.grow_down(fault, limits),
        }
    }

    /// Maps the pages from the faulting one to the end of the hole that the file has by now.
    fn fill_hole(&self, tid: Pid, start: u64, vma: &Vma, fault: &Fault) -> Resolution {
        let bus = Resolution::Signal(Fault { signal: SIGBUS, code: BUS_ADRERR, ..*fault });
        let Object::Source { source, offset, .. } = &vma.object else { return bus };
        let at = page_down(fault.address);
        let Ok(pieces) = source.map(offset + (at - start), vma.end - at, vma.sharing) else { return bus };
        if pieces.first().is_none_or(|piece| piece.backing == Backing::Nothing) {
            return bus;
        }
        Resolution::Retry(self.fill(tid, at..vma.end, &pieces))
    }

    /// Puts pieces of a file where holes were, as long as they still are holes.
    pub(super) fn fill(&self, tid: Pid, range: Range<u64>, pieces: &[MapPiece]) -> Vec<HostCall> {
        let mut state = self.state.lock();
        let mut calls = Vec::new();
        let mut at = range.start;
        for piece in pieces {
            let part = at..(at + piece.len).min(range.end);
            at = part.end;
            let hole = |vma: &Vma| vma.flags.contains(VmaFlags::HOLE);
            let still = state.vmas.first_gap(part.clone()).is_none()
                && state.vmas.within(part.clone()).all(|(_, vma)| hole(vma));
            if piece.backing == Backing::Nothing || !still {
                continue;
            }
            let Some(vma) = state.vmas.find(part.start).map(|(_, vma)| vma.clone()) else { continue };
            calls.push(map_again(part.clone(), &vma, piece.backing));
            let old = state.replace_keeps(part, VmaFlags::empty(), piece);
            state.keep(tid, old);
        }
        calls
    }

    /// Lets the mapping above grow down to the address (MAP_GROWSDOWN).
    fn grow_down(&self, fault: &Fault, limits: &MemoryLimits) -> Resolution {
        let lost = Resolution::Signal(Fault { code: SEGV_MAPERR, signal: SIGSEGV, ..*fault });
        let mut state = self.state.lock();
        let page = page_down(fault.address);
        let Some((start, vma)) = state.vmas.next_above(fault.address) else { return lost };
        let grows = vma.flags.contains(VmaFlags::GROWS_DOWN) && vma.end - page <= limits.stack;
        let guard = state.vmas.last_below(page).is_none_or(|(_, below)| page - below.end >= 256 * PAGE);
        let added = Vma { end: start, ..vma.clone() };
        if !grows || !guard || page < state.bounds.start || state.check_limits(&(page..start), &added, limits).is_err()
        {
            return lost;
        }
        let call = map_again(page..start, &added, Backing::Anonymous);
        let end = vma.end;
        state.vmas.take(start..end);
        state.vmas.insert(page, Vma { end, ..added });
        Resolution::Retry(alloc::vec![call])
    }
}

/// Whether the mapping would allow what faulted.
fn permits(vma: &Vma, fault: &Fault) -> bool {
    let needed = match fault.error_code {
        code if code & WRITE != 0 => Protection::WRITE,
        code if code & FETCH != 0 => Protection::EXEC,
        _ => Protection::READ | Protection::WRITE | Protection::EXEC,
    };
    vma.protection.intersects(needed)
}
