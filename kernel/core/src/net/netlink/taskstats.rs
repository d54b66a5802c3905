//! What tasks use (Documentation/accounting/taskstats.rst): one that lives, asked for by its number.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::message::{attribute, find_attribute};
use crate::Errno;
use crate::abi::Encoder;
use crate::platform::HostClock;
use crate::task::{Capabilities, Counts, CpuTime, Namespaces, Pid, Process, Task};

/// The family's number, and TASKSTATS_CMD_GET, the only command.
pub(super) const KIND: u16 = 17;
pub(super) const GET: u8 = 1;
/// TASKSTATS_CMD_ATTR_PID and TASKSTATS_CMD_ATTR_TGID
const OF_TASK: u16 = 1;
const OF_PROCESS: u16 = 2;
/// TASKSTATS_VERSION of Linux 6.1, and the bytes of its `struct taskstats`.
const VERSION: u16 = 13;
const BYTES: usize = 416;
/// TS_COMM_LEN
const NAME_BYTES: usize = 32;

/// Whom a request is about.
enum About {
    Task(Arc<Task>),
    Process(Arc<Process>),
}

/// Answers TASKSTATS_CMD_GET. Whoever asks must be allowed to see everybody.
pub(super) fn get(attributes: &[u8], namespaces: &Namespaces, asker: Option<&Arc<Task>>) -> Result<Vec<u8>, Errno> {
    if !asker.is_some_and(|task| task.credentials().has(Capabilities::NET_ADMIN)) {
        return Err(Errno::EPERM);
    }
    let number = |kind| -> Option<Pid> {
        let bytes = find_attribute(attributes, kind)?.first_chunk()?;
        Pid::new(i32::try_from(u32::from_le_bytes(*bytes)).ok()?)
    };
    let (about, kind, pid) = match (number(OF_TASK), number(OF_PROCESS)) {
        (Some(pid), _) => (namespaces.pids.task(pid).map(About::Task), OF_TASK, pid),
        (None, Some(pid)) => (namespaces.pids.process(pid).map(About::Process), OF_PROCESS, pid),
        (None, None) => return Err(Errno::EINVAL),
    };
    let told = about.ok_or(Errno::ESRCH)?.told();
    // TASKSTATS_TYPE_AGGR_PID or TASKSTATS_TYPE_AGGR_TGID around the number and TASKSTATS_TYPE_STATS.
    let mut inside = Encoder::new();
    attribute(&mut inside, kind, &pid.raw().to_le_bytes());
    attribute(&mut inside, 3, &told);
    let mut body = Encoder::new();
    body.bytes(&[2, 1, 0, 0]);
    attribute(&mut body, kind + 3, &inside.finish());
    Ok(body.finish())
}

impl About {
    /// `struct taskstats`; of a whole process Linux fills in little more than times.
    fn told(&self) -> Vec<u8> {
        match self {
            Self::Task(task) => of_task(task),
            Self::Process(process) => {
                let mut bytes = Encoder::with_capacity(BYTES);
                put_head(&mut bytes, 0, process.cpu_total(), &[]);
                bytes.zeros(BYTES - bytes.len());
                let mut bytes = bytes.finish();
                put_switches(&mut bytes, &process.counts());
                bytes
            }
        }
    }
}

fn of_task(task: &Task) -> Vec<u8> {
    let process = task.process();
    let (time, counts) = (task.cpu_time(), task.counts());
    let nice = task.settings.lock().scheduling.nice;
    let mut bytes = Encoder::with_capacity(BYTES);
    put_head(&mut bytes, nice, time.user + time.system, &task.name());
    put_identity(&mut bytes, task);
    put_times(&mut bytes, process, time, &counts);
    bytes.zeros(BYTES - bytes.len());
    let mut bytes = bytes.finish();
    put_switches(&mut bytes, &counts);
    let transfers = [counts.read_bytes, counts.written_bytes, counts.reads, counts.writes];
    bytes[216..248].copy_from_slice(transfers.map(u64::to_le_bytes).as_flattened());
    bytes[368..372].copy_from_slice(&process.pid().raw().to_le_bytes());
    bytes
}

/// Up to `ac_comm`. What waits for processors, input and memory cost is not known.
fn put_head(to: &mut Encoder, nice: i32, total: Duration, name: &[u8]) {
    let [nice, ..] = nice.to_le_bytes();
    let total = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
    to.put(VERSION).zeros(2).put(0_u32).put(0_u8).put(nice).zeros(6);
    to.zeros(6 * 8).put(total).put(total);
    let name = &name[..name.len().min(NAME_BYTES - 1)];
    to.bytes(name).zeros(NAME_BYTES - name.len());
}

fn put_identity(to: &mut Encoder, task: &Task) {
    let (credentials, parent) = (task.credentials(), task.process().parent_pid());
    to.zeros(8).put(credentials.uid).put(credentials.gid).put(task.tid().raw()).put(parent.raw());
}

fn put_times(to: &mut Encoder, process: &Process, time: CpuTime, counts: &Counts) {
    let machine = process.kernel().machine();
    let age = machine.now(HostClock::Boottime).saturating_sub(process.started());
    let began = machine.now(HostClock::Realtime).saturating_sub(age);
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    to.put(u32::try_from(began.as_secs()).unwrap_or(u32::MAX)).zeros(4).put(us(age));
    to.put(us(time.user)).put(us(time.system)).put(counts.minor_faults).put(counts.major_faults);
}

/// `nvcsw` and `nivcsw`.
fn put_switches(bytes: &mut [u8], counts: &Counts) {
    let switches = [counts.voluntary_switches, counts.involuntary_switches];
    bytes[272..288].copy_from_slice(switches.map(u64::to_le_bytes).as_flattened());
}
