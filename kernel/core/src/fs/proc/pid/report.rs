//! A process as ps(1) tells of it, for whoever asks from outside the sandbox.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::memory::command_line;
use super::settings;
use super::stat::Kinship;
use crate::Errno;
use crate::task::{CpuTime, Process, Task};

/// The major number of pseudoterminals' slaves.
const PTS_MAJOR: u64 = 136;

/// What there is to tell of a process.
#[derive(Clone, Debug)]
pub struct ProcessReport {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its process group's.
    pub group: u32,
    /// Its session's.
    pub session: u32,
    /// Its real user's.
    pub uid: u32,
    /// Its effective user's.
    pub effective_uid: u32,
    /// Its effective group's.
    pub effective_gid: u32,
    /// Its nice value.
    pub nice: i32,
    /// The process group in the foreground of its terminal, or -1.
    pub foreground: i64,
    /// The letter of its state (proc_pid_stat(5)).
    pub state: char,
    /// Its terminal below /dev, or nothing.
    pub terminal: String,
    /// When it was made, on the monotonic clock.
    pub started: Duration,
    /// CPU time of its tasks.
    pub cpu: CpuTime,
    /// How many tasks it has.
    pub tasks: usize,
    /// Bytes mapped.
    pub size_bytes: u64,
    /// Bytes of them in memory.
    pub resident_bytes: u64,
    /// The name of its program.
    pub name: String,
    /// Its arguments, with blanks between; empty for a zombie.
    pub command: String,
    /// Its tasks that live, oldest first.
    pub threads: Vec<ThreadReport>,
}

/// What there is to tell of a task.
#[derive(Clone, Debug)]
pub struct ThreadReport {
    /// Its id.
    pub id: u32,
    /// The letter of its state (proc_pid_stat(5)).
    pub state: char,
    /// CPU time.
    pub cpu: CpuTime,
    /// Its name.
    pub name: String,
}

impl ThreadReport {
    fn of(task: &Arc<Task>, kinship: &Kinship) -> Self {
        let name = settings::name(task.process(), Some(task));
        Self {
            id: task.tid().raw(),
            state: kinship.letter(Some(task)),
            cpu: task.cpu_time(),
            name: String::from_utf8_lossy(&name).into_owned(),
        }
    }
}

impl ProcessReport {
    /// Of one process; `ESRCH` once it was waited for.
    pub fn of(process: &Arc<Process>) -> Result<Self, Errno> {
        let kinship = Kinship::of(process)?;
        let leader = process.leader();
        let memory = leader.as_ref().map(|task| task.memory());
        let totals = memory.as_ref().map(|memory| memory.totals()).unwrap_or_default();
        let arguments = memory.map(|memory| command_line(&memory)).unwrap_or_default();
        let name = settings::name(process, leader.as_ref());
        let credentials = leader.as_ref().map(|task| task.credentials());
        let effective = credentials.map_or((process.uid(), 0), |credentials| (credentials.euid, credentials.egid));
        Ok(Self {
            pid: process.pid().raw(),
            parent: kinship.parent.raw(),
            group: kinship.group.raw(),
            session: kinship.session.raw(),
            uid: process.uid(),
            effective_uid: effective.0,
            effective_gid: effective.1,
            nice: leader.as_ref().map_or(0, |task| task.settings.lock().scheduling.nice),
            foreground: kinship.foreground,
            state: kinship.letter(leader.as_ref()),
            terminal: terminal(kinship.terminal),
            started: process.started(),
            cpu: process.cpu_time(),
            tasks: process.task_count(),
            size_bytes: totals.size,
            resident_bytes: totals.resident,
            name: String::from_utf8_lossy(&name).into_owned(),
            command: words(&arguments),
            threads: process.tasks().iter().map(|task| ThreadReport::of(task, &kinship)).collect(),
        })
    }
}

fn terminal(device: u64) -> String {
    match (device >> 8, device & 0xff) {
        (0, 0) => String::new(),
        (PTS_MAJOR, number) => alloc::format!("pts/{number}"),
        (major, minor) => alloc::format!("{major}:{minor}"),
    }
}

fn words(arguments: &[u8]) -> String {
    let text = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    let text: alloc::vec::Vec<u8> = text.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&text).into_owned()
}
