//! poll(2) and ppoll(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Call, TimeForm};
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec};
use crate::poll::{Look, look, polled};
use crate::signal::SignalSet;
use crate::task::{Resource, Task};
use crate::vfs::PollEvents;
use crate::wait::Stop;

/// `struct pollfd`.
#[derive(Clone, Copy, Debug)]
struct PollFd {
    fd: i32,
    events: u16,
    found: u16,
}

impl Abi for PollFd {
    const LEN: usize = 8;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { fd: from.take(), events: from.take(), found: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.fd).put(self.events).put(self.found);
    }
}

/// What was asked, read once: the application may use its memory for something else while it waits.
#[derive(Clone, Debug)]
struct Asked {
    entries: Vec<PollFd>,
    timeout: Option<Duration>,
}

/// poll(2)
pub fn poll(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    wait_for_any(task, call, |call| Ok(milliseconds(call.int(2))))
}

/// ppoll(2)
pub fn ppoll(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    call.report_remainder(call.arg(2), TimeForm::Timespec);
    let found = wait_for_any(task, call, |call| {
        let timeout = task.memory().read_optional::<Timespec>(call.arg(2))?;
        let timeout = timeout.map(Timespec::duration).transpose()?;
        replace_mask(task, call.arg(3), call.arg(4))?;
        Ok(timeout)
    })?;
    if call.resume.deadline.is_some() {
        let left = time_left(task, call);
        // As on Linux, what cannot be told is left out.
        let _ = task.memory().write_struct(call.arg(2), &Timespec::from(left));
    }
    Ok(found)
}

/// A timeout in milliseconds; a negative one is none.
pub(super) fn milliseconds(timeout: i32) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_millis)
}

/// Blocks other signals while the call runs, if it names a set.
pub(super) fn replace_mask(task: &Arc<Task>, address: u64, len: u64) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    if len != 8 {
        return Err(Errno::EINVAL);
    }
    task.replace_mask(SignalSet::mask(task.memory().read_struct(address)?));
    Ok(())
}

/// How much of its time a call has left.
pub(super) fn time_left(task: &Task, call: &Call) -> Duration {
    let now = task.kernel().machine().now(crate::platform::HostClock::Monotonic);
    call.resume.deadline.unwrap_or_default().saturating_sub(now)
}

/// Whether a call that finds nothing waits.
pub(super) fn patience(task: &Task, call: &mut Call, timeout: Option<Duration>) -> Look {
    match timeout {
        None => Look::Wait,
        Some(timeout) if call.times_out(task, timeout) => Look::Once,
        Some(_) => Look::Wait,
    }
}

fn wait_for_any(
    task: &Arc<Task>,
    call: &mut Call,
    timeout: impl FnOnce(&Call) -> Result<Option<Duration>, Errno>,
) -> Result<u64, Stop> {
    let mut asked = match call.kept::<Asked>() {
        Some(asked) => asked.clone(),
        None => Asked { timeout: timeout(call)?, entries: read_entries(task, call)? },
    };
    let patience = patience(task, call, asked.timeout);
    let found = scan(task, call, &mut asked.entries, patience);
    if found == 0 && patience == Look::Wait {
        call.keep(asked);
        call.relies_on_queues();
        return Err(Stop::WaitNoRestart);
    }
    task.memory().write_array(call.arg(0), &asked.entries)?;
    Ok(found)
}

fn read_entries(task: &Task, call: &Call) -> Result<Vec<PollFd>, Errno> {
    let count = call.size(1) & 0xffff_ffff;
    if count as u64 > task.process().limit(Resource::Files).soft {
        return Err(Errno::EINVAL);
    }
    task.memory().read_array(call.arg(0), count)
}

fn scan(task: &Arc<Task>, call: &mut Call, entries: &mut [PollFd], mut patience: Look) -> u64 {
    let mut found = 0;
    for entry in entries {
        entry.found = 0;
        if entry.fd < 0 {
            continue;
        }
        let wanted = PollEvents::from_bits_truncate(entry.events.into());
        let events = match polled(task, entry.fd) {
            Ok(file) => look(task, call, &file, wanted, patience),
            Err(_) => PollEvents::NVAL,
        };
        if !events.is_empty() {
            entry.found = u16::try_from(events.bits()).unwrap_or_default();
            found += 1;
            patience = Look::Once;
        }
    }
    found
}
