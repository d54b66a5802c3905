//! System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).

use alloc::sync::Arc;
use core::time::Duration;

use super::{Call, Outcome};
use crate::Errno;
use crate::abi::{Decoder, Encoder};
use crate::ipc::{Create, Facts, IpcAccess, Segment, SegmentRequest, Segments};
use crate::mm::{MapRequest, PAGE, Placement, Source, page_down};
use crate::platform::{HostClock, Protection, Sharing};
use crate::task::Task;
use crate::wait::Stop;

const IPC_CREAT: i32 = 0o1000;
const IPC_EXCL: i32 = 0o2000;
const SHM_HUGETLB: i32 = 0o4000;
const SHM_RDONLY: i32 = 0o10_000;
const SHM_RND: i32 = 0o20_000;
const SHM_REMAP: i32 = 0o40_000;
const SHM_EXEC: i32 = 0o100_000;
/// Bits of `shm_perm.mode`.
const SHM_DEST: u32 = 0o1000;
const SHM_LOCKED: u32 = 0o2000;
/// SHMMAX: as large as Linux has it.
const SHMMAX: u64 = u64::MAX - (1 << 24);
/// SHMMNI
const SHMMNI: u64 = 4096;

fn segments(task: &Task) -> &Segments {
    &task.process().namespaces().ipc.segments
}

fn now(task: &Task) -> Duration {
    task.kernel().machine().now(HostClock::Realtime)
}

/// shmget(2)
pub fn shmget(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = call.int(2);
    let create = match (flags & IPC_CREAT != 0, flags & IPC_EXCL != 0) {
        (false, _) => Create::No,
        (true, false) => Create::Missing,
        (true, true) => Create::Only,
    };
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::ENOMEM.into());
    }
    let request = SegmentRequest {
        key: call.int(0),
        bytes: call.arg(1),
        mode: (flags & 0o777).unsigned_abs(),
        create,
        credentials: &task.credentials(),
        pid: task.process().pid(),
        now: now(task),
    };
    let segment = segments(task).get(task.kernel().shared_machine(), &request)?;
    Ok(segment.id.unsigned_abs().into())
}

/// shmat(2)
pub fn shmat(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let flags = call.int(2);
    let segment = segments(task).find(call.int(0))?;
    let read_only = flags & SHM_RDONLY != 0;
    let access = if read_only { IpcAccess::READ } else { IpcAccess::READ | IpcAccess::WRITE };
    segment.facts().permission.check(&task.credentials(), access)?;
    let mut protection = if read_only { Protection::READ } else { Protection::READ | Protection::WRITE };
    protection.set(Protection::EXEC, flags & SHM_EXEC != 0);
    let (address, placement) = attach_at(call.arg(1), flags)?;
    let source: Arc<dyn Source> = segment.clone();
    let request = MapRequest {
        address,
        placement,
        sharing: Sharing::Shared,
        source: Some((source, 0)),
        ..MapRequest::anonymous(segment.len(), protection)
    };
    let mapped = task.memory().map(task.tid(), &request, &task.memory_limits());
    let change = mapped.map_err(|errno| if errno == Errno::EEXIST { Errno::EINVAL } else { errno })?;
    note(task, &segment, ATTACHED);
    Ok(task.answer(call, change))
}

fn attach_at(address: u64, flags: i32) -> Result<(u64, Placement), Errno> {
    let replace = flags & SHM_REMAP != 0;
    if address == 0 {
        return if replace { Err(Errno::EINVAL) } else { Ok((0, Placement::Anywhere)) };
    }
    if !address.is_multiple_of(PAGE) && flags & SHM_RND == 0 {
        return Err(Errno::EINVAL);
    }
    Ok((page_down(address), if replace { Placement::Fixed } else { Placement::FixedNoReplace }))
}

/// Indices of [`Facts::times`].
const ATTACHED: usize = 0;
const DETACHED: usize = 1;
const CHANGED: usize = 2;

fn note(task: &Task, segment: &Segment, what: usize) {
    let (now, pid) = (now(task), task.process().pid());
    segment.change(|facts| {
        facts.times[what] = now;
        facts.last = pid;
    });
}

/// shmdt(2)
pub fn shmdt(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let (change, source) = task.memory().detach::<Segment>(task.tid(), call.arg(0))?;
    if let Some(segment) = source.downcast::<Segment>() {
        note(task, segment, DETACHED);
    }
    Ok(task.answer(call, change))
}

/// shmctl(2)
pub fn shmctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    /// Asks for the 64-bit structures, which are the only ones here.
    const IPC_64: i32 = 0x100;
    let memory = task.memory();
    let to = call.arg(2);
    Ok(match call.int(1) & !IPC_64 {
        0 => owned(task, call, |segment| segments(task).remove(segment))?,
        1 => set(task, call)?,
        2 => {
            let segment = segments(task).find(call.int(0))?;
            memory.write_bytes(to, &status(task, &segment, Checked::Yes)?)?;
            0
        }
        3 => {
            memory.write_bytes(to, &limits())?;
            highest(task)
        }
        11 => owned(task, call, |segment| segment.change(|facts| facts.locked = true))?,
        12 => owned(task, call, |segment| segment.change(|facts| facts.locked = false))?,
        command @ (13 | 15) => {
            let index = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
            let segment = segments(task).all().get(index).cloned().ok_or(Errno::EINVAL)?;
            let checked = if command == 13 { Checked::Yes } else { Checked::No };
            memory.write_bytes(to, &status(task, &segment, checked)?)?;
            segment.id.unsigned_abs().into()
        }
        14 => {
            memory.write_bytes(to, &totals(task))?;
            highest(task)
        }
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// The highest index that SHM_STAT takes.
fn highest(task: &Task) -> u64 {
    (segments(task).all().len() as u64).saturating_sub(1)
}

/// Whether reading must be permitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checked {
    Yes,
    No,
}

fn owned(task: &Task, call: &Call, change: impl FnOnce(&Arc<Segment>)) -> Result<u64, Errno> {
    let segment = segments(task).find(call.int(0))?;
    segment.facts().permission.check_owner(&task.credentials())?;
    change(&segment);
    Ok(0)
}

/// `struct shmid64_ds`.
fn status(task: &Task, segment: &Arc<Segment>, checked: Checked) -> Result<alloc::vec::Vec<u8>, Errno> {
    let Facts { permission, times, last, removed, locked } = segment.facts();
    if checked == Checked::Yes {
        permission.check(&task.credentials(), IpcAccess::READ)?;
    }
    let state = if removed { SHM_DEST } else { 0 } | if locked { SHM_LOCKED } else { 0 };
    let mut out = Encoder::with_capacity(112);
    out.put(permission.key).put(permission.uid).put(permission.gid);
    out.put(permission.creator_uid).put(permission.creator_gid).put(permission.mode | state).zeros(24);
    out.put(segment.bytes);
    for time in times {
        out.put(time.as_secs());
    }
    out.put(segment.creator.raw()).put(last.raw()).put(task.kernel().count_mappings(segment)).zeros(16);
    Ok(out.finish())
}

/// IPC_SET: owner, group and mode.
fn set(task: &Task, call: &Call) -> Result<u64, Errno> {
    let bytes = task.memory().read_vec(call.arg(2), 112)?;
    let mut fields = Decoder::new(&bytes);
    fields.skip(4);
    let (uid, gid) = (fields.take(), fields.take());
    fields.skip(8);
    let mode: u32 = fields.take();
    let time = now(task);
    owned(task, call, |segment| {
        segment.change(|facts| {
            (facts.permission.uid, facts.permission.gid, facts.permission.mode) = (uid, gid, mode & 0o777);
            facts.times[CHANGED] = time;
        });
    })
}

/// `struct shminfo64`.
fn limits() -> alloc::vec::Vec<u8> {
    let mut out = Encoder::new();
    out.put([SHMMAX, 1, SHMMNI, SHMMNI, SHMMAX]).zeros(32);
    out.finish()
}

/// `struct shm_info`.
fn totals(task: &Task) -> alloc::vec::Vec<u8> {
    let all = segments(task).all();
    let pages: u64 = all.iter().map(|segment| segment.len() / PAGE).sum();
    let mut out = Encoder::new();
    out.put(i32::try_from(all.len()).unwrap_or(i32::MAX)).zeros(4).put([pages, pages, 0, 0, 0]);
    out.finish()
}
