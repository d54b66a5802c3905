//! From an event of a thread to its reply.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Claim, Job, Poke, Task};
use crate::platform::{Event, Form, HostClock, Reply, ThreadEvents};
use crate::signal::Attention;
use crate::syscall::{Call, Outcome, entry};
use crate::trace::Tracer;
use crate::wait::{Stop, Waiter};
use crate::{Errno, Kernel};

impl ThreadEvents for Task {
    fn event(self: Arc<Self>, event: Event) {
        if !self.sleep.begin() {
            return;
        }
        self.settle(&event);
        match event {
            Event::Call { number, arguments, form } => self.begin_call(Call::new(number, arguments, form)),
            Event::Fault(fault) => self.memory_fault(fault),
            Event::Interrupted(interruption) if self.run_deferred(interruption) => {}
            Event::Interrupted(interruption) => self.interrupted(interruption),
            Event::LayoutDone(result) if self.layout_failed(result) => {}
            Event::LayoutDone(result) => self.layout_done(result),
            Event::Gone => self.gone(),
        }
        self.kernel().run_woken();
    }
}

impl Waiter for Task {
    fn wake(self: Arc<Self>) {
        if let Poke::Asleep(call) = self.sleep.poke() {
            self.kernel().push_woken(self.clone(), Job::Call(call));
        }
    }
}

/// Which run of a handler it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// What it waits for is not registered yet: a `Wait` is looked into once more, unless nothing was told meanwhile.
    First,
    /// All was registered before the handler looked.
    Registered,
}

impl Task {
    /// Runs what a woken or continued task was doing.
    pub(crate) fn run_again(self: &Arc<Self>, job: Job) {
        match job {
            Job::Call(call) => self.run(*call, Pass::Registered),
            Job::Frame => self.go_on(None),
        }
    }

    fn begin_call(self: &Arc<Self>, mut call: Call) {
        self.trace(|tracer, task| tracer.enter(task, &call));
        self.resume_call(&mut call);
        self.run(call, Pass::First);
    }

    fn run(self: &Arc<Self>, mut call: Call, mut pass: Pass) {
        loop {
            let stop = match self.serve(&mut call) {
                Ok(outcome) => return self.finish(call, outcome),
                Err(Stop::Error(errno)) => return self.finish_value(call, -i64::from(errno.raw())),
                Err(stop) => stop,
            };
            let mut seen = call.has_seen_all();
            if self.has_signal() {
                match self.interrupt_call(call, stop) {
                    Some(back) => (call, seen) = (back, false),
                    None => return,
                }
            }
            if core::mem::replace(&mut pass, Pass::Registered) == Pass::First && !seen {
                continue;
            }
            call.set_alarm(self);
            self.trace(Tracer::sleep);
            self.counters.sleep();
            match self.sleep.fall_asleep(Box::new(call)) {
                Ok(()) => return,
                Err(woken) => call = *woken,
            }
            self.sleep.begin();
        }
    }

    fn serve(self: &Arc<Self>, call: &mut Call) -> Result<Outcome, Stop> {
        let handler = entry(call.number).and_then(|entry| entry.handler).ok_or(Errno::ENOSYS)?;
        handler(self, call)
    }

    fn finish(self: &Arc<Self>, mut call: Call, outcome: Outcome) {
        match outcome {
            Outcome::Value(value) => self.finish_value(call, value.cast_signed()),
            Outcome::Reply(Reply::Resume) => {
                self.trace(|tracer, task| tracer.leave(task, 0));
                call.stop_waiting(self);
                self.go_on(None);
            }
            Outcome::Reply(reply) => {
                // What the host finishes was found to be right, and succeeds unless the host has no memory.
                let value = if let Reply::Layout { value, .. } = &reply { *value } else { 0 };
                self.trace(|tracer, task| tracer.leave(task, value));
                call.stop_waiting(self);
                self.reply(reply);
            }
            Outcome::Gone => call.stop_waiting(self),
        }
    }

    pub(crate) fn finish_value(self: &Arc<Self>, mut call: Call, value: i64) {
        self.trace(|tracer, task| tracer.leave(task, value));
        call.stop_waiting(self);
        self.restore_mask();
        if call.form == Form::Trapped && self.has_signal() {
            let Some(mut frame) = self.frame_or_end() else { return };
            frame.registers.rax = value.cast_unsigned();
            return self.go_on(Some(frame));
        }
        self.reply(Reply::Value(value));
    }

    /// Lets the application go on. A signal that came meanwhile interrupts it at once.
    pub(crate) fn reply(self: &Arc<Self>, reply: Reply) {
        let Some(thread) = self.thread() else { return };
        self.sleep.leave();
        if self.has_signal() {
            if self.signals.attention().contains(Attention::EXIT) {
                return self.end_after_call();
            }
            thread.interrupt();
        }
        thread.reply(reply);
    }

    /// Its process ended while its call ran.
    fn end_after_call(self: &Arc<Self>) {
        if let Claim::Ended(_) = self.sleep.claim() {
            self.finish_here();
        }
    }
}

impl Kernel {
    /// Runs what woken tasks do next until none is left. Whoever may have woken somebody calls this before it waits.
    pub fn run_woken(&self) {
        while let Some((task, job)) = self.pop_woken() {
            task.run_again(job);
        }
    }

    /// The machine's timer rang.
    pub fn timer_expired(&self) {
        self.wake_expired(self.machine().now(HostClock::Monotonic));
        self.run_woken();
    }
}
