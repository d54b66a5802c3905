//! Semaphore sets (semget(2), semop(2)).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::{IpcPermission, Object, Objects};
use crate::Errno;
use crate::account::Charge;
use crate::task::Pid;
use crate::wait::SharedQueue;

/// SEMVMX and SEMAEM
pub const VALUE_MAX: u16 = 32_767;
/// SEMMSL
pub const SET_MAX: usize = 32_000;
/// SEMOPM
pub const OPERATIONS_MAX: usize = 500;

/// A set of semaphores.
#[derive(Debug)]
pub struct SemaphoreSet {
    /// Its id.
    pub id: i32,
    /// How many semaphores it has.
    pub count: usize,
    /// Woken when a value changes or the set is removed.
    pub queue: SharedQueue,
    state: Mutex<SetState>,
}

/// What changes about a set.
#[derive(Debug)]
pub struct SetState {
    /// Who may use it.
    pub permission: IpcPermission,
    /// Last semop(2), since 1970.
    pub operated: Duration,
    /// Last change, since 1970.
    pub changed: Duration,
    values: Vec<Value>,
    /// What is added to each value when a process ends (SEM_UNDO).
    undo: BTreeMap<Pid, Vec<i16>>,
    waiting: Vec<(u64, Wanted)>,
    last_ticket: u64,
    _memory: Charge,
}

/// What a set takes, and each of its semaphores.
const SET_BYTES: usize = 384;
const SEMAPHORE_BYTES: usize = size_of::<Value>();

/// One semaphore.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Its value.
    pub value: u16,
    /// Who changed it last.
    pub last: Pid,
}

bitflags::bitflags! {
    /// Flags of an operation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OperationFlags: u16 {
        /// IPC_NOWAIT
        const NO_WAIT = 0o4000;
        /// SEM_UNDO
        const UNDO = 0o10_000;
    }
}

/// `struct sembuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which semaphore.
    pub index: u16,
    /// What is added; 0 waits for the value 0.
    pub add: i16,
    /// How.
    pub flags: OperationFlags,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A larger value of this semaphore (GETNCNT).
    More(u16),
    /// That this one is 0 (GETZCNT).
    Zero(u16),
}

/// What became of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operated {
    /// All were done.
    Done,
    /// None was done: this one has to wait.
    Blocked(Operation),
}

/// One who waits; dropped when it no longer does.
#[derive(Debug)]
pub struct Place {
    set: Arc<SemaphoreSet>,
    ticket: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set.state.lock().waiting.retain(|(ticket, _)| *ticket != self.ticket);
    }
}

impl Operation {
    fn wanted(&self) -> Wanted {
        if self.add == 0 { Wanted::Zero(self.index) } else { Wanted::More(self.index) }
    }
}

impl Object for SemaphoreSet {
    fn permission(&self) -> IpcPermission {
        self.state.lock().permission
    }
}

impl SemaphoreSet {
    /// A set whose semaphores are 0: `ENOMEM` when the sandbox has no memory for it.
    pub fn new(id: i32, count: usize, permission: IpcPermission, now: Duration) -> Result<Self, Errno> {
        let memory = Charge::new(SET_BYTES + count * SEMAPHORE_BYTES)?;
        let state = SetState {
            permission,
            operated: Duration::ZERO,
            changed: now,
            values: vec![Value { value: 0, last: Pid::NONE }; count],
            undo: BTreeMap::new(),
            waiting: Vec::new(),
            last_ticket: 0,
            _memory: memory,
        };
        Ok(Self { id, count, queue: SharedQueue::default(), state: Mutex::new(state) })
    }

    /// Looks at it.
    pub fn look<T>(&self, look: impl FnOnce(&SetState) -> T) -> T {
        look(&self.state.lock())
    }

    /// Changes it and tells those who wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut SetState) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.queue.wake();
        result
    }

    /// semop(2): all operations, or none.
    pub fn operate(&self, operations: &[Operation], pid: Pid, now: Duration) -> Result<Operated, Errno> {
        let operated = self.state.lock().operate(operations, pid, now)?;
        if operated == Operated::Done && operations.iter().any(|operation| operation.add != 0) {
            self.queue.wake();
        }
        Ok(operated)
    }

    /// Counts one who waits.
    pub fn wait(self: &Arc<Self>, operation: &Operation) -> Place {
        let mut state = self.state.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push((ticket, operation.wanted()));
        drop(state);
        Place { set: self.clone(), ticket }
    }

    fn process_ended(&self, pid: Pid, now: Duration) {
        if self.state.lock().take_back(pid, now) {
            self.queue.wake();
        }
    }
}

impl SetState {
    /// All semaphores.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// How many wait for this.
    pub fn waiting(&self, wanted: Wanted) -> usize {
        self.waiting.iter().filter(|(_, other)| *other == wanted).count()
    }

    /// SETVAL and SETALL: what processes wanted undone of it is forgotten.
    pub fn set(&mut self, index: usize, value: u16, pid: Pid, now: Duration) {
        self.values[index] = Value { value, last: pid };
        self.changed = now;
        for undo in self.undo.values_mut() {
            undo[index] = 0;
        }
    }

    fn operate(&mut self, operations: &[Operation], pid: Pid, now: Duration) -> Result<Operated, Errno> {
        let mut values: BTreeMap<u16, u16> = BTreeMap::new();
        for operation in operations {
            let before = *values.entry(operation.index).or_insert(self.values[usize::from(operation.index)].value);
            let blocked =
                if operation.add == 0 { before != 0 } else { i32::from(before) + i32::from(operation.add) < 0 };
            if blocked {
                return Ok(Operated::Blocked(*operation));
            }
            let after = before.checked_add_signed(operation.add).filter(|value| *value <= VALUE_MAX);
            values.insert(operation.index, after.ok_or(Errno::ERANGE)?);
        }
        self.keep_undo(operations, pid)?;
        for operation in operations {
            self.values[usize::from(operation.index)] = Value { value: values[&operation.index], last: pid };
        }
        self.operated = now;
        Ok(Operated::Done)
    }

    fn keep_undo(&mut self, operations: &[Operation], pid: Pid) -> Result<(), Errno> {
        let undone = |operation: &&Operation| operation.add != 0 && operation.flags.contains(OperationFlags::UNDO);
        let mut kept: Option<Vec<i16>> = None;
        for operation in operations.iter().filter(undone) {
            let count = self.values.len();
            let undo = kept.get_or_insert_with(|| self.undo.get(&pid).cloned().unwrap_or_else(|| vec![0; count]));
            let adjusted = undo[usize::from(operation.index)].checked_sub(operation.add).ok_or(Errno::ERANGE)?;
            undo[usize::from(operation.index)] = adjusted;
        }
        if let Some(kept) = kept {
            self.undo.insert(pid, kept);
        }
        Ok(())
    }

    /// A process ended. A value that would leave its range stays at its end.
    fn take_back(&mut self, pid: Pid, now: Duration) -> bool {
        let Some(undo) = self.undo.remove(&pid) else { return false };
        for (semaphore, add) in self.values.iter_mut().zip(undo).filter(|(_, add)| *add != 0) {
            semaphore.value = semaphore.value.saturating_add_signed(add).min(VALUE_MAX);
            semaphore.last = pid;
        }
        self.operated = now;
        true
    }
}

impl Objects<SemaphoreSet> {
    /// Whether a process wants anything undone at its end.
    pub fn has_undo(&self, pid: Pid) -> bool {
        self.all().iter().any(|set| set.state.lock().undo.contains_key(&pid))
    }

    /// Undoes what a process that ended wanted undone.
    pub fn process_ended(&self, pid: Pid, now: impl FnOnce() -> Duration) {
        let sets = self.all();
        if sets.is_empty() {
            return;
        }
        let now = now();
        for set in sets {
            set.process_ended(pid, now);
        }
    }
}
