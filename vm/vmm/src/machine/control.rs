//! What all threads of a machine obey: run, pause or end.
//!
//! Processors look at one atomic after each exit; only when it says otherwise do they take the lock. Lock order: a
//! processor's own lock, then this one.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Outcome;
use crate::seccomp::{Filters, Role};

const RUN: u8 = 0;
const PAUSE: u8 = 1;
const END: u8 = 2;

/// What a thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Run,
    /// Wait.
    Pause,
    /// End the thread.
    End,
}

/// What wants to hear of a machine's end, once.
type Listener = Box<dyn FnOnce(Outcome) + Send>;

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    /// Threads that stand still because they were told to.
    waiting: usize,
    listener: Option<Listener>,
}

/// Shared by all threads.
pub struct Control {
    order: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

impl Control {
    /// A machine that stands still.
    pub fn paused() -> Self {
        Control { order: AtomicU8::new(PAUSE), state: Mutex::default(), changed: Condvar::new() }
    }

    /// What to do, at the cost of one load.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            RUN => Order::Run,
            PAUSE => Order::Pause,
            _ => Order::End,
        }
    }

    /// Waits while the order is to pause.
    pub fn wait_while_paused(&self) -> Order {
        let mut state = self.lock();
        state.waiting += 1;
        self.changed.notify_all();
        while self.order() == Order::Pause {
            state = self.wait(state);
        }
        state.waiting -= 1;
        self.order()
    }

    /// Tells all threads to run.
    pub fn run(&self) {
        self.set(RUN);
    }

    /// Tells all threads to stand still; whoever calls has to wake them for it.
    pub fn pause(&self) {
        self.set(PAUSE);
    }

    /// Waits until `threads` stand still, or the machine has ended.
    pub fn wait_for_standstill(&self, threads: usize) {
        let mut state = self.lock();
        while state.waiting < threads && state.outcome.is_none() {
            state = self.wait(state);
        }
    }

    /// The same for at most so long: whether they do.
    pub fn stands_still_within(&self, threads: usize, limit: Duration) -> bool {
        let moves = |state: &mut State| state.waiting < threads && state.outcome.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, moves);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !moves(&mut state)
    }

    /// Ends the machine; the first outcome stays, and is told.
    pub fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        let told = match &state.outcome {
            Some(_) => None,
            None => {
                state.outcome = Some(outcome.clone());
                state.listener.take()
            }
        };
        self.order.store(END, Ordering::Release);
        self.changed.notify_all();
        drop(state);
        if let Some(listener) = told {
            listener(outcome);
        }
    }

    /// Has the thread that ends the machine tell how, or this one if it has ended already. A later listener takes the
    /// place of an earlier one.
    pub fn at_end(&self, listener: Listener) {
        let mut state = self.lock();
        match state.outcome.clone() {
            None => state.listener = Some(listener),
            Some(outcome) => {
                drop(state);
                listener(outcome);
            }
        }
    }

    /// Waits for the end.
    pub fn wait_for_end(&self) -> Outcome {
        let mut state = self.lock();
        loop {
            match &state.outcome {
                Some(outcome) => return outcome.clone(),
                None => state = self.wait(state),
            }
        }
    }

    /// Puts the calling thread behind its filter; without one it does not start, and neither does the machine.
    pub fn confine(&self, role: Role, filters: Filters) -> bool {
        let confined = role.confine(filters);
        if let Err(error) = &confined {
            self.end(Outcome::Failed(error.to_string()));
        }
        confined.is_ok()
    }

    /// How the machine ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    fn set(&self, order: u8) {
        let _state = self.lock();
        // An ended machine stays ended.
        let _ = self.order.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| (old != END).then_some(order));
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_ended_machine_stays_ended() {
        let control = Control::paused();
        control.end(Outcome::Reset);
        control.end(Outcome::Off);
        control.run();
        assert_eq!((control.order(), control.wait_for_end()), (Order::End, Outcome::Reset));
    }

    #[test]
    fn an_end_is_told_once() {
        let (tell, told) = std::sync::mpsc::channel();
        let listener = |tell: &std::sync::mpsc::Sender<Outcome>| {
            let tell = tell.clone();
            Box::new(move |outcome| tell.send(outcome).expect("somebody listens"))
        };
        let control = Control::paused();
        control.at_end(listener(&tell));
        control.end(Outcome::Off);
        control.end(Outcome::Reset);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [Outcome::Off]);
        control.at_end(listener(&tell));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [Outcome::Off], "it had ended");
    }

    #[test]
    fn threads_wait_until_told() {
        let control = Arc::new(Control::paused());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let control = control.clone();
                std::thread::spawn(move || control.wait_while_paused())
            })
            .collect();
        assert!(!control.stands_still_within(4, Duration::from_millis(1)), "there are three");
        assert!(control.stands_still_within(3, Duration::from_secs(60)));
        control.wait_for_standstill(3);
        control.run();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), Order::Run);
        }
    }
}
