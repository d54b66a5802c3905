//! How signals reach applications: default actions, handlers, and what becomes of the call that was interrupted.
//!
//! A signal without a handler never ends a call: the call stays in the kernel and goes on where it waited. Only a
//! handler needs the application's registers. A call that came through the stub has them; a direct one is answered with
//! [`Reply::Restart`], the host's interrupt follows at once, and the handler's frame is built then.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Action, ActionFlags, Attention, DefaultAction, Restart, Signal, SignalInfo, SignalSet};
use crate::Errno;
use crate::platform::{Fault, Form, Frame, Interruption, LayoutError, Reply};
use crate::syscall::Call;
use crate::task::{Dump, ExitStatus, Job, Resource, Task};
use crate::trace::Tracer;
use crate::wait::Stop;

/// What a look at the signals came to.
enum Verdict {
    /// Nothing is left to do.
    GoOn,
    /// A handler must run.
    Handle,
    /// The process stops.
    Stop,
    /// The task ends.
    Exit,
}

/// What a signal with its default action came to.
enum Effect {
    /// Nothing, or the process begins to stop.
    Over,
    /// The process ends.
    End,
}

impl Task {
    /// Whether something waits that a call must be interrupted for: one load.
    pub(crate) fn has_signal(&self) -> bool {
        self.signals.is_interrupting()
    }

    /// A call that waits must look at signals. Gives it back when it is to wait on.
    pub(crate) fn interrupt_call(self: &Arc<Self>, mut call: Call, stop: Stop) -> Option<Call> {
        let exits = self.signals.attention().contains(Attention::EXIT);
        if stop == Stop::WaitKillable && !exits {
            return Some(call);
        }
        loop {
            match self.verdict() {
                Verdict::GoOn => return Some(call),
                Verdict::Exit => {
                    call.stop_waiting(self);
                    self.end_here();
                    return None;
                }
                Verdict::Stop => match self.park(Job::Call(Box::new(call))) {
                    Err(Job::Call(back)) => call = *back,
                    Ok(()) | Err(Job::Frame) => return None,
                },
                Verdict::Handle => {
                    self.abandon(call, stop);
                    return None;
                }
            }
        }
    }

    /// A handler will run: what was done so far is the result, or the call is interrupted.
    fn abandon(self: &Arc<Self>, mut call: Call, stop: Stop) {
        call.stop_waiting(self);
        if call.resume.done > 0 {
            let done = i64::try_from(call.resume.done).unwrap_or(i64::MAX);
            return self.finish_value(call, done);
        }
        self.trace(Tracer::interrupt);
        call.store_remainder(self);
        let (form, number) = (call.form, call.number);
        self.set_restart(Restart::of_call(call, stop));
        if form == Form::Direct {
            return self.reply(Reply::Restart);
        }
        let Some(mut frame) = self.frame_or_end() else { return };
        frame.registers.rax = number.into();
        frame.registers.rip = frame.registers.rip.wrapping_sub(SYSCALL_BYTES);
        self.go_on(Some(frame));
    }

    /// The frame of the event that the task waits in; without one the process cannot go on.
    pub(crate) fn frame_or_end(self: &Arc<Self>) -> Option<Frame> {
        let frame = self.thread().and_then(|thread| thread.frame().ok());
        if frame.is_none() {
            self.gone();
        }
        frame
    }

    /// The processor raised an exception.
    pub(crate) fn fault(self: &Arc<Self>, fault: Fault) {
        let signal = Signal::new(fault.signal).unwrap_or(Signal::SEGV);
        *self.last_fault.lock() = Some(fault);
        self.force_signal(SignalInfo::fault(signal, fault.code, fault.address));
        self.go_on(None);
    }

    /// Sends a signal that the task cannot block or ignore: it did something impossible (`force_sig_info` of Linux).
    pub(crate) fn force_signal(self: &Arc<Self>, info: SignalInfo) {
        let signal = info.signal;
        let mut blocked = self.signals.blocked();
        let actions = self.process().signals.actions();
        let mut actions = actions.lock();
        if blocked.contains(signal) || actions.get(signal).is_ignore() {
            actions.reset(signal);
            blocked.remove(signal);
            self.signals.set_blocked(blocked);
        }
        drop(actions);
        self.signals.pending.lock().push(info);
        self.signals.raise(Attention::SIGNAL);
    }

    /// [`crate::platform::UserThread::interrupt`] took effect.
    pub(crate) fn interrupted(self: &Arc<Self>, interruption: Interruption) {
        if let Interruption::Waiting(limit) = interruption {
            self.set_wait_restart(limit);
        }
        self.go_on(None);
    }

    /// After host calls of a layout change.
    pub(crate) fn layout_done(self: &Arc<Self>, _result: Result<(), LayoutError>) {
        self.go_on(None);
    }

    /// The host ended the thread, and so the space.
    pub(crate) fn gone(self: &Arc<Self>) {
        if self.process().ending.lock().is_none() {
            self.kernel().add_starved();
        }
        self.process().end_by(Signal::KILL, Dump::None);
        self.end_here();
    }

    /// Lets an application go on that waits in an event with a frame, with all its signals seen to. `frame` is what it
    /// goes on with, if that differs from what the host has.
    pub(crate) fn go_on(self: &Arc<Self>, mut frame: Option<Frame>) {
        loop {
            match self.verdict() {
                Verdict::GoOn => break,
                Verdict::Exit => return self.end_here(),
                Verdict::Stop => {
                    self.store_frame(frame.take().as_ref());
                    if self.park(Job::Frame).is_ok() {
                        return;
                    }
                }
                Verdict::Handle => match frame.take().or_else(|| self.frame_or_end()) {
                    Some(mut current) => {
                        self.handle_one(&mut current);
                        frame = Some(current);
                    }
                    None => return,
                },
            }
        }
        self.restore_mask();
        self.store_frame(frame.as_ref());
        self.reply(Reply::Resume);
    }

    fn store_frame(self: &Arc<Self>, frame: Option<&Frame>) {
        let (Some(frame), Some(thread)) = (frame, self.thread()) else { return };
        if thread.set_frame(frame).is_err() {
            self.process().end_by(Signal::SEGV, Dump::None);
        }
    }

    /// Takes the next signal and lets the frame enter its handler.
    fn handle_one(self: &Arc<Self>, frame: &mut Frame) {
        let Some(info) = self.take_signal(self.signals.blocked().complement()) else { return self.look_again() };
        let action = self.process().action(info.signal);
        self.trace(|tracer, task| tracer.signal(task, &info));
        if !action.is_handler() {
            // Another task changed the action meanwhile: it is looked at again.
            self.signals.pending.lock().push(info);
            return self.look_again();
        }
        if let Some(restart) = self.take_restart() {
            restart.settle(frame, &action);
        }
        if action.flags.contains(ActionFlags::RESETHAND) {
            self.process().signals.actions().lock().reset(info.signal);
        }
        if self.enter_handler(frame, &info, &action).is_err() {
            self.fail_frame(info.signal);
        }
        self.look_again();
    }

    /// The handler's frame could not be stored (`signal_setup_done` of Linux).
    fn fail_frame(self: &Arc<Self>, signal: Signal) {
        if signal == Signal::SEGV {
            self.process().signals.actions().lock().reset(signal);
        }
        self.force_signal(SignalInfo::kernel(Signal::SEGV));
    }

    /// Sees to signals until one needs more than the kernel.
    fn verdict(self: &Arc<Self>) -> Verdict {
        loop {
            let attention = self.signals.attention();
            if attention.contains(Attention::EXIT) {
                return Verdict::Exit;
            }
            if attention.contains(Attention::STOP) {
                return Verdict::Stop;
            }
            if !attention.contains(Attention::SIGNAL) {
                return Verdict::GoOn;
            }
            match self.next_signal() {
                None => self.look_again(),
                Some((_, action)) if action.is_handler() => return Verdict::Handle,
                Some((signal, action)) => {
                    if let Effect::End = self.take_default(signal, &action) {
                        return Verdict::Exit;
                    }
                }
            }
        }
    }

    /// The signal to be delivered next, which stays where it is.
    fn next_signal(&self) -> Option<(Signal, Action)> {
        let open = self.signals.blocked().complement();
        let own = self.signals.pending.lock().set().intersection(open).first();
        let shared = || self.process().signals.pending.lock().set().intersection(open).first();
        let signal = own.or_else(shared)?;
        Some((signal, self.process().action(signal)))
    }

    /// Takes a signal that has no handler.
    fn take_default(self: &Arc<Self>, signal: Signal, action: &Action) -> Effect {
        let Some(info) = self.take_signal(SignalSet::of(&[signal])) else { return Effect::Over };
        self.look_again();
        if action.is_ignore() {
            return Effect::Over;
        }
        self.trace(|tracer, task| tracer.signal(task, &info));
        let process = self.process();
        let forced = !info.is_from_user() && SignalSet::SYNCHRONOUS.contains(signal);
        if process.is_immune(action) && !forced && !SignalSet::UNBLOCKABLE.contains(signal) {
            return Effect::Over;
        }
        match DefaultAction::of(signal) {
            DefaultAction::Ignore => return Effect::Over,
            DefaultAction::Stop => {
                self.stop_by(signal);
                return Effect::Over;
            }
            DefaultAction::Terminate => process.end(ExitStatus::Killed(signal, Dump::None)),
            DefaultAction::Core => process.end(ExitStatus::Killed(signal, self.dump())),
        }
        Effect::End
    }

    /// Only SIGSTOP stops a process of an orphaned group, which nobody could continue.
    fn stop_by(&self, signal: Signal) {
        let group = self.group();
        if signal == Signal::STOP || !self.process().pids().tree().is_orphaned(group, None) {
            self.process().stop(signal);
        }
    }

    /// Whether Linux would write a core file.
    fn dump(&self) -> Dump {
        let allowed = self.process().limit(Resource::Core).soft > 0 && self.settings.lock().dumpable == 1;
        if allowed { Dump::Core } else { Dump::None }
    }
}

/// Length of the `syscall` instruction.
pub(crate) const SYSCALL_BYTES: u64 = 2;

/// What a call that a handler interrupts returns.
pub(crate) fn interrupted_value() -> u64 {
    (-i64::from(Errno::EINTR.raw())).cast_unsigned()
}
