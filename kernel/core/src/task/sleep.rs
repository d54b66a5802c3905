//! Whether a task runs, or sleeps in a call.

use alloc::boxed::Box;

use stockade_kernel_sync::Mutex;

use crate::syscall::Call;

/// Where a task is. A sleeping task's call lies here; whoever takes it out runs it.
#[derive(Debug, Default)]
pub struct Sleep(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// The application computes.
    #[default]
    User,
    /// A host thread runs the task's call; `woken` when something it may have registered on changed since it began.
    Running { woken: bool },
    /// The call waits for a wake-up.
    Asleep(Box<Call>),
}

/// What interrupting a task takes.
#[derive(Debug)]
pub enum Poke {
    /// It computes: its host thread must be interrupted.
    User,
    /// It looks for signals itself before it goes on.
    Running,
    /// It slept; this is its call, to be run.
    Asleep(Box<Call>),
}

impl Sleep {
    /// A host thread begins to run the task's call (again).
    pub fn begin(&self) {
        *self.0.lock() = State::Running { woken: false };
    }

    /// The application goes on.
    pub fn leave(&self) {
        *self.0.lock() = State::User;
    }

    /// Puts the call to sleep, or gives it back because a wake-up came since [`Self::begin`].
    pub fn fall_asleep(&self, call: Box<Call>) -> Result<(), Box<Call>> {
        let mut state = self.0.lock();
        if matches!(*state, State::Running { woken: true }) {
            return Err(call);
        }
        *state = State::Asleep(call);
        Ok(())
    }

    /// Something the task waits for may be there.
    pub fn poke(&self) -> Poke {
        let mut state = self.0.lock();
        match core::mem::replace(&mut *state, State::Running { woken: true }) {
            State::User => {
                *state = State::User;
                Poke::User
            }
            State::Running { .. } => Poke::Running,
            State::Asleep(call) => {
                *state = State::Running { woken: false };
                Poke::Asleep(call)
            }
        }
    }
}
