//! /proc/PID/stat and statm (proc_pid_stat(5), proc_pid_statm(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::PidSubject;
use super::access::may_inspect;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::mm::{Memory, PAGE};
use crate::task::{Counts, CpuTime, ExitStatus, Pid, Process, Resource, Scheduling, Task, ticks};

/// PF_RANDOMIZE
const FLAGS: u32 = 0x40_0000;
/// Signals that fit the fields: all but the highest of the first word, as on Linux.
const SIGNALS_SHOWN: u64 = 0x7fff_ffff;

/// Who a process belongs to.
pub(super) struct Kinship {
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    pub terminal: u64,
    pub foreground: i64,
    exit_signal: i32,
    exit: Option<ExitStatus>,
    stopped: bool,
}

impl Kinship {
    pub fn of(process: &Process) -> Result<Self, Errno> {
        let tree = process.pids().tree();
        let node = tree.node(process.pid()).ok_or(Errno::ESRCH)?;
        let terminal = node.session.terminal().map_or(0, |terminal| terminal.device().encode());
        let foreground = node.session.foreground().map_or(-1, |group| i64::from(group.raw()));
        Ok(Self {
            parent: node.parent,
            group: node.group,
            session: node.session.id(),
            terminal,
            foreground,
            exit_signal: node.exit_signal.map_or(0, |signal| signal.raw()),
            exit: node.change.exit.as_ref().map(|exit| exit.status),
            stopped: node.change.stopped.is_some(),
        })
    }

    /// The letter of the state.
    pub fn letter(&self, task: Option<&Arc<Task>>) -> char {
        match task {
            None => 'Z',
            Some(_) if self.stopped => 'T',
            Some(task) => task.state_letter(),
        }
    }
}

/// Addresses that only those see who may look into the process.
#[derive(Default)]
struct Layout {
    code: Range<u64>,
    stack_start: u64,
    brk_start: u64,
    arguments: Range<u64>,
    environment: Range<u64>,
}

impl Layout {
    fn of(memory: &Memory) -> Self {
        let Some(program) = memory.program() else { return Self::default() };
        Self {
            code: code_range(memory),
            stack_start: program.stack_start,
            brk_start: memory.heap().start,
            arguments: program.arguments.clone(),
            environment: program.environment.clone(),
        }
    }
}

/// The mapping that the program began in.
pub(super) fn code_range(memory: &Memory) -> Range<u64> {
    let entry = memory.program().map_or(0, |program| program.entry);
    memory.find(entry).map_or(0..0, |(start, vma)| start..vma.end)
}

/// /proc/PID/stat
pub(super) fn stat(subject: &PidSubject, opener: &Opener) -> Result<Vec<u8>, Errno> {
    let process = subject.process()?;
    let task = subject.task().ok();
    let kinship = Kinship::of(&process)?;
    let permitted = may_inspect(subject, &opener.caller()).is_ok();
    let mut text = Text::new();
    write!(text, "{} (", subject.id()?);
    text.bytes(&super::settings::name(&process, task.as_ref()));
    let Kinship { parent, group, session, terminal, foreground, .. } = kinship;
    write!(text, ") {} {parent} {group} {session} {terminal} {foreground}", kinship.letter(task.as_ref()));
    let counts = counts(subject, &process, task.as_ref());
    let children = process.children_counts();
    write!(text, " {FLAGS} {} {}", counts.minor_faults, children.minor_faults);
    write!(text, " {} {}", counts.major_faults, children.major_faults);
    times(&mut text, subject, &process, task.as_ref());
    memory_fields(&mut text, &process, task.as_ref(), permitted);
    signals(&mut text, &process, task.as_ref());
    let sleeping = permitted && task.as_ref().is_some_and(|task| task.state_letter() != 'R');
    write!(text, " {} 0 0 {} 0", u8::from(sleeping), kinship.exit_signal);
    let scheduling = task.as_ref().map_or_else(Scheduling::default, |task| task.settings.lock().scheduling);
    write!(text, " {} {} 0 0 0", scheduling.priority, scheduling.policy);
    layout_fields(&mut text, task.as_ref(), permitted);
    let code = kinship.exit.filter(|_| permitted).map_or(0, ExitStatus::raw);
    writeln!(text, " {code}");
    text.finish()
}

fn counts(subject: &PidSubject, process: &Process, task: Option<&Arc<Task>>) -> Counts {
    match (&subject.task, task) {
        (Some(_), Some(task)) => task.counts(),
        (Some(_), None) => Counts::default(),
        (None, _) => process.counts(),
    }
}

fn times(text: &mut Text, subject: &PidSubject, process: &Process, task: Option<&Arc<Task>>) {
    let used = match (&subject.task, task) {
        (Some(_), Some(task)) => task.cpu_time(),
        (Some(_), None) => CpuTime::default(),
        (None, _) => process.cpu_time(),
    };
    let children = process.children_cpu_time();
    for time in [used.user, used.system, children.user, children.system] {
        write!(text, " {}", ticks(time));
    }
    let scheduling = task.map_or_else(Scheduling::default, |task| task.settings.lock().scheduling);
    let priority = priority(&scheduling);
    let started = ticks(process.started());
    write!(text, " {priority} {} {} 0 {started}", scheduling.nice, process.task_count());
}

/// As Linux counts it: 20 is an ordinary task's, real-time ones are negative.
fn priority(scheduling: &Scheduling) -> i64 {
    if scheduling.is_realtime() { -1 - i64::from(scheduling.priority) } else { 20 + i64::from(scheduling.nice) }
}

fn memory_fields(text: &mut Text, process: &Process, task: Option<&Arc<Task>>, permitted: bool) {
    let limit = process.limit(Resource::Resident).soft;
    let Some(task) = task else {
        write!(text, " 0 0 {limit} 0 0 0 0 0");
        return;
    };
    let memory = task.memory();
    let totals = memory.totals();
    write!(text, " {} {} {limit}", totals.size, totals.resident / PAGE);
    if permitted {
        let layout = Layout::of(&memory);
        write!(text, " {} {} {} 0 0", layout.code.start, layout.code.end, layout.stack_start);
    } else {
        write!(text, " 1 1 0 0 0");
    }
}

fn signals(text: &mut Text, process: &Process, task: Option<&Arc<Task>>) {
    let (pending, blocked) =
        task.map_or((0, 0), |task| (task.signals.pending.lock().set().bits(), task.signals.blocked().bits()));
    let (caught, ignored) = process.signals.actions().lock().sets();
    for set in [pending, blocked, ignored.bits(), caught.bits()] {
        write!(text, " {}", set & SIGNALS_SHOWN);
    }
}

fn layout_fields(text: &mut Text, task: Option<&Arc<Task>>, permitted: bool) {
    let layout = task.filter(|_| permitted).map(|task| Layout::of(&task.memory())).unwrap_or_default();
    let (arguments, environment) = (&layout.arguments, &layout.environment);
    write!(text, " 0 0 {} {} {}", layout.brk_start, arguments.start, arguments.end);
    write!(text, " {} {}", environment.start, environment.end);
}

/// /proc/PID/statm
pub(super) fn statm(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let totals = subject.task().map(|task| task.memory().totals()).unwrap_or_default();
    let [size, resident, shared, text_pages, data] =
        [totals.size, totals.resident, totals.shared, totals.text, totals.data].map(|bytes| bytes / PAGE);
    let mut text = Text::new();
    writeln!(text, "{size} {resident} {shared} {text_pages} 0 {data} 0");
    text.finish()
}
