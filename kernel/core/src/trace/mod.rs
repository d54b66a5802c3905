//! The kernel's own trace: a line per system call, signal and end, as strace(1) prints them.
//!
//! A call is printed when it ends. One that sleeps is printed as unfinished, and resumed when it ends. What the host
//! serves by itself (futexes, clocks; see docs/rfcs/0001) never reaches the kernel and is not in the trace.

mod argument;
mod error_text;
mod flags;
mod table;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{Debug, Write};

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::signal::{Detail, SignalInfo};
use crate::syscall::{Call, entry, unserved_name};
use crate::task::{ExitStatus, Process, Task};
use argument::{Arguments, Moment};
use table::{Answer, Shape};

/// Where results stand, as strace(1) aligns them.
const RESULT_COLUMN: usize = 39;

/// Who takes the lines.
pub trait TraceSink: Debug + Send + Sync {
    /// Takes one line, without its end. Called on the threads that serve calls.
    fn line(&self, line: &str);
}

/// Traces the processes of a container.
#[derive(Debug)]
pub struct Tracer {
    sink: Arc<dyn TraceSink>,
    /// Calls under way, by the address of their task.
    open: Mutex<BTreeMap<usize, Open>>,
}

/// A call under way.
#[derive(Debug)]
struct Open {
    arguments: Arguments,
    shape: Shape,
    /// What is printed so far, or to be.
    text: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is printed yet.
    Begun,
    /// The beginning was printed as unfinished.
    Unfinished,
}

fn key(task: &Arc<Task>) -> usize {
    Arc::as_ptr(task).addr()
}

impl Tracer {
    /// Sends lines to `sink`.
    pub fn new(sink: Arc<dyn TraceSink>) -> Arc<Self> {
        Arc::new(Self { sink, open: Mutex::default() })
    }

    /// A call begins.
    pub(crate) fn enter(&self, task: &Arc<Task>, call: &Call) {
        let shape = Shape::of(call.number);
        let arguments = Arguments::new(call.arguments);
        let mut text = String::new();
        let _ = write!(text, "{}(", shape.name);
        let memory = task.memory();
        arguments.write(&mut text, &shape, &memory, Moment::Entry);
        self.open.lock().insert(key(task), Open { arguments, shape, text, state: State::Begun });
    }

    /// It waits.
    pub(crate) fn sleep(&self, task: &Arc<Task>) {
        let mut open = self.open.lock();
        let Some(call) = open.get_mut(&key(task)).filter(|call| call.state == State::Begun) else { return };
        call.state = State::Unfinished;
        let line = alloc::format!("{} <unfinished ...>", core::mem::take(&mut call.text));
        call.text = alloc::format!("<... {} resumed>", call.shape.name);
        drop(open);
        self.say(task, &line);
    }

    /// It returns this.
    pub(crate) fn leave(&self, task: &Arc<Task>, value: i64) {
        let Some(mut call) = self.open.lock().remove(&key(task)) else { return };
        let memory = task.memory();
        call.arguments.write(&mut call.text, &call.shape, &memory, Moment::Exit(value));
        let answer = call.shape.answer;
        self.result(task, call.text, &result(answer, value));
    }

    /// A handler interrupts it.
    pub(crate) fn interrupt(&self, task: &Arc<Task>) {
        self.end(task, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
    }

    /// It does not return.
    pub(crate) fn never(&self, task: &Arc<Task>) {
        self.end(task, "?");
    }

    fn end(&self, task: &Arc<Task>, result: &str) {
        let Some(mut call) = self.open.lock().remove(&key(task)) else { return };
        call.arguments.write(&mut call.text, &call.shape, &task.memory(), Moment::Abandoned);
        self.result(task, call.text, result);
    }

    fn result(&self, task: &Arc<Task>, mut text: String, result: &str) {
        text.push(')');
        let _ = write!(text, "{:width$}", "", width = RESULT_COLUMN.saturating_sub(text.chars().count()));
        let _ = write!(text, " = {result}");
        self.say(task, &text);
    }

    /// A signal is delivered.
    pub(crate) fn signal(&self, task: &Arc<Task>, info: &SignalInfo) {
        let signal = info.signal;
        let mut text = alloc::format!("--- {signal:?} {{si_signo={signal:?}, si_code={}", flags::signal_code(info));
        let _ = match info.detail {
            Detail::Sender { pid, uid } => write!(text, ", si_pid={pid}, si_uid={uid}"),
            Detail::Child { pid, uid, status, .. } => {
                write!(text, ", si_pid={pid}, si_uid={uid}, si_status={status}")
            }
            Detail::Fault { address } => write!(text, ", si_addr={address:#x}"),
            _ => Ok(()),
        };
        text.push_str("} ---");
        self.say(task, &text);
    }

    /// A process ended.
    pub(crate) fn ended(&self, process: &Process, status: ExitStatus) {
        let how = match status {
            ExitStatus::Exited(code) => alloc::format!("exited with {code}"),
            ExitStatus::Killed(signal, crate::task::Dump::Core) => alloc::format!("killed by {signal:?} (core dumped)"),
            ExitStatus::Killed(signal, crate::task::Dump::None) => alloc::format!("killed by {signal:?}"),
        };
        self.sink.line(&alloc::format!("[pid {:5}] +++ {how} +++", process.pid()));
    }

    fn say(&self, task: &Arc<Task>, text: &str) {
        self.sink.line(&alloc::format!("[pid {:5}] {text}", task.tid()));
    }
}

fn result(answer: Answer, value: i64) -> String {
    match u64::try_from(value) {
        Ok(value) if answer == Answer::Address => alloc::format!("{value:#x}"),
        Ok(value) if answer == Answer::Octal => alloc::format!("0{value:o}"),
        Ok(value) => alloc::format!("{value}"),
        Err(_) => match i32::try_from(-value).ok().and_then(Errno::from_raw) {
            Some(errno) => alloc::format!("-1 {errno} ({})", error_text::of(errno)),
            None => alloc::format!("{value}"),
        },
    }
}

impl Task {
    /// Who traces it.
    pub(crate) fn tracer(&self) -> Option<Arc<Tracer>> {
        self.process().namespaces().tracer()
    }

    /// Tells the tracer, if there is one.
    pub(crate) fn trace(self: &Arc<Self>, tell: impl FnOnce(&Tracer, &Arc<Task>)) {
        if let Some(tracer) = self.tracer() {
            tell(&tracer, self);
        }
    }
}

/// A call's name, of unknown ones too.
fn name_of(number: u32) -> String {
    let name = entry(number).map(|entry| entry.name).or_else(|| unserved_name(number));
    name.map_or_else(|| alloc::format!("syscall_{number:#x}"), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_as_strace_prints_them() {
        assert_eq!(result(Answer::Number, 3), "3");
        assert_eq!(result(Answer::Address, 0x7000), "0x7000");
        assert_eq!(result(Answer::Octal, 0o22), "022");
        assert_eq!(result(Answer::Number, -2), "-1 ENOENT (No such file or directory)");
    }

    #[test]
    fn every_call_of_the_table_has_a_shape() {
        for entry in crate::syscall::TABLE {
            assert!(table::row_of(entry.name).is_some(), "{} has no line in trace/table.rs", entry.name);
        }
    }
}
