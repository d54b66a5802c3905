//! System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use super::ipc::{
    Checked, INFO, NO_WAIT, PERMISSION_BYTES, REMOVE, SET, STATUS, at_index, change_permission, highest, lookup, now,
    numbers, objects, put_permission,
};
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::ipc::{Choice, IpcAccess, Message, MessageQueue, Object, Objects, QUEUE_BYTES, TEXT_MAX};
use crate::task::{Capabilities, Task};
use crate::wait::Stop;

const MSG_NOERROR: i32 = 0o10_000;
const MSG_EXCEPT: i32 = 0o20_000;
const MSG_COPY: i32 = 0o40_000;
const MSG_STAT: i32 = 11;
const MSG_INFO: i32 = 12;
const MSG_STAT_ANY: i32 = 13;

fn queues(task: &Task) -> &Objects<MessageQueue> {
    &objects(task).messages
}

/// msgget(2)
pub fn msgget(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let credentials = task.credentials();
    let lookup = lookup(call.int(0), call.int(1), &credentials);
    let make = |id, permission| MessageQueue::new(id, permission, now(task));
    let queue = queues(task).get(&lookup, |_| Ok(()), make)?;
    Ok(queue.id.unsigned_abs().into())
}

/// [`super::call::Resume::state`] of a call that has waited: its queue was there.
const WAITED: u64 = 1;

/// `EIDRM` when it went while the call waited, `EINVAL` when it was never there.
fn find(task: &Task, call: &Call) -> Result<Arc<MessageQueue>, Errno> {
    let missing = if call.resume.state == WAITED { Errno::EIDRM } else { Errno::EINVAL };
    queues(task).find(call.int(0)).map_err(|_| missing)
}

fn wait(task: &Arc<Task>, call: &mut Call, queue: &MessageQueue) -> Stop {
    call.resume.state = WAITED;
    call.watch(task, &queue.queue);
    Stop::WaitNoRestart
}

/// msgsnd(2)
pub fn msgsnd(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (len, flags) = (call.size(2), call.int(3));
    let kind: i64 = task.memory().read_struct(call.arg(1))?;
    if len > TEXT_MAX || kind < 1 || call.int(0) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let text = task.memory().read_vec(call.arg(1).wrapping_add(8), len)?;
    let queue = find(task, call)?;
    queue.permission().check(&task.credentials(), IpcAccess::WRITE)?;
    match queue.send(Message { kind, text }, task.process().pid(), now(task)) {
        Err(Errno::EAGAIN) if flags & NO_WAIT == 0 => Err(wait(task, call, &queue)),
        sent => Ok(sent.map(|()| 0)?),
    }
}

fn choice(kind: i64, flags: i32) -> Result<Choice, Errno> {
    if flags & MSG_COPY != 0 {
        if flags & MSG_EXCEPT != 0 || flags & NO_WAIT == 0 {
            return Err(Errno::EINVAL);
        }
        return Ok(Choice::At(usize::try_from(kind).unwrap_or(usize::MAX)));
    }
    Ok(match kind {
        0 => Choice::Any,
        kind if kind < 0 => Choice::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
        kind if flags & MSG_EXCEPT != 0 => Choice::Except(kind),
        kind => Choice::Of(kind),
    })
}

/// msgrcv(2)
pub fn msgrcv(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let (room, kind, flags) = (call.size(2), call.arg(3).cast_signed(), call.int(4));
    if isize::try_from(room).is_err() || call.int(0) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let choice = choice(kind, flags)?;
    let queue = find(task, call)?;
    queue.permission().check(&task.credentials(), IpcAccess::READ)?;
    let must_fit = Some(room).filter(|_| flags & MSG_NOERROR == 0);
    match queue.receive(choice, must_fit, task.process().pid(), now(task)) {
        Err(Errno::ENOMSG) if flags & NO_WAIT == 0 => Err(wait(task, call, &queue)),
        received => {
            let Message { kind, text } = received?;
            let text = &text[..text.len().min(room)];
            task.memory().write_struct(call.arg(1), &kind)?;
            task.memory().write_bytes(call.arg(1).wrapping_add(8), text)?;
            Ok(text.len())
        }
    }
}

/// msgctl(2)
pub fn msgctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (id, command) = (call.int(0), call.int(1));
    Ok(match command {
        INFO | MSG_INFO => {
            task.memory().write_bytes(call.arg(2), &limits(task, command))?;
            highest(queues(task).all().len())
        }
        MSG_STAT | MSG_STAT_ANY => {
            let queue = at_index(&queues(task).all(), id)?;
            let checked = if command == MSG_STAT { Checked::Yes } else { Checked::No };
            write_status(task, call, &queue, checked)?;
            queue.id.unsigned_abs().into()
        }
        STATUS => {
            write_status(task, call, &*queues(task).find(id)?, Checked::Yes)?;
            0
        }
        SET => change_queue(task, call, &*queues(task).find(id)?)?,
        REMOVE => {
            let queue = queues(task).find(id)?;
            queue.permission().check_owner(&task.credentials())?;
            queues(task).remove(id);
            queue.queue.wake();
            0
        }
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// Bytes of `struct msqid64_ds`, and where its `msg_qbytes` lies.
const STATUS_BYTES: usize = 120;
const LIMIT_AT: usize = PERMISSION_BYTES + 40;

fn change_queue(task: &Task, call: &Call, queue: &MessageQueue) -> Result<u64, Errno> {
    let bytes = task.memory().read_vec(call.arg(2), STATUS_BYTES)?;
    let bytes_max = u64::from_bytes(&bytes[LIMIT_AT..]);
    let credentials = task.credentials();
    queue.permission().check_owner(&credentials)?;
    if bytes_max > QUEUE_BYTES && !credentials.has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    let now = now(task);
    queue.change(|state| {
        change_permission(&mut state.permission, &mut Decoder::new(&bytes));
        (state.bytes_max, state.times[2]) = (bytes_max, now);
    });
    Ok(0)
}

/// `struct msqid64_ds`.
fn write_status(task: &Task, call: &Call, queue: &MessageQueue, checked: Checked) -> Result<(), Errno> {
    if checked == Checked::Yes {
        queue.permission().check(&task.credentials(), IpcAccess::READ)?;
    }
    let mut out = Encoder::with_capacity(STATUS_BYTES);
    queue.look(|state| {
        put_permission(&mut out, &state.permission);
        for time in state.times {
            out.put(time.as_secs());
        }
        let (count, bytes) = state.usage();
        out.put(bytes).put(count as u64).put(state.bytes_max);
        out.put(state.last[0].raw()).put(state.last[1].raw()).zeros(16);
    });
    task.memory().write_bytes(call.arg(2), &out.finish())
}

/// `struct msginfo`: limits, or what is in use (MSG_INFO).
fn limits(task: &Task, command: i32) -> Vec<u8> {
    let int = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
    let (most, per_queue) = (Objects::<MessageQueue>::COUNT_MAX as u64, int(QUEUE_BYTES));
    let all = queues(task).all();
    let usage = all.iter().map(|queue| queue.look(|state| state.usage()));
    let (messages, bytes) = usage.fold((0, 0), |sum, (count, bytes)| (sum.0 + count as u64, sum.1 + bytes));
    let [pool, map, headers] = match command {
        MSG_INFO => [int(all.len() as u64), int(messages), int(bytes)],
        _ => [int(most * QUEUE_BYTES / 1024), per_queue, per_queue],
    };
    let longest = i32::try_from(TEXT_MAX).unwrap_or(i32::MAX);
    // msgssz is 16; msgseg is a short, with padding behind it.
    numbers([pool, map, longest, per_queue, int(most), 16, headers, 0xffff])
}
