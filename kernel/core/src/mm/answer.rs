//! From a change of a map to the answer of a call, and what happens when the host refuses it.

use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel_sync::Mutex;

use super::unmap::unmap;
use super::{Memory, Resolution, State, Vma};
use crate::Errno;
use crate::platform::{Event, Fault, Form, HostCall, Interruption, LayoutError, Reply};
use crate::syscall::{Call, Outcome};
use crate::task::Task;

/// A change that the kernel's map has already and the host's has not.
#[derive(Clone, Debug)]
pub struct Change {
    /// What the host has to do.
    pub calls: Vec<HostCall>,
    /// What the call returns then.
    pub value: u64,
    /// How to take it back.
    pub undo: Undo,
}

/// How a change is taken back when the host refuses it.
#[derive(Clone, Debug)]
pub enum Undo {
    /// It is not.
    Nothing,
    /// What was mapped goes.
    Map(Range<u64>),
    /// The break moves back.
    Heap {
        /// What was mapped.
        added: Range<u64>,
        /// Where the break was.
        old: u64,
    },
    /// What was moved goes back.
    Remap {
        /// Where it came from.
        from: Vec<(u64, Vma)>,
        /// Where it is.
        to: Range<u64>,
    },
}

/// What a task's calls left to be done by its host thread.
#[derive(Debug)]
enum Pending {
    /// Host calls whose failure takes a change back.
    Change(Undo),
    /// The change was taken back; the call fails with this.
    Failure(Errno),
    /// A new program, which cannot begin without them.
    Program,
}

/// A task's address space, and how far the host has followed.
#[derive(Debug)]
pub struct TaskMemory {
    memory: Mutex<Arc<Memory>>,
    pending: Mutex<Option<Pending>>,
    unsettled: AtomicBool,
    /// The program before this one, until the host has unmapped it: what it maps stays taken as long.
    former: Mutex<Option<Arc<Memory>>>,
    task: Weak<Task>,
}

impl TaskMemory {
    /// In this address space.
    pub fn new(memory: Arc<Memory>, task: &Weak<Task>) -> Self {
        memory.join(task);
        Self {
            memory: Mutex::new(memory),
            pending: Mutex::new(None),
            unsettled: AtomicBool::new(false),
            former: Mutex::new(None),
            task: task.clone(),
        }
    }

    /// The address space.
    pub fn get(&self) -> Arc<Memory> {
        self.memory.lock().clone()
    }

    /// Another program's; gives the old one back.
    pub fn replace(&self, memory: Arc<Memory>) -> Arc<Memory> {
        memory.join(&self.task);
        *self.pending.lock() = None;
        let old = core::mem::replace(&mut *self.memory.lock(), memory);
        old.leave(&self.task);
        old
    }

    /// The task ended.
    pub fn leave(&self) {
        self.get().leave(&self.task);
    }
}

impl Task {
    /// The answer to a call that changed its map: the host follows before the application goes on.
    pub fn answer(&self, call: &Call, change: Change) -> Outcome {
        if change.calls.is_empty() {
            return Outcome::Value(change.value);
        }
        if call.form == Form::Direct {
            self.defer(change.calls);
            return Outcome::Value(change.value);
        }
        *self.task_memory().pending.lock() = Some(Pending::Change(change.undo));
        self.leave_unsettled();
        Outcome::Reply(Reply::Layout { calls: change.calls, value: change.value.cast_signed() })
    }

    /// The host does this call itself; what it frees settles at the task's next event.
    pub fn answer_native(&self) -> Outcome {
        self.leave_unsettled();
        Outcome::Reply(Reply::Native)
    }

    fn leave_unsettled(&self) {
        self.task_memory().unsettled.store(true, Ordering::Release);
    }

    /// This task's host thread does these before the application goes on.
    pub fn defer(&self, calls: Vec<HostCall>) {
        self.memory().state.lock().deferred.extend(calls);
        self.leave_unsettled();
        if let Some(thread) = self.thread() {
            thread.interrupt();
        }
    }

    /// Becomes another program in the same host process: all that the old one mapped goes before the new one begins.
    pub(crate) fn answer_program(&self, memory: Arc<Memory>, setup: Vec<HostCall>) -> Outcome {
        let range = self.kernel().machine().info().user_range;
        let clear_tid = HostCall::SetTidAddress { address: 0 };
        let calls = [vec![unmap(range.start..range.end), clear_tid], setup].concat();
        memory.space().begin();
        let old = self.replace_memory(memory);
        let own = self.task_memory();
        *own.former.lock() = Some(old);
        *own.pending.lock() = Some(Pending::Program);
        self.leave_unsettled();
        Outcome::Reply(Reply::LayoutThenResume { calls })
    }

    /// An event came, so the last answer was carried out as far as it could be.
    pub(crate) fn settle(&self, event: &Event) {
        let own = self.task_memory();
        if !own.unsettled.load(Ordering::Acquire) {
            return;
        }
        own.unsettled.store(false, Ordering::Release);
        self.memory().settled(self.tid());
        let former = own.former.lock().take();
        drop(former);
        if !matches!(event, Event::LayoutDone(_)) {
            *own.pending.lock() = None;
        }
    }

    /// Whether the interruption was for host calls, which are asked for now.
    pub(crate) fn run_deferred(self: &Arc<Self>, interruption: Interruption) -> bool {
        let calls = self.memory().state.lock().take_deferred(self.tid());
        if calls.is_empty() {
            return false;
        }
        self.leave_unsettled();
        if let Interruption::Waiting(limit) = interruption {
            self.set_wait_restart(limit);
        }
        self.reply(Reply::LayoutThenEvent { calls });
        true
    }

    /// An exception: resolved, or the application's.
    pub(crate) fn memory_fault(self: &Arc<Self>, fault: Fault) {
        match self.memory().resolve(self.tid(), &fault, &self.memory_limits()) {
            Resolution::Retry(calls) if calls.is_empty() => self.reply(Reply::Resume),
            Resolution::Retry(calls) => {
                self.leave_unsettled();
                self.reply(Reply::LayoutThenEvent { calls });
            }
            Resolution::Signal(fault) => self.fault(fault),
        }
    }

    /// Whether the host calls belonged to a system call that fails now.
    pub(crate) fn layout_failed(self: &Arc<Self>, result: Result<(), LayoutError>) -> bool {
        let pending = self.task_memory().pending.lock().take();
        match (pending, result) {
            (Some(Pending::Failure(errno)), _) => self.reply(Reply::Value(-i64::from(errno.raw()))),
            (Some(Pending::Change(undo)), Err(error)) => self.take_back(undo, error.errno),
            (Some(Pending::Program), Err(_)) => drop(self.die_in_exec()),
            _ => return false,
        }
        true
    }

    fn take_back(self: &Arc<Self>, undo: Undo, errno: Errno) {
        let memory = self.memory();
        let (calls, dropped) = memory.state.lock().take_back(undo);
        drop(dropped);
        if calls.is_empty() {
            return self.reply(Reply::Value(-i64::from(errno.raw())));
        }
        *self.task_memory().pending.lock() = Some(Pending::Failure(errno));
        self.reply(Reply::LayoutThenEvent { calls });
    }
}

impl State {
    /// Restores the map. Says what the host has to do about a change of which it did a part, and what is to be dropped.
    fn take_back(&mut self, undo: Undo) -> (Vec<HostCall>, Vec<(u64, Vma)>) {
        let added = match &undo {
            Undo::Nothing => return (Vec::new(), Vec::new()),
            Undo::Map(range) | Undo::Remap { to: range, .. } | Undo::Heap { added: range, .. } => range.clone(),
        };
        let dropped = self.vmas.take(added.clone());
        match undo {
            Undo::Heap { old, .. } => self.heap.end = old,
            Undo::Remap { from, .. } => from.into_iter().for_each(|(start, vma)| self.vmas.insert(start, vma)),
            Undo::Nothing | Undo::Map(_) => {}
        }
        let calls = self.gaps(&added).into_iter().map(unmap).collect();
        (calls, dropped)
    }

    /// Parts of a range that are not mapped.
    pub fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (part, _) in self.vmas.within(range.clone()) {
            gaps.push(at..part.start);
            at = part.end;
        }
        gaps.push(at..range.end);
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }
}
