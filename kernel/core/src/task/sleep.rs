//! Whether a task runs, sleeps in a call, is stopped, or ended.

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
    /// Job control stopped it.
    Stopped(Job),
    /// It ended, or is being ended by whoever put it here.
    Dead,
}

/// What a task that does not compute does next.
#[derive(Debug)]
pub enum Job {
    /// Its call runs again.
    Call(Box<Call>),
    /// It waits in an event with a frame: it looks for signals and goes on.
    Frame,
}

/// What waking a task takes.
#[derive(Debug)]
pub enum Poke {
    /// It computes: its host thread must be interrupted if it is to notice a signal.
    User,
    /// It looks for signals itself before it goes on, or will not go on now.
    Running,
    /// It slept; this is its call, to be run.
    Asleep(Box<Call>),
}

/// What ending a task from outside found.
#[derive(Debug)]
pub enum Claim {
    /// A host thread is busy with it, which will notice.
    Busy,
    /// Somebody else ended it.
    Dead,
    /// It is the caller's to end. It slept in this call, if any.
    Ended(Option<Box<Call>>),
}

impl Sleep {
    /// A host thread begins to run the task's call (again). False when the task has ended.
    pub fn begin(&self) -> bool {
        let mut state = self.0.lock();
        if matches!(*state, State::Dead) {
            return false;
        }
        *state = State::Running { woken: false };
        true
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
            State::Running { .. } => Poke::Running,
            State::Asleep(call) => {
                *state = State::Running { woken: false };
                Poke::Asleep(call)
            }
            other => {
                let poke = if matches!(other, State::User) { Poke::User } else { Poke::Running };
                *state = other;
                poke
            }
        }
    }

    /// Whether the application computes, as far as is known.
    pub fn computes(&self) -> bool {
        matches!(*self.0.lock(), State::User)
    }

    /// Stops a task whose host thread is the caller.
    pub fn stop(&self, job: Job) {
        *self.0.lock() = State::Stopped(job);
    }

    /// Stops a task that sleeps, and says whether it did.
    pub fn stop_sleeper(&self) -> bool {
        let mut state = self.0.lock();
        match core::mem::replace(&mut *state, State::User) {
            State::Asleep(call) => {
                *state = State::Stopped(Job::Call(call));
                true
            }
            other => {
                *state = other;
                false
            }
        }
    }

    /// Lets a stopped task go on: what to run.
    pub fn proceed(&self) -> Option<Job> {
        let mut state = self.0.lock();
        match core::mem::replace(&mut *state, State::Running { woken: false }) {
            State::Stopped(job) => Some(job),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Ends a task from outside.
    pub fn claim(&self) -> Claim {
        let mut state = self.0.lock();
        match core::mem::replace(&mut *state, State::Dead) {
            State::Dead => Claim::Dead,
            State::User | State::Stopped(Job::Frame) => Claim::Ended(None),
            State::Asleep(call) | State::Stopped(Job::Call(call)) => Claim::Ended(Some(call)),
            State::Running { .. } => {
                *state = State::Running { woken: true };
                Claim::Busy
            }
        }
    }

    /// Ends a task whose host thread is the caller. False when it had ended.
    pub fn end(&self) -> bool {
        !matches!(core::mem::replace(&mut *self.0.lock(), State::Dead), State::Dead)
    }

    /// The letter of /proc/PID/stat: R, S, T or X.
    pub fn letter(&self) -> char {
        match *self.0.lock() {
            State::User | State::Running { .. } => 'R',
            State::Asleep(_) => 'S',
            State::Stopped(_) => 'T',
            State::Dead => 'X',
        }
    }
}
