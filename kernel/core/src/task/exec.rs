//! What execve(2) does to tasks and processes; loading the program is `exec`'s.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::{Credentials, ExitStatus, RobustList, Task};
use crate::Errno;
use crate::mm::Memory;
use crate::platform::{Form, Frame, HostCall, Reply, Space};
use crate::signal::{AlternateStack, Attention, Signal};
use crate::syscall::{Call, Outcome};
use crate::wait::Stop;

/// A loaded program.
#[derive(Debug)]
pub struct Program {
    /// Its address space.
    pub memory: Arc<Memory>,
    /// Where it begins.
    pub frame: Frame,
    /// Host calls to make before.
    pub setup: Vec<HostCall>,
    /// Whether its space is the old program's host process.
    pub process: HostProcess,
    /// Who it runs as.
    pub credentials: Credentials,
    /// Its command's name.
    pub name: Vec<u8>,
}

/// Where a program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostProcess {
    /// Into a new process of the host.
    New,
    /// Into the process that its caller is in.
    Callers,
}

/// Whether a program may do what its caller may not, so that nobody may look into it (prctl(2), PR_SET_DUMPABLE).
fn gains(old: &Credentials, new: &Credentials) -> bool {
    let changed = (old.euid, old.egid) != (new.euid, new.egid) || !old.permitted.contains(new.permitted);
    changed || new.euid != new.uid || new.egid != new.gid
}

impl Task {
    /// The space of a new program that gains no rights, in the process of the old one: nothing else may run there. What
    /// the old program did to its stub it did to itself.
    pub(crate) fn succeeding_space(&self, call: &Call) -> Option<Arc<dyn Space>> {
        let process = self.process();
        let is_alone = process.task_count() == 1 && !process.shares_memory.load(Ordering::Relaxed);
        let is_possible = is_alone && call.form == Form::Trapped;
        if is_possible { self.memory().space().succeed() } else { None }
    }

    /// Ends all other tasks of the process and becomes its leader: `task.stand_alone(call)?`. Runs again until they
    /// are gone.
    pub fn stand_alone(self: &Arc<Self>, call: &mut Call) -> Result<(), Stop> {
        let process = self.process();
        if self.signals.attention().contains(Attention::EXIT) {
            return Err(Stop::WaitKillable);
        }
        call.watch(self, &process.end_events);
        for other in process.tasks() {
            if !Arc::ptr_eq(&other, self) {
                other.kill();
            }
        }
        if process.task_count() > 1 {
            return Err(Stop::WaitKillable);
        }
        if !self.is_leader() {
            let mut tree = process.pids().tree();
            tree.release_task(self.tid());
            self.set_tid(process.pid());
            tree.set_task(self);
        }
        Ok(())
    }

    /// Goes on in a new program; the task stands alone. On failure the old program goes on.
    pub fn enter_program(self: &Arc<Self>, program: Program) -> Result<Outcome, Errno> {
        if program.process == HostProcess::Callers {
            return self.change_program(program);
        }
        let thread = program.memory.space().spawn(&program.frame, program.setup, self.clone())?;
        self.forget_program(&program.credentials);
        self.set_credentials(program.credentials);
        self.set_name(&program.name);
        if self.process().is_init() {
            program.memory.space().prefer();
        }
        let old_memory = self.replace_memory(program.memory);
        let old_thread = self.thread.lock().replace(thread.clone());
        self.process().shares_memory.store(false, Ordering::Relaxed);
        self.process().vfork.release();
        if let Some(old) = old_thread {
            let (time, counts) = super::counts::of_thread(&*old);
            self.process().add_usage(time, counts);
            old.reply(Reply::Exit);
        }
        drop(old_memory);
        self.sleep.leave();
        self.trace(|tracer, task| tracer.leave(task, 0));
        self.start();
        Ok(Outcome::Gone)
    }

    /// The same in the host process and thread that the task has.
    fn change_program(self: &Arc<Self>, program: Program) -> Result<Outcome, Errno> {
        self.thread().ok_or(Errno::ESRCH)?.set_frame(&program.frame)?;
        self.forget_program(&program.credentials);
        self.set_credentials(program.credentials);
        self.set_name(&program.name);
        self.process().vfork.release();
        program.memory.succeeds(&self.memory());
        Ok(self.answer_program(program.memory, program.setup))
    }

    /// What does not survive execve(2).
    fn forget_program(self: &Arc<Self>, new: &Credentials) {
        let looked_into = !gains(&self.credentials(), new);
        self.release_robust_list(&self.memory());
        {
            let mut settings = self.settings.lock();
            settings.clear_child_tid = 0;
            settings.robust_list = RobustList::default();
            settings.dumpable = u8::from(looked_into);
        }
        *self.signals.stack.lock() = AlternateStack::default();
        let process = self.process();
        let mut actions = process.signals.actions().lock().clone();
        actions.keep_ignored();
        process.signals.set_actions(actions);
        process.timers.clear_posix(self.kernel());
        if let Some(node) = process.pids().tree().node_mut(process.pid()) {
            node.executed = true;
            node.exit_signal = Some(Signal::CHLD);
        }
    }

    /// The old program is gone and the new one cannot begin.
    pub fn die_in_exec(self: &Arc<Self>) -> Outcome {
        self.process().end(ExitStatus::Killed(Signal::KILL, super::Dump::None));
        self.end_here();
        Outcome::Gone
    }
}
