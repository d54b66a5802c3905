//! Job control: how processes stop and go on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Job, Poke, Process, Task};
use crate::signal::{ActionFlags, Attention, Signal, code};

/// How far a process is stopped.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// By which signal it stops, or is stopped.
    stop: Option<Signal>,
    /// How many of its tasks stand still.
    parked: usize,
    /// All of them do, and the parent was told.
    complete: bool,
}

impl Task {
    /// Stands still if its process stops; gives the job back if it does not any more.
    pub(crate) fn park(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let complete = {
            let mut group = self.process().group.lock();
            if group.stop.is_none() {
                self.signals.lower(Attention::STOP);
                return Err(job);
            }
            self.sleep.stop(job);
            group.parked += 1;
            group.completed(self.process().task_count())
        };
        if let Some(signal) = complete {
            self.process().report_stop(signal);
        }
        Ok(())
    }
}

impl Group {
    /// The signal, when this task was the last to stand still.
    fn completed(&mut self, tasks: usize) -> Option<Signal> {
        let signal = self.stop.filter(|_| !self.complete && self.parked >= tasks)?;
        self.complete = true;
        Some(signal)
    }
}

impl Process {
    /// Stops all tasks: those that sleep at once, the others as soon as they notice.
    pub(crate) fn stop(&self, signal: Signal) {
        let tasks = self.tasks();
        let complete = {
            let mut group = self.group.lock();
            if group.stop.is_some() {
                return;
            }
            *group = Group { stop: Some(signal), parked: 0, complete: false };
            for task in &tasks {
                task.signals.raise(Attention::STOP);
                group.parked += usize::from(task.sleep.stop_sleeper());
            }
            group.completed(tasks.len())
        };
        for task in &tasks {
            task.interrupt_computation();
        }
        if let Some(signal) = complete {
            self.report_stop(signal);
        }
    }

    /// SIGCONT, or SIGKILL: stopped tasks go on.
    pub(crate) fn proceed(&self) {
        let tasks = self.tasks();
        let (was_complete, jobs) = {
            let mut group = self.group.lock();
            if group.stop.is_none() {
                return;
            }
            let was_complete = group.complete;
            *group = Group::default();
            let jobs: Vec<_> = tasks.iter().filter_map(|task| Some((task.clone(), task.proceed_job()?))).collect();
            (was_complete, jobs)
        };
        for (task, job) in jobs {
            self.kernel().push_woken(task, job);
        }
        if was_complete {
            self.report_continue();
        }
    }

    /// One task left while others stand still.
    pub(crate) fn task_left(&self) {
        let count = self.task_count();
        let complete = self.group.lock().completed(count);
        if let Some(signal) = complete {
            self.report_stop(signal);
        }
    }

    /// A new task of a process that stops must stop too.
    pub(crate) fn is_stopping(&self) -> bool {
        self.group.lock().stop.is_some()
    }

    fn report_stop(&self, signal: Signal) {
        self.report(code::CLD_STOPPED, signal, |change| {
            change.stopped = Some(signal);
            change.stop_unreported = true;
            change.continued = false;
        });
    }

    fn report_continue(&self) {
        self.report(code::CLD_CONTINUED, Signal::CONT, |change| {
            change.stopped = None;
            change.stop_unreported = false;
            change.continued = true;
        });
    }

    fn report(&self, code: i32, signal: Signal, apply: impl FnOnce(&mut super::Change)) {
        let parent = {
            let mut tree = self.pids().tree();
            let Some(node) = tree.node_mut(self.pid()) else { return };
            apply(&mut node.change);
            let parent = node.parent;
            tree.node(parent).map(|node| node.process.clone())
        };
        let Some(parent) = parent else { return };
        let action = parent.signals.actions().lock().get(Signal::CHLD);
        if !action.is_ignore() && !action.flags.contains(ActionFlags::NOCLDSTOP) {
            parent.send_signal(self.child_info(Signal::CHLD, (code, signal.raw())));
        }
        parent.child_events.wake();
    }
}

impl Task {
    fn proceed_job(&self) -> Option<Job> {
        self.signals.lower(Attention::STOP);
        self.sleep.proceed()
    }

    /// A task that computes is brought into the kernel.
    pub(crate) fn interrupt_computation(self: &Arc<Self>) {
        match self.sleep.poke() {
            Poke::User => {
                if let Some(thread) = self.thread() {
                    thread.interrupt();
                }
            }
            Poke::Running => {}
            Poke::Asleep(call) => self.kernel().push_woken(self.clone(), Job::Call(call)),
        }
    }
}
