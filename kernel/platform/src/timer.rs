//! Clocks, and one timer for the kernel: a timerfd and a thread that waits on it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use stockade_kernel::platform::{HostClock, Wake};

/// Time on a clock.
pub(crate) fn now(clock: HostClock) -> Duration {
    let time = clock_gettime(match clock {
        HostClock::Monotonic => ClockId::Monotonic,
        HostClock::Boottime => ClockId::Boottime,
        HostClock::Realtime => ClockId::Realtime,
    });
    Duration::try_from(time).unwrap_or_default()
}

/// The timer. Its thread ends with it.
#[derive(Debug)]
pub(crate) struct Timer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    timer: OwnedFd,
    wake: Mutex<Option<Arc<dyn Wake>>>,
}

impl Timer {
    pub(crate) fn start() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let inner = Arc::new(Inner { timer, wake: Mutex::new(None) });
        let of_thread = Arc::downgrade(&inner);
        let descriptor = inner.timer.try_clone()?;
        let thread = std::thread::Builder::new().name("kernel-timer".into()).stack_size(crate::THREAD_STACK_BYTES);
        thread.spawn(move || run(&descriptor, &of_thread))?;
        Ok(Self(inner))
    }

    pub(crate) fn on_expiry(&self, wake: Arc<dyn Wake>) {
        *self.0.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    /// At a monotonic time, or never.
    pub(crate) fn set(&self, at: Option<Duration>) {
        // Zero would disarm; what is due rings at once.
        let at = at.map(|at| at.max(Duration::from_nanos(1)));
        let at = at.map_or(Ok(NEVER), Timespec::try_from).unwrap_or(NEVER);
        let spec = Itimerspec { it_interval: NEVER, it_value: at };
        let set = timerfd_settime(&self.0.timer, TimerfdTimerFlags::ABSTIME, &spec);
        debug_assert!(set.is_ok(), "a timer of ours takes any time");
    }
}

const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl Drop for Timer {
    /// Rings once more, so that the thread sees that nobody is there.
    fn drop(&mut self) {
        *self.0.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.set(Some(Duration::ZERO));
    }
}

fn run(timer: &OwnedFd, inner: &Weak<Inner>) {
    let mut count = [0; 8];
    loop {
        match rustix::io::read(timer, &mut count) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return tracing::error!(%error, "the timer is lost"),
        }
        let Some(inner) = inner.upgrade() else { return };
        let wake = inner.wake.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}
