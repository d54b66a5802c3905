//! How signals are sent: to a task, or to a process as a whole.

use alloc::sync::Arc;

use super::{Action, Attention, DefaultAction, Detail, Queued, Signal, SignalInfo, SignalSet};
use crate::Errno;
use crate::task::{Dump, Pid, Process, Resource, Task};

impl SignalInfo {
    /// Whether it comes from outside the namespace: even init obeys it.
    fn is_from_outside(&self) -> bool {
        !self.is_from_user() || matches!(self.detail, Detail::Sender { pid: Pid::NONE, .. })
    }
}

impl Process {
    /// Sends a signal to the process as a whole. Signals beyond a limit are lost.
    pub fn send_signal(self: &Arc<Self>, info: SignalInfo) {
        let _ = self.try_send(info);
    }

    /// The same; `near` is asked first to take it.
    pub(crate) fn send_signal_near(self: &Arc<Self>, info: SignalInfo, near: Option<&Arc<Task>>) {
        let _ = self.send(info, near);
    }

    /// The same; `EAGAIN` when a real-time signal is beyond RLIMIT_SIGPENDING.
    pub(crate) fn try_send(self: &Arc<Self>, info: SignalInfo) -> Result<(), Errno> {
        self.send(info, None)
    }

    fn send(self: &Arc<Self>, info: SignalInfo, near: Option<&Arc<Task>>) -> Result<(), Errno> {
        let Some(first) = self.leader() else { return Ok(()) };
        if !self.prepare(&info, first.signals.blocked()) {
            return Ok(());
        }
        self.check_room(&info)?;
        if self.signals.pending.lock().push(info) == Queued::New {
            let takes = |task: &Arc<Task>| task.takes(info.signal);
            let near = near.filter(|task| takes(task)).cloned();
            self.arrived(&info, near.or_else(|| self.tasks().into_iter().find(takes)));
        }
        Ok(())
    }

    /// Job control's effects of a signal that is sent, and whether it is to be delivered at all.
    fn prepare(&self, info: &SignalInfo, blocked: SignalSet) -> bool {
        let signal = info.signal;
        if SignalSet::STOPPING.contains(signal) {
            self.discard(SignalSet::of(&[Signal::CONT]));
        } else if signal == Signal::CONT {
            self.discard(SignalSet::STOPPING);
            self.proceed();
        }
        if blocked.contains(signal) {
            return true;
        }
        let action = self.action(signal);
        let obeyed = info.is_from_outside() && SignalSet::UNBLOCKABLE.contains(signal);
        !action.ignores(signal) && (obeyed || !self.is_immune(&action))
    }

    /// Init of a namespace has no default actions for what its own processes send.
    pub(crate) fn is_immune(&self, action: &Action) -> bool {
        self.is_init() && action.is_default()
    }

    /// The action for a signal.
    pub(crate) fn action(&self, signal: Signal) -> Action {
        self.signals.actions().lock().get(signal)
    }

    /// Replaces the action for a signal; what waits and is ignored from now on is dropped (sigaction(2)).
    pub(crate) fn set_action(&self, signal: Signal, action: Action) -> Action {
        let old = self.signals.actions().lock().set(signal, action);
        if action.ignores(signal) {
            self.discard(SignalSet::of(&[signal]));
        }
        old
    }

    fn discard(&self, signals: SignalSet) {
        self.signals.pending.lock().discard(signals);
        for task in self.tasks() {
            task.signals.pending.lock().discard(signals);
        }
    }

    /// RLIMIT_SIGPENDING, for what must be queued.
    fn check_room(&self, info: &SignalInfo) -> Result<(), Errno> {
        let limit = self.limit(Resource::PendingSignals).soft;
        if !info.signal.is_realtime() || limit == crate::task::INFINITY {
            return Ok(());
        }
        if self.pending_count_of_user() >= limit { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// How many signals wait for the processes of its user.
    fn pending_count_of_user(&self) -> u64 {
        let uid = self.uid();
        let own = self.pids().processes().into_iter().filter(|process| process.uid() == uid);
        own.map(|process| process.pending_count() as u64).sum()
    }

    /// How many signals wait for it and its tasks.
    pub fn pending_count(&self) -> usize {
        let own = self.signals.pending.lock().count();
        own + self.tasks().iter().map(|task| task.signals.pending.lock().count()).sum::<usize>()
    }

    /// A signal waits now: ends the process when it is fatal, or tells a task that takes it.
    fn arrived(self: &Arc<Self>, info: &SignalInfo, taker: Option<Arc<Task>>) {
        let signal = info.signal;
        if let Some(taker) = taker {
            if self.is_fatal(signal) {
                taker.trace(|tracer, task| tracer.signal(task, info));
                self.end_by(signal, Dump::None);
                return;
            }
            taker.signals.raise(Attention::SIGNAL);
            taker.interrupt_computation();
        }
        if !self.signals.queue.is_empty() {
            self.signals.queue.wake();
        }
    }

    /// Whether it ends the process without a look by a task of its own (`sig_fatal` of Linux).
    fn is_fatal(&self, signal: Signal) -> bool {
        if signal == Signal::KILL {
            return true;
        }
        let default = self.action(signal).is_default() && DefaultAction::of(signal) == DefaultAction::Terminate;
        default && !self.is_init()
    }

    /// Another task must take what this one blocks now or left behind.
    pub(crate) fn retarget(self: &Arc<Self>, except: &Task) {
        let waiting = self.signals.pending.lock().set();
        if waiting.is_empty() {
            return;
        }
        for task in self.tasks() {
            let other = !core::ptr::eq(&raw const *task, except);
            if other && !waiting.without(task.signals.blocked()).is_empty() {
                task.signals.raise(Attention::SIGNAL);
                task.interrupt_computation();
            }
        }
    }
}

impl Task {
    /// Sends a signal to this task. Signals beyond a limit are lost.
    pub fn send_signal(self: &Arc<Self>, info: SignalInfo) {
        let _ = self.try_send(info);
    }

    /// The same; `EAGAIN` when a real-time signal is beyond RLIMIT_SIGPENDING.
    pub(crate) fn try_send(self: &Arc<Self>, info: SignalInfo) -> Result<(), Errno> {
        let process = self.process().clone();
        if !process.prepare(&info, self.signals.blocked()) {
            return Ok(());
        }
        process.check_room(&info)?;
        if self.signals.pending.lock().push(info) == Queued::New {
            process.arrived(&info, self.takes(info.signal).then(|| self.clone()));
        }
        Ok(())
    }

    fn takes(&self, signal: Signal) -> bool {
        !self.signals.blocked().contains(signal)
    }

    /// Whether a signal would have no effect on it now.
    pub(crate) fn blocks_or_ignores(&self, signal: Signal) -> bool {
        self.signals.blocked().contains(signal) || self.process().action(signal).ignores(signal)
    }

    /// What waits for it, blocked or not.
    pub(crate) fn waiting_signals(&self) -> SignalSet {
        self.signals.pending.lock().set().union(self.process().signals.pending.lock().set())
    }

    /// Takes a signal out of `wanted`: its own first, then the process's.
    pub(crate) fn take_signal(&self, wanted: SignalSet) -> Option<SignalInfo> {
        let own = {
            let mut pending = self.signals.pending.lock();
            pending.set().intersection(wanted).first().and_then(|signal| pending.take(signal))
        };
        let mut taken = own.or_else(|| {
            let mut pending = self.process().signals.pending.lock();
            pending.set().intersection(wanted).first().and_then(|signal| pending.take(signal))
        })?;
        self.process().timer_signal_taken(&mut taken);
        Some(taken)
    }

    /// Replaces the mask of blocked signals, and looks for what is not blocked any more.
    pub(crate) fn set_blocked(&self, blocked: SignalSet) {
        let newly = blocked.without(self.signals.blocked());
        self.signals.set_blocked(blocked.without(SignalSet::UNBLOCKABLE));
        self.look_again();
        if !newly.is_empty() && self.process().task_count() > 1 {
            self.process().retarget(self);
        }
    }

    /// Replaces the mask while a call runs: ppoll(2), sigsuspend(2). The old one comes back when the call ends, or when
    /// a handler that interrupted it returns.
    pub(crate) fn replace_mask(&self, mask: SignalSet) {
        self.signals.save_mask(self.signals.blocked());
        self.set_blocked(mask);
    }

    /// The mask from before [`Self::replace_mask`] again.
    pub(crate) fn restore_mask(&self) {
        if let Some(mask) = self.signals.take_saved_mask() {
            self.set_blocked(mask);
        }
    }

    /// Sets or clears the mark that a signal waits. It is cleared before the queues are looked at, and a sender sets it
    /// after it queued, so none is missed.
    pub(crate) fn look_again(&self) {
        self.signals.lower(Attention::SIGNAL);
        if !self.waiting_signals().without(self.signals.blocked()).is_empty() {
            self.signals.raise(Attention::SIGNAL);
        }
    }
}
