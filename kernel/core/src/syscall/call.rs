//! What a handler gets, and what it gives back.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::time::Duration;

use crate::abi::{Timespec, Timeval};
use crate::platform::{Form, HostClock, Reply};
use crate::task::Task;
use crate::time::TimerKey;
use crate::vfs::PollEvents;
use crate::wait::{Moment, SharedQueue, Stop};

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// It returns this.
    Value(u64),
    /// It is answered with more than a value.
    Reply(Reply),
    /// Its thread is gone or was answered already (exit, execve).
    Gone,
}

impl From<u64> for Outcome {
    fn from(value: u64) -> Self {
        Outcome::Value(value)
    }
}

impl From<usize> for Outcome {
    fn from(value: usize) -> Self {
        Outcome::Value(value as u64)
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Outcome::Value(0)
    }
}

/// What a call remembers while it waits: plain data, so that a checkpoint can throw the rest away.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// When it gives up, on the monotonic clock; set once, at its first run.
    pub deadline: Option<Duration>,
    /// Bytes or items done so far.
    pub done: usize,
    /// Whatever else one handler needs; 0 at the first run.
    pub state: u64,
}

/// How a time is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// `struct timespec`
    Timespec,
    /// `struct timeval`
    Timeval,
}

/// What a call knows about wake-ups that came before it was registered.
#[derive(Clone, Copy, Debug)]
struct Looked {
    /// When its handler began.
    since: Moment,
    /// Whether one of its queues was woken since.
    missed: bool,
    /// Whether what it waits for is told by its queues, and by nothing else.
    relies: bool,
}

/// One system call under way.
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its arguments; hostile.
    pub arguments: [u64; 6],
    /// How it came.
    pub form: Form,
    /// What it remembers.
    pub resume: Resume,
    queues: Vec<SharedQueue>,
    looked: Looked,
    timer: Option<TimerKey>,
    kept: Option<Box<dyn Any + Send>>,
    remainder: Option<(u64, TimeForm)>,
}

impl fmt::Debug for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "call {} {:x?} {:?}", self.number, self.arguments, self.resume)
    }
}

impl Call {
    /// A call that has not run yet.
    pub fn new(number: u32, arguments: [u64; 6], form: Form) -> Self {
        Self {
            number,
            arguments,
            form,
            resume: Resume::default(),
            queues: Vec::new(),
            looked: Looked { since: Moment::now(), missed: false, relies: false },
            timer: None,
            kept: None,
            remainder: None,
        }
    }

    /// Argument `index` as it came.
    pub fn arg(&self, index: usize) -> u64 {
        self.arguments[index]
    }

    /// Argument `index` as an `int`: the upper half is ignored, as on Linux.
    #[expect(clippy::cast_possible_truncation, reason = "Linux looks at the lower half only")]
    pub fn int(&self, index: usize) -> i32 {
        self.arguments[index] as u32 as i32
    }

    /// Argument `index` as an `unsigned int`: the upper half is ignored, as on Linux.
    #[expect(clippy::cast_possible_truncation, reason = "Linux looks at the lower half only")]
    pub fn uint(&self, index: usize) -> u32 {
        self.arguments[index] as u32
    }

    /// Argument `index` as a `size_t`.
    pub fn size(&self, index: usize) -> usize {
        usize::try_from(self.arguments[index]).unwrap_or(usize::MAX)
    }

    /// Wakes the task when the queue is woken, until the call ends.
    pub fn watch(&mut self, task: &Arc<Task>, queue: &SharedQueue) {
        self.watch_for(task, queue, PollEvents::all());
    }

    /// The same, for these events only.
    pub fn watch_for(&mut self, task: &Arc<Task>, queue: &SharedQueue, interest: PollEvents) {
        self.looked.missed |= queue.register_for(&task.waiter(), interest) > self.looked.since;
        if !self.queues.iter().any(|other| Arc::ptr_eq(other, queue)) {
            self.queues.push(queue.clone());
        }
    }

    /// All that the call waits for changes before one of the queues that it watches is woken. What others see of its
    /// being registered must not be part of it.
    pub fn relies_on_queues(&mut self) {
        self.looked.relies = true;
    }

    /// Whether the handler would see again what it saw when it first ran.
    pub(crate) fn has_seen_all(&self) -> bool {
        self.looked.relies && !self.looked.missed
    }

    /// Watches the queue for these events, which it tells of, and waits:
    /// `return Err(call.wait_for(task, queue, events))`.
    pub fn wait_for(&mut self, task: &Arc<Task>, queue: &SharedQueue, interest: PollEvents) -> Stop {
        self.relies_on_queues();
        self.watch_for(task, queue, interest | PollEvents::ERR | PollEvents::HUP);
        Stop::Wait
    }

    /// Watches the queue and waits: `return Err(call.wait(task, queue))`.
    pub fn wait(&mut self, task: &Arc<Task>, queue: &SharedQueue) -> Stop {
        self.watch(task, queue);
        Stop::Wait
    }

    /// The same, for what only the end of the process interrupts.
    pub fn wait_killable(&mut self, task: &Arc<Task>, queue: &SharedQueue) -> Stop {
        self.watch(task, queue);
        Stop::WaitKillable
    }

    /// Keeps an object until the call ends, whichever way: its place in a queue, say.
    pub fn keep<T: Any + Send>(&mut self, object: T) {
        self.kept = Some(Box::new(object));
    }

    /// What [`Self::keep`] kept.
    pub fn kept<T: Any + Send>(&self) -> Option<&T> {
        self.kept.as_ref()?.downcast_ref()
    }

    /// Gives the call this much time, counted from its first run. True once it is over.
    pub fn times_out(&mut self, task: &Task, timeout: Duration) -> bool {
        let now = task.kernel().machine().now(HostClock::Monotonic);
        let deadline = *self.resume.deadline.get_or_insert_with(|| now.saturating_add(timeout));
        now >= deadline
    }

    /// Runs the call again at this time on the monotonic clock, which need not be its end.
    pub fn wake_at(&mut self, task: &Task, at: Duration) {
        if self.resume.deadline != Some(at) {
            if let Some(timer) = self.timer.take() {
                task.kernel().remove_timer(timer);
            }
            self.resume.deadline = Some(at);
        }
    }

    /// When a handler interrupts the call, the time left until the deadline is stored here (nanosleep(2), select(2)).
    pub fn report_remainder(&mut self, address: u64, form: TimeForm) {
        self.remainder = Some((address, form)).filter(|(address, _)| *address != 0);
    }

    pub(crate) fn store_remainder(&self, task: &Task) {
        if let (Some((address, form)), Some(deadline)) = (self.remainder, self.resume.deadline) {
            let left = deadline.saturating_sub(task.kernel().machine().now(HostClock::Monotonic));
            // A bad address was the application's; Linux answers EFAULT then, in place of EINTR.
            let _ = match form {
                TimeForm::Timespec => task.memory().write_struct(address, &Timespec::from(left)),
                TimeForm::Timeval => task.memory().write_struct(address, &Timeval::from(left)),
            };
        }
    }

    /// The task will be woken at the deadline at the latest.
    pub(crate) fn set_alarm(&mut self, task: &Task) {
        if let (Some(deadline), None) = (self.resume.deadline, self.timer) {
            self.timer = Some(task.kernel().add_timer(deadline, &task.waiter()));
        }
    }

    /// The task no longer waits.
    pub(crate) fn stop_waiting(&mut self, task: &Task) {
        self.kept = None;
        if self.queues.is_empty() && self.timer.is_none() {
            return;
        }
        let waiter = task.waiter();
        for queue in self.queues.drain(..) {
            queue.deregister(&waiter);
        }
        if let Some(timer) = self.timer.take() {
            task.kernel().remove_timer(timer);
        }
    }
}
