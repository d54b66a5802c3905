//! epoll_create(2), epoll_ctl(2), epoll_wait(2).

use alloc::sync::Arc;
use core::time::Duration;

use linux_raw_sys::general as abi;

use super::Call;
use super::poll::{milliseconds, patience, replace_mask};
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec};
use crate::epoll::{Epoll, Interest, Modes, Ready};
use crate::mm::Memory;
use crate::poll::{ALWAYS, Look};
use crate::task::Task;
use crate::vfs::{File, OpenFlags, PollEvents, User};
use crate::wait::Stop;

/// `struct epoll_event`, which is packed on x86-64.
#[derive(Clone, Copy, Debug)]
struct Event {
    events: u32,
    data: u64,
}

impl Abi for Event {
    const LEN: usize = 12;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { events: from.take(), data: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.events).put(self.data);
    }
}

/// epoll_create(2)
pub fn epoll_create(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    if call.int(0) <= 0 {
        return Err(Errno::EINVAL.into());
    }
    create(task, OpenFlags::empty())
}

/// epoll_create1(2)
pub fn epoll_create1(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = call.uint(0);
    if flags & !abi::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    create(task, OpenFlags::from_bits_truncate(flags))
}

fn create(task: &Arc<Task>, flags: OpenFlags) -> Result<u64, Stop> {
    let flags = flags | OpenFlags::READ_WRITE;
    let (vfs, owner) = (task.kernel().vfs(), task.credentials());
    let epoll = Epoll::new(User::new(vfs.hooks(), owner.uid));
    let file = vfs.open_anonymous("[eventpoll]", epoll, flags, &owner)?;
    Ok(super::new_file::install(task, file, flags)?)
}

/// epoll_ctl(2)
pub fn epoll_ctl(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (operation, fd) = (call.uint(1), call.int(2));
    let takes_event = operation != abi::EPOLL_CTL_DEL;
    let event = if takes_event { Some(task.memory().read_struct::<Event>(call.arg(3))?) } else { None };
    let files = task.files();
    let (own, file) = (files.get_open(call.int(0))?, files.get_open(fd)?);
    if file.object().queue().is_none() {
        return Err(Errno::EPERM.into());
    }
    let epoll = own.downcast::<Epoll>().filter(|_| !Arc::ptr_eq(&own, &file)).ok_or(Errno::EINVAL)?;
    let interest = event.map(|event| Interest::from_bits(event.events, event.data));
    match (operation, interest) {
        (abi::EPOLL_CTL_ADD, Some(interest)) => {
            check_exclusive(event.map_or(0, |event| event.events))?;
            epoll.add(fd, &file, interest, Some(task))?;
        }
        (abi::EPOLL_CTL_MOD, Some(interest)) => epoll.modify(fd, &file, interest, Some(task))?,
        (abi::EPOLL_CTL_DEL, _) => epoll.remove(fd, &file)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(())
}

/// EPOLLEXCLUSIVE goes with few others.
fn check_exclusive(bits: u32) -> Result<(), Errno> {
    let events = PollEvents::READABLE | PollEvents::WRITABLE | ALWAYS;
    let modes = Modes::WAKEUP | Modes::EDGE | Modes::EXCLUSIVE;
    let exclusive = bits & Modes::EXCLUSIVE.bits() != 0;
    if exclusive && bits & !(events.bits() | modes.bits()) != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// epoll_wait(2)
pub fn epoll_wait(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    wait(task, call, milliseconds(call.int(3)))
}

/// epoll_pwait(2)
pub fn epoll_pwait(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    replace_mask(task, call.arg(4), call.arg(5))?;
    wait(task, call, milliseconds(call.int(3)))
}

/// epoll_pwait2(2)
pub fn epoll_pwait2(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let timeout = task.memory().read_optional::<Timespec>(call.arg(3))?;
    let timeout = timeout.map(Timespec::duration).transpose()?;
    replace_mask(task, call.arg(4), call.arg(5))?;
    wait(task, call, timeout)
}

/// Stores events; says how many had room. `EFAULT` when none had.
fn store(memory: &Memory, address: u64, ready: &[Ready]) -> Result<usize, Errno> {
    let mut to = Encoder::with_capacity(ready.len() * Event::LEN);
    ready.iter().for_each(|ready| Event { events: ready.events.bits(), data: ready.data }.encode(&mut to));
    let events = to.finish();
    let stored = memory.copy_out(&[(address, events.len())], &events) / Event::LEN;
    if stored > 0 { Ok(stored) } else { Err(Errno::EFAULT) }
}

fn wait(task: &Arc<Task>, call: &mut Call, timeout: Option<Duration>) -> Result<u64, Stop> {
    let most = usize::try_from(call.int(2)).ok().filter(|count| *count > 0).ok_or(Errno::EINVAL)?;
    if most > i32::MAX as usize / Event::LEN {
        return Err(Errno::EINVAL.into());
    }
    let file: Arc<File> = task.files().get_open(call.int(0))?;
    let epoll = file.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    let memory = task.memory();
    let told = epoll.collect(Some(task), most, |ready| store(&memory, call.arg(1), ready))?;
    if told > 0 {
        return Ok(told as u64);
    }
    if patience(task, call, timeout) == Look::Once {
        return Ok(0);
    }
    if let Some(queue) = file.object().queue() {
        call.watch_for(task, &queue, PollEvents::READABLE);
        call.relies_on_queues();
    }
    Err(Stop::WaitNoRestart)
}
