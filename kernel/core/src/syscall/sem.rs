//! System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use super::ipc::{
    Checked, INFO, PERMISSION_BYTES, REMOVE, SET, STATUS, at_index, change_permission, highest, lookup, now, numbers,
    objects, put_permission,
};
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec};
use crate::ipc::{
    IpcAccess, OPERATIONS_MAX, Object, Objects, Operated, Operation, OperationFlags, SET_MAX, SemaphoreSet, VALUE_MAX,
    Wanted,
};
use crate::task::Task;
use crate::wait::Stop;

/// `union semun` commands of semctl(2).
const GETPID: i32 = 11;
const GETVAL: i32 = 12;
const GETALL: i32 = 13;
const GETNCNT: i32 = 14;
const GETZCNT: i32 = 15;
const SETVAL: i32 = 16;
const SETALL: i32 = 17;
const SEM_STAT: i32 = 18;
const SEM_INFO: i32 = 19;
const SEM_STAT_ANY: i32 = 20;

fn sets(task: &Task) -> &Objects<SemaphoreSet> {
    &objects(task).semaphores
}

/// semget(2)
pub fn semget(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let count = usize::try_from(call.int(1)).ok().filter(|count| *count <= SET_MAX).ok_or(Errno::EINVAL)?;
    let credentials = task.credentials();
    let fits = |set: &SemaphoreSet| if set.count < count { Err(Errno::EINVAL) } else { Ok(()) };
    let set = sets(task).get(&lookup(call.int(0), call.int(2), &credentials), fits, |id, permission| {
        if count == 0 { Err(Errno::EINVAL) } else { SemaphoreSet::new(id, count, permission, now(task)) }
    })?;
    Ok(set.id.unsigned_abs().into())
}

/// semop(2)
pub fn semop(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    operate(task, call, None)
}

/// semtimedop(2)
pub fn semtimedop(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let timeout = task.memory().read_optional::<Timespec>(call.arg(3))?;
    operate(task, call, timeout)
}

/// `struct sembuf`.
impl Abi for Operation {
    const LEN: usize = 6;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let (index, add) = (from.take(), from.take());
        Self { index, add, flags: OperationFlags::from_bits_truncate(from.take()) }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.index).put(self.add).put(self.flags.bits());
    }
}

fn operations(task: &Task, call: &Call) -> Result<Vec<Operation>, Errno> {
    match call.size(2) {
        0 => Err(Errno::EINVAL),
        count if count > OPERATIONS_MAX => Err(Errno::E2BIG),
        count => {
            let bytes = task.memory().read_vec(call.arg(1), count * Operation::LEN)?;
            Ok(bytes.chunks_exact(Operation::LEN).map(Operation::from_bytes).collect())
        }
    }
}

/// [`super::call::Resume::state`] of a call that has waited: its set was there.
const WAITED: u64 = 1;

/// `EIDRM` when it went while the call waited, `EINVAL` when it was never there.
fn find(task: &Task, call: &Call) -> Result<Arc<SemaphoreSet>, Errno> {
    let missing = if call.resume.state == WAITED { Errno::EIDRM } else { Errno::EINVAL };
    sets(task).find(call.int(0)).map_err(|_| missing)
}

fn operate(task: &Arc<Task>, call: &mut Call, timeout: Option<Timespec>) -> Result<u64, Stop> {
    let operations = operations(task, call)?;
    let timeout = timeout.map(Timespec::duration).transpose()?;
    let set = find(task, call)?;
    if operations.iter().any(|operation| usize::from(operation.index) >= set.count) {
        return Err(Errno::EFBIG.into());
    }
    let alters = operations.iter().any(|operation| operation.add != 0);
    let access = if alters { IpcAccess::WRITE } else { IpcAccess::READ };
    set.permission().check(&task.credentials(), access)?;
    let Operated::Blocked(on) = set.operate(&operations, task.process().pid(), now(task))? else { return Ok(0) };
    let expired = timeout.is_some_and(|timeout| call.times_out(task, timeout));
    if on.flags.contains(OperationFlags::NO_WAIT) || expired {
        return Err(Errno::EAGAIN.into());
    }
    call.resume.state = WAITED;
    call.keep(set.wait(&on));
    call.watch(task, &set.queue);
    Err(Stop::WaitNoRestart)
}

/// semctl(2)
pub fn semctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (id, command) = (call.int(0), call.int(2));
    Ok(match command {
        INFO | SEM_INFO => {
            task.memory().write_bytes(call.arg(3), &limits(task, command))?;
            highest(sets(task).all().len())
        }
        SEM_STAT | SEM_STAT_ANY => {
            let set = at_index(&sets(task).all(), id)?;
            let checked = if command == SEM_STAT { Checked::Yes } else { Checked::No };
            write_status(task, call, &set, checked)?;
            set.id.unsigned_abs().into()
        }
        STATUS => {
            write_status(task, call, &*sets(task).find(id)?, Checked::Yes)?;
            0
        }
        SET | REMOVE => change_set(task, call, &*sets(task).find(id)?, command)?,
        SETVAL | SETALL => set_values(task, call, &*sets(task).find(id)?, command)?,
        GETPID | GETVAL | GETALL | GETNCNT | GETZCNT => read_values(task, call, &*sets(task).find(id)?, command)?,
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn change_set(task: &Task, call: &Call, set: &SemaphoreSet, command: i32) -> Result<u64, Errno> {
    set.permission().check_owner(&task.credentials())?;
    if command == REMOVE {
        sets(task).remove(set.id);
        set.queue.wake();
        return Ok(0);
    }
    let bytes = task.memory().read_vec(call.arg(3), PERMISSION_BYTES)?;
    let now = now(task);
    set.change(|state| {
        change_permission(&mut state.permission, &mut Decoder::new(&bytes));
        state.changed = now;
    });
    Ok(0)
}

fn set_values(task: &Task, call: &Call, set: &SemaphoreSet, command: i32) -> Result<u64, Errno> {
    set.permission().check(&task.credentials(), IpcAccess::WRITE)?;
    let (pid, now) = (task.process().pid(), now(task));
    let in_range = |value: u16| Some(value).filter(|value| *value <= VALUE_MAX).ok_or(Errno::ERANGE);
    if command == SETVAL {
        let index = index_of(call, set)?;
        let value = in_range(u16::try_from(call.int(3)).map_err(|_| Errno::ERANGE)?)?;
        set.change(|state| state.set(index, value, pid, now));
        return Ok(0);
    }
    let bytes = task.memory().read_vec(call.arg(3), set.count * 2)?;
    let values: Vec<u16> = bytes.chunks_exact(2).map(u16::from_bytes).map(in_range).collect::<Result<_, _>>()?;
    set.change(|state| values.iter().enumerate().for_each(|(index, value)| state.set(index, *value, pid, now)));
    Ok(0)
}

fn index_of(call: &Call, set: &SemaphoreSet) -> Result<usize, Errno> {
    usize::try_from(call.int(1)).ok().filter(|index| *index < set.count).ok_or(Errno::EINVAL)
}

fn read_values(task: &Task, call: &Call, set: &SemaphoreSet, command: i32) -> Result<u64, Errno> {
    set.permission().check(&task.credentials(), IpcAccess::READ)?;
    if command == GETALL {
        let values: Vec<u16> = set.look(|state| state.values().iter().map(|semaphore| semaphore.value).collect());
        task.memory().write_bytes(call.arg(3), &numbers(values))?;
        return Ok(0);
    }
    let index = index_of(call, set)?;
    let number = u16::try_from(index).map_err(|_| Errno::EINVAL)?;
    Ok(set.look(|state| match command {
        GETPID => state.values()[index].last.raw().into(),
        GETVAL => state.values()[index].value.into(),
        GETNCNT => state.waiting(Wanted::More(number)) as u64,
        _ => state.waiting(Wanted::Zero(number)) as u64,
    }))
}

/// `struct semid64_ds`.
fn write_status(task: &Task, call: &Call, set: &SemaphoreSet, checked: Checked) -> Result<(), Errno> {
    if checked == Checked::Yes {
        set.permission().check(&task.credentials(), IpcAccess::READ)?;
    }
    let mut out = Encoder::new();
    set.look(|state| {
        put_permission(&mut out, &state.permission);
        out.put(state.operated.as_secs()).zeros(8).put(state.changed.as_secs()).zeros(8);
    });
    out.put(set.count as u64).zeros(16);
    task.memory().write_bytes(call.arg(3), &out.finish())
}

/// `struct seminfo`: limits, or what is in use (SEM_INFO).
fn limits(task: &Task, command: i32) -> Vec<u8> {
    const ALL: i32 = 1_024_000_000;
    let all = sets(task).all();
    let semaphores: usize = all.iter().map(|set| set.count).sum();
    let int = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let used = if command == SEM_INFO { [int(all.len()), int(semaphores)] } else { [20, VALUE_MAX.into()] };
    let (sets, set, operations) = (int(Objects::<SemaphoreSet>::COUNT_MAX), int(SET_MAX), int(OPERATIONS_MAX));
    numbers([ALL, sets, ALL, ALL, set, operations, operations, used[0], VALUE_MAX.into(), used[1]])
}
