//! What becomes of an interrupted call (signal(7), "Interruption of system calls").

use alloc::boxed::Box;

use linux_raw_sys::general as abi;

use super::deliver::{SYSCALL_BYTES, interrupted_value};
use super::{Action, ActionFlags, Attention};
use crate::futex::TimedWait;
use crate::platform::{Frame, WaitLimit};
use crate::syscall::{Call, Resume};
use crate::task::Task;
use crate::wait::Stop;

/// A call that was interrupted: the application's registers are those before it, so that it comes again.
#[derive(Debug)]
pub(crate) struct Restart {
    /// What it remembered; `None` for a wait that the host serves, unless it lasts for some time.
    call: Option<(u32, [u64; 6], Resume)>,
    restartable: Restartable,
}

/// Whether a handler with SA_RESTART lets the call come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restartable {
    Yes,
    No,
}

impl Restart {
    pub fn of_call(call: Call, stop: Stop) -> Self {
        let restartable = if stop == Stop::Wait { Restartable::Yes } else { Restartable::No };
        Self { call: Some((call.number, call.arguments, call.resume)), restartable }
    }

    fn of_wait(limit: WaitLimit, timed: Option<&TimedWait>) -> Self {
        let resume = |wait: &TimedWait| Resume { deadline: Some(wait.deadline), ..Resume::default() };
        match limit {
            WaitLimit::None => Self { call: None, restartable: Restartable::Yes },
            WaitLimit::Until => Self { call: None, restartable: Restartable::No },
            WaitLimit::For => Self {
                call: timed.map(|wait| (abi::__NR_futex, wait.arguments, resume(wait))),
                restartable: Restartable::No,
            },
        }
    }

    /// Settles the call before a handler runs: it fails, unless it comes again.
    pub fn settle(&self, frame: &mut Frame, action: &Action) {
        let again = self.restartable == Restartable::Yes && action.flags.contains(ActionFlags::RESTART);
        if !again {
            frame.registers.rax = interrupted_value();
            frame.registers.rip = frame.registers.rip.wrapping_add(SYSCALL_BYTES);
        }
    }
}

impl Task {
    pub(crate) fn set_restart(&self, restart: Restart) {
        *self.restart.lock() = Some(Box::new(restart));
        self.signals.raise(Attention::RESTART);
    }

    /// The task waited in futex(2), which the host serves.
    pub(crate) fn set_wait_restart(&self, limit: WaitLimit) {
        let restart = Restart::of_wait(limit, self.timed_wait.lock().as_ref());
        self.set_restart(restart);
    }

    pub(crate) fn take_restart(&self) -> Option<Box<Restart>> {
        if !self.signals.attention().contains(Attention::RESTART) {
            return None;
        }
        self.signals.lower(Attention::RESTART);
        self.restart.lock().take()
    }

    /// Gives a call what it remembered when it was interrupted and no handler ran (restart_syscall(2)).
    pub(crate) fn resume_call(&self, call: &mut Call) {
        if let Some(restart) = self.take_restart()
            && let Some((number, arguments, resume)) = restart.call
            && (number, arguments) == (call.number, call.arguments)
        {
            call.resume = resume;
        }
    }
}
