//! Waits with a relative timeout. The host serves them; the kernel notes until when each lasts, so that one that was
//! interrupted goes on with what is left (`futex_wait_restart` of Linux).

use alloc::sync::{Arc, Weak};
use core::time::Duration;

use crate::task::Task;
use crate::time::TimerKey;
use crate::wait::Waiter;

/// The wait that a task began last.
#[derive(Debug)]
pub(crate) struct TimedWait {
    /// Those of futex(2).
    pub arguments: [u64; 6],
    /// On the monotonic clock.
    pub deadline: Duration,
    bell: Option<Bell>,
}

/// Ends the wait, since the host knows only the whole timeout.
#[derive(Debug)]
struct Bell {
    key: TimerKey,
    _ringer: Arc<dyn Waiter>,
}

#[derive(Debug)]
struct Ringer(Weak<Task>);

impl Waiter for Ringer {
    fn wake(self: Arc<Self>) {
        if let Some(thread) = self.0.upgrade().and_then(|task| task.thread()) {
            thread.interrupt();
        }
    }
}

impl Task {
    /// A wait begins at the host.
    pub(crate) fn begin_timed_wait(&self, arguments: [u64; 6], deadline: Duration) {
        self.note_timed_wait(TimedWait { arguments, deadline, bell: None });
    }

    /// One that was interrupted goes on.
    pub(crate) fn continue_timed_wait(self: &Arc<Self>, arguments: [u64; 6], deadline: Duration) {
        let ringer: Arc<dyn Waiter> = Arc::new(Ringer(Arc::downgrade(self)));
        let key = self.kernel().add_timer(deadline, &ringer);
        self.note_timed_wait(TimedWait { arguments, deadline, bell: Some(Bell { key, _ringer: ringer }) });
    }

    fn note_timed_wait(&self, wait: TimedWait) {
        let before = self.timed_wait.lock().replace(wait);
        if let Some(bell) = before.and_then(|wait| wait.bell) {
            self.kernel().remove_timer(bell.key);
        }
    }
}
