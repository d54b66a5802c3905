//! Host calls that the handler makes for the kernel, and the check of each against what was ordered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use stockade_kernel::Errno;
use stockade_kernel::platform::HostCall;
use stockade_kernel_stub::abi::{self, BATCH_BYTES_MAX, MAX_CALLS, RawCall};

use super::layout::{self, Descriptor};
use super::notice::Kind;
use super::{Doom, Heard, Inner, Segments, State};
use crate::pool::Place;
use crate::sys::memory;
use crate::sys::seccomp::{Answer, Notification};

const SYS_EXIT: u32 = 60;

/// Host calls under way, a slot full at a time.
#[derive(Debug)]
pub(super) struct Batch {
    calls: Vec<HostCall>,
    /// Where the part that is in the slot begins, and ends.
    start: usize,
    end: usize,
    /// The call that is expected next.
    next: usize,
    /// The reply that follows the last one.
    then: i64,
    /// What the thread waited in before.
    pub(super) origin: Kind,
}

impl Batch {
    fn new(calls: &[HostCall], then: i64, origin: Kind) -> Self {
        Self { calls: calls.to_vec(), start: 0, end: part_end(calls, 0), next: 0, then, origin }
    }

    /// One whose only call the host gets now.
    pub(super) fn begun(calls: &[HostCall], then: i64) -> Self {
        Self { next: 1, ..Self::new(calls, then, Kind::Trapped) }
    }

    /// Goes on to the next part.
    fn turn(&mut self) {
        self.start = self.end;
        self.next = self.end;
        self.end = part_end(&self.calls, self.start);
    }

    /// Which call of the whole a call of the part is.
    pub(super) fn index(&self, in_part: u64) -> usize {
        let in_part = usize::try_from(in_part).unwrap_or(usize::MAX);
        self.start.saturating_add(in_part).min(self.calls.len().saturating_sub(1))
    }

    /// Whether the part in the slot is the last one.
    pub(super) fn is_last(&self) -> bool {
        self.end == self.calls.len()
    }

    /// The reply that follows the last call.
    pub(super) fn then(&self) -> i64 {
        self.then
    }

    fn part(&self) -> &[HostCall] {
        &self.calls[self.start..self.end]
    }

    /// The part as the slot has it: calls, and behind them the bytes that come along.
    fn encode(&self, slot: u32) -> Vec<u8> {
        let part = self.part();
        let behind = abi::slot_address(slot) + abi::CALLS_OFFSET + (part.len() * size_of::<RawCall>()) as u64;
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        for call in part {
            let mut raw = layout::encode(call, slot);
            if raw.number == abi::FILL {
                raw.arguments[2] = behind + payload.len() as u64;
                payload.extend(layout::payload(call));
            }
            bytes.extend(raw.number.to_ne_bytes());
            raw.arguments.iter().for_each(|argument| bytes.extend(argument.to_ne_bytes()));
        }
        [bytes, payload].concat()
    }

    /// The part with what goes before it: the reply that follows, and how many calls.
    fn orders(&self, slot: u32) -> Vec<u8> {
        let then = if self.is_last() { self.then } else { abi::REPORT };
        let count = self.part().len() as u64;
        [&then.to_ne_bytes()[..], &count.to_ne_bytes(), &self.encode(slot)].concat()
    }

    /// Whether the host got every call of the part, as far as its calls are seen here.
    pub(super) fn is_made(&self) -> bool {
        self.none_seen(self.end)
    }

    /// Whether the call at this place of the part can be the one that failed: the host got those before it, and no
    /// later one.
    pub(super) fn may_fail_at(&self, in_part: u64) -> bool {
        let at = usize::try_from(in_part).unwrap_or(usize::MAX).saturating_add(self.start);
        let is_last = at.checked_add(1) == Some(self.next);
        let unseen = || self.part().get(at - self.start).is_some_and(layout::is_unseen);
        is_last || at >= self.next && unseen() && self.none_seen(at)
    }

    fn none_seen(&self, end: usize) -> bool {
        self.calls.get(self.next..end).is_none_or(|rest| rest.iter().all(layout::is_unseen))
    }
}

/// What a new thread does without a word, before it is the application's.
#[derive(Debug)]
pub(crate) struct Beginning {
    clear_tid: Option<u64>,
    batch: Option<Batch>,
}

impl Beginning {
    /// `None` when it must be heard of: some of it the host does, or it is too much.
    pub(crate) fn of(setup: &[HostCall]) -> Option<Self> {
        let (mut clear_tid, mut calls) = (None, Vec::new());
        for call in setup {
            match call {
                HostCall::SetTidAddress { address } => clear_tid = noted(*address),
                call if layout::is_unseen(call) => calls.push(call.clone()),
                _ => return None,
            }
        }
        let batch = (!calls.is_empty()).then(|| Batch::new(&calls, abi::LEAVE_SEGMENTS, Kind::Signal));
        batch.as_ref().is_none_or(Batch::is_last).then_some(Self { clear_tid, batch })
    }

    /// As the thread's slot has it: its first reply, and the batch.
    pub(super) fn encode(&self, slot: u32) -> Vec<u8> {
        match &self.batch {
            Some(batch) => [&abi::RUN.to_ne_bytes()[..], &batch.orders(slot)].concat(),
            None => abi::LEAVE_SEGMENTS.to_ne_bytes().to_vec(),
        }
    }
}

/// What is left of a word that is cleared at the thread's end.
fn noted(address: u64) -> Option<u64> {
    (address != 0).then_some(address)
}

/// Where the part ends that begins there: as many calls as a slot takes, with the bytes that come along; one at least.
fn part_end(calls: &[HostCall], start: usize) -> usize {
    let mut room = BATCH_BYTES_MAX;
    let mut fits = |call: &HostCall| {
        let bytes = size_of::<RawCall>() + layout::payload(call).len();
        let left = room.checked_sub(bytes as u64);
        room = left.unwrap_or(0);
        left.is_some()
    };
    let calls = &calls[start.min(calls.len())..];
    let count = calls.iter().take(MAX_CALLS).take_while(|call| fits(call)).count();
    start + count.max(calls.len().min(1))
}

impl State {
    /// Whether the handler was told to make host calls that have not come.
    pub(super) fn owes_calls(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| !batch.is_made())
    }
}

/// What of a host call is left for the thread to do once it was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// Nothing.
    Wholly,
    /// All of it.
    NotAtAll,
}

impl State {
    /// Notes what the platform does itself; false when the thread has something to do.
    pub(super) fn notes_all(&mut self, calls: &[HostCall]) -> bool {
        calls.iter().all(|call| self.note(call) == Noted::Wholly)
    }

    /// Notes what the platform does itself.
    fn note(&mut self, call: &HostCall) -> Noted {
        let HostCall::SetTidAddress { address } = call else { return Noted::NotAtAll };
        self.clear_tid = noted(*address);
        Noted::Wholly
    }

    /// The thread is on its way already.
    pub(super) fn begin_at_once(&mut self, beginning: Beginning) {
        let Beginning { clear_tid, batch } = beginning;
        (self.clear_tid, self.batch, self.segments) = (clear_tid, batch, Segments::Kept);
        self.heard = Heard::NotYet;
    }
}

impl Inner {
    /// Puts calls into the slot; gives the reply that makes the handler do them.
    pub(super) fn begin_batch(&self, state: &mut State, calls: &[HostCall], then: i64, origin: Kind) -> i64 {
        self.count_mapped(calls);
        self.order(state, Batch::new(calls, then, origin))
    }

    /// How much memory the program may take counts when it is lacking.
    pub(super) fn count_mapped(&self, calls: &[HostCall]) {
        self.stub.turn().count(calls);
        self.machine.see_turn(&self.stub);
    }

    /// The next slot full.
    pub(super) fn next_chunk(&self, state: &mut State, mut batch: Batch) -> i64 {
        batch.turn();
        self.order(state, batch)
    }

    fn order(&self, state: &mut State, batch: Batch) -> i64 {
        for call in batch.part() {
            state.note(call);
        }
        let orders = batch.orders(self.slot);
        let piece = (abi::slot_address(self.slot) + abi::BATCH_OFFSET, &orders[..]);
        self.write_entry(state, Some(piece));
        state.batch = Some(batch);
        abi::RUN
    }

    /// Writes a piece of the slot, and with it the registers that were kept for the reply. The slot is always there;
    /// only a dead process does not take it.
    pub(super) fn write_entry(&self, state: &mut State, piece: Option<(u64, &[u8])>) {
        let Some(registers) = state.entry.take() else {
            if let Some((address, bytes)) = piece {
                memory::write(self.stub.pid(), address, bytes);
            }
            return;
        };
        let (context_at, context) = self.entry_piece(&registers);
        let segments = [registers.fs_base.to_ne_bytes(), registers.gs_base.to_ne_bytes()].concat();
        let segments = (abi::slot_address(self.slot) + abi::SEGMENTS_OFFSET, &segments[..]);
        let context = (context_at, &context[..]);
        let written = match piece {
            Some(piece) => memory::write_pieces(self.stub.pid(), &[context, segments, piece]),
            None => memory::write_pieces(self.stub.pid(), &[context, segments]),
        };
        if !written {
            self.stub.kill();
        }
    }

    /// A host call from the handler: it must be the one that comes next. `None` when it is not.
    pub(super) fn host_call(&self, state: &mut State, notification: &Notification) -> Option<Answer> {
        if notification.number == SYS_EXIT && state.doomed == Doom::Ends {
            return Some(Answer::Continue);
        }
        let batch = state.batch.as_mut()?;
        while batch.calls.get(batch.next).is_some_and(layout::is_unseen) {
            batch.next += 1;
        }
        let call = batch.calls.get(batch.next)?;
        let expected = layout::encode(call, self.slot);
        if expected.number != u64::from(notification.number) || expected.arguments != notification.arguments {
            return None;
        }
        batch.next += 1;
        if !layout::is_permitted(call) || !self.has_descriptor(call, notification.id) {
            return Some(Answer::Value(-i64::from(Errno::EPERM.raw())));
        }
        Some(Answer::Continue)
    }

    /// Puts the file that a call maps into the stub, unless it is there.
    fn has_descriptor(&self, call: &HostCall, id: u64) -> bool {
        let Some(descriptor) = layout::descriptor(call) else { return true };
        match descriptor.own_number() {
            Some(number) => self.stub.ensure_descriptor(number, || self.add_descriptor(descriptor, id)),
            None => self.add_descriptor(descriptor, id).is_ok(),
        }
    }

    fn add_descriptor(&self, descriptor: Descriptor, id: u64) -> io::Result<()> {
        let add = |file: BorrowedFd<'_>| self.listener.add_descriptor(id, file, descriptor.number(self.slot));
        let absent = io::ErrorKind::NotFound;
        match descriptor {
            Descriptor::Pool => add(self.machine.pool.file()),
            Descriptor::Blob(blob) => add(self.machine.blobs.file(blob).ok_or(absent)?.as_fd()),
            Descriptor::File(file) => add(self.machine.files.get(file).ok_or(absent)?.as_fd()),
            Descriptor::Store(offset) => match self.machine.pool.place(offset) {
                Ok(Place::Store(store, _)) => add(store.as_fd()),
                _ => Err(absent.into()),
            },
        }
    }
}
