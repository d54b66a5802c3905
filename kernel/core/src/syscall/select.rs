//! select(2) and pselect6(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::poll::{patience, replace_mask, time_left};
use super::{Call, TimeForm};
use crate::Errno;
use crate::abi::{Timespec, Timeval};
use crate::poll::{Look, look, polled};
use crate::task::{Resource, Task};
use crate::vfs::PollEvents;
use crate::wait::Stop;

/// What each of the three sets asks for (`POLLIN_SET`, `POLLOUT_SET`, `POLLEX_SET` of Linux).
const WANTED: [PollEvents; 3] = [
    PollEvents::READABLE.union(PollEvents::RDBAND).union(PollEvents::HUP).union(PollEvents::ERR),
    PollEvents::WRITABLE.union(PollEvents::WRBAND).union(PollEvents::ERR),
    PollEvents::PRI,
];

/// What was asked, read once: the application may use its memory for something else while it waits.
#[derive(Clone, Debug)]
struct Asked {
    sets: Sets,
    count: usize,
    timeout: Option<Duration>,
}

/// Three sets of descriptors: to read, to write, with exceptions. A set that is not given is empty.
#[derive(Clone, Debug)]
struct Sets {
    addresses: [u64; 3],
    words: [Vec<u64>; 3],
}

impl Sets {
    fn read(task: &Task, call: &Call, count: usize) -> Result<Self, Errno> {
        let addresses = [call.arg(1), call.arg(2), call.arg(3)];
        let mut words = [Vec::new(), Vec::new(), Vec::new()];
        for (address, words) in addresses.iter().zip(&mut words) {
            *words = match address {
                0 => alloc::vec![0; count.div_ceil(64)],
                address => task.memory().read_array(*address, count.div_ceil(64))?,
            };
        }
        Ok(Self { addresses, words })
    }

    fn write(&self, task: &Task) -> Result<(), Errno> {
        for (address, words) in self.addresses.iter().zip(&self.words) {
            if *address != 0 {
                task.memory().write_array(*address, words)?;
            }
        }
        Ok(())
    }

    /// What is asked of a descriptor.
    fn wanted(&self, fd: usize) -> PollEvents {
        let asked = self.words.iter().zip(WANTED).filter(|(words, _)| words[fd / 64] >> (fd % 64) & 1 == 1);
        asked.fold(PollEvents::empty(), |all, (_, wanted)| all | wanted)
    }

    /// Leaves a descriptor in the sets that it has events for, and counts them.
    fn answer(&mut self, fd: usize, found: PollEvents) -> u64 {
        let mut count = 0;
        for (words, wanted) in self.words.iter_mut().zip(WANTED) {
            let bit = 1_u64 << (fd % 64);
            if words[fd / 64] & bit == 0 {
                continue;
            }
            if found.intersects(wanted) {
                count += 1;
            } else {
                words[fd / 64] &= !bit;
            }
        }
        count
    }
}

/// select(2)
pub fn select(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    call.report_remainder(call.arg(4), TimeForm::Timeval);
    let found = wait_for_any(task, call, |call| {
        let timeout = task.memory().read_optional::<Timeval>(call.arg(4))?;
        timeout.map(lenient).transpose()
    })?;
    if call.resume.deadline.is_some() {
        let _ = task.memory().write_struct(call.arg(4), &Timeval::from(time_left(task, call)));
    }
    Ok(found)
}

/// select(2) carries microseconds above a second over.
fn lenient(time: Timeval) -> Result<Duration, Errno> {
    let seconds = time.seconds.checked_add(time.microseconds / 1_000_000).ok_or(Errno::EINVAL)?;
    Timeval { seconds, microseconds: time.microseconds % 1_000_000 }.duration()
}

/// pselect6(2)
pub fn pselect6(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    call.report_remainder(call.arg(4), TimeForm::Timespec);
    let found = wait_for_any(task, call, |call| {
        let memory = task.memory();
        let timeout = memory.read_optional::<Timespec>(call.arg(4))?;
        let timeout = timeout.map(Timespec::duration).transpose()?;
        let [mask, len] = memory.read_optional::<[u64; 2]>(call.arg(5))?.unwrap_or_default();
        replace_mask(task, mask, len)?;
        Ok(timeout)
    })?;
    if call.resume.deadline.is_some() {
        let _ = task.memory().write_struct(call.arg(4), &Timespec::from(time_left(task, call)));
    }
    Ok(found)
}

fn wait_for_any(
    task: &Arc<Task>,
    call: &mut Call,
    timeout: impl FnOnce(&Call) -> Result<Option<Duration>, Errno>,
) -> Result<u64, Stop> {
    let asked = match call.kept::<Asked>() {
        Some(asked) => asked.clone(),
        None => {
            let (timeout, count) = (timeout(call)?, count(task, call)?);
            Asked { sets: Sets::read(task, call, count)?, count, timeout }
        }
    };
    let patience = patience(task, call, asked.timeout);
    let mut sets = asked.sets.clone();
    let found = scan(task, call, &mut sets, asked.count, patience)?;
    if found == 0 && patience == Look::Wait {
        call.keep(asked);
        call.relies_on_queues();
        return Err(Stop::WaitNoRestart);
    }
    sets.write(task)?;
    Ok(found)
}

/// How many descriptors are looked at.
fn count(task: &Task, call: &Call) -> Result<usize, Errno> {
    let limit = task.process().limit(Resource::Files).soft;
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    Ok(count.min(usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn scan(task: &Arc<Task>, call: &mut Call, sets: &mut Sets, count: usize, mut patience: Look) -> Result<u64, Errno> {
    let mut found = 0;
    for fd in 0..count {
        let wanted = sets.wanted(fd);
        if wanted.is_empty() {
            continue;
        }
        let file = polled(task, i32::try_from(fd).map_err(|_| Errno::EBADF)?)?;
        let events = look(task, call, &file, wanted, patience);
        let answered = sets.answer(fd, events);
        if answered > 0 {
            found += answered;
            patience = Look::Once;
        }
    }
    Ok(found)
}
