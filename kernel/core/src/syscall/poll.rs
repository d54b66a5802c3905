//! poll(2) and ppoll(2).

use alloc::sync::Arc;
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

/// poll(2)
pub fn poll(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let timeout = milliseconds(call.int(2));
    wait_for_any(task, call, timeout)
}

/// ppoll(2)
pub fn ppoll(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let timeout = task.memory().read_optional::<Timespec>(call.arg(2))?;
    let timeout = timeout.map(Timespec::duration).transpose()?;
    let mask = call.arg(3);
    replace_mask(task, mask, call.arg(4))?;
    call.report_remainder(call.arg(2), TimeForm::Timespec);
    let result = wait_for_any(task, call, timeout);
    if let (Ok(_), Some(_)) = (&result, timeout) {
        let left = time_left(task, call);
        // As on Linux, what cannot be told is left out.
        let _ = task.memory().write_struct(call.arg(2), &Timespec::from(left));
    }
    result
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

fn wait_for_any(task: &Arc<Task>, call: &mut Call, timeout: Option<Duration>) -> Result<u64, Stop> {
    let count = call.size(1) & 0xffff_ffff;
    if count as u64 > task.process().limit(Resource::Files).soft {
        return Err(Errno::EINVAL.into());
    }
    let memory = task.memory();
    let mut entries = memory.read_array::<PollFd>(call.arg(0), count)?;
    let patience = patience(task, call, timeout);
    let found = scan(task, call, &mut entries, patience);
    if found == 0 && patience == Look::Wait {
        return Err(Stop::WaitNoRestart);
    }
    memory.write_array(call.arg(0), &entries)?;
    Ok(found)
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
