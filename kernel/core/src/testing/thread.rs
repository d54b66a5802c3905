//! A thread of the fake machine: a test raises its events and looks at the replies.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::FakeSpace;
use crate::Errno;
use crate::platform::{Event, Form, Frame, HostCall, Interruption, LayoutError, Reply, ThreadEvents, UserThread};

/// A thread.
#[derive(Debug)]
pub struct FakeThread {
    me: Weak<FakeThread>,
    space: Arc<FakeSpace>,
    events: Arc<dyn ThreadEvents>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frame: Frame,
    setup: Vec<HostCall>,
    started: bool,
    interrupted: bool,
    replies: VecDeque<Reply>,
}

/// Finds the fake behind the trait: the fake's threads register here by address.
static THREADS: Mutex<Vec<(usize, Weak<FakeThread>)>> = Mutex::new(Vec::new());

impl FakeThread {
    /// Not started.
    pub fn new(
        space: &Arc<FakeSpace>,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Arc<Self> {
        let state = State { frame: frame.clone(), setup, ..State::default() };
        let thread =
            Arc::new_cyclic(|me| Self { me: me.clone(), space: space.clone(), events, state: Mutex::new(state) });
        THREADS.lock().push((Arc::as_ptr(&thread).addr(), Arc::downgrade(&thread)));
        thread
    }

    /// The fake behind a thread.
    pub fn of(thread: &Arc<dyn UserThread>) -> Arc<Self> {
        let address = Arc::as_ptr(thread).cast::<()>().addr();
        let threads = THREADS.lock();
        let found = threads.iter().rev().find(|(other, thread)| *other == address && thread.strong_count() > 0);
        found.and_then(|(_, thread)| thread.upgrade()).expect("a thread of the fake machine")
    }

    /// Its space.
    pub fn space(&self) -> &Arc<FakeSpace> {
        &self.space
    }

    /// Whether it was started.
    pub fn is_started(&self) -> bool {
        self.state.lock().started
    }

    /// Whether an interruption is asked for and not raised yet.
    pub fn is_interrupted(&self) -> bool {
        self.state.lock().interrupted
    }

    /// Whether an interruption was asked for, which is raised now.
    pub fn take_interrupted(&self) -> bool {
        core::mem::take(&mut self.state.lock().interrupted)
    }

    /// Raises an event.
    pub fn raise(&self, event: Event) {
        self.events.clone().event(event);
    }

    /// The oldest reply that nobody looked at.
    pub fn take_reply(&self) -> Option<Reply> {
        self.state.lock().replies.pop_front()
    }

    /// Makes a system call in this form and says what it returned, host calls done; `None` while it waits.
    pub fn try_call(&self, number: u32, arguments: &[u64], form: Form) -> Option<Result<u64, Errno>> {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        self.raise(Event::Call { number, arguments: all, form });
        self.returned()
    }

    /// What a call that waited returned; `None` while it still waits.
    pub fn returned(&self) -> Option<Result<u64, Errno>> {
        loop {
            let value = match self.take_reply()? {
                Reply::Value(value) => value,
                Reply::Layout { calls, value } => match self.apply(&calls) {
                    Ok(()) => value,
                    Err(error) => {
                        self.raise(Event::LayoutDone(Err(error)));
                        continue;
                    }
                },
                Reply::LayoutThenEvent { calls } => {
                    let done = self.apply(&calls);
                    self.raise(Event::LayoutDone(done));
                    continue;
                }
                // The new program runs.
                Reply::LayoutThenResume { calls } if self.apply(&calls).is_ok() => 0,
                reply => panic!("{reply:?} does not answer a call"),
            };
            self.raise_interruption();
            return Some(u64::try_from(value).map_err(|_| errno(value)));
        }
    }

    /// Makes a system call that does not wait, as the program's own instruction would.
    pub fn call(&self, number: u32, arguments: &[u64]) -> Result<u64, Errno> {
        self.try_call(number, arguments, Form::Direct).expect("the call waits")
    }

    /// The same through the stub's handler.
    pub fn trap(&self, number: u32, arguments: &[u64]) -> Result<u64, Errno> {
        self.try_call(number, arguments, Form::Trapped).expect("the call waits")
    }

    /// Makes a system call that must be left to the host; the test then does `then` in its place.
    pub fn native(&self, number: u32, arguments: &[u64], then: &HostCall) {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        self.raise(Event::Call { number, arguments: all, form: Form::Direct });
        assert!(matches!(self.take_reply(), Some(Reply::Native)), "call {number} is not left to the host");
        self.space.apply(then).expect("the host call works");
    }

    fn raise_interruption(&self) {
        if self.take_interrupted() {
            self.raise(Event::Interrupted(Interruption::Running));
            self.resumed();
        }
    }

    /// Follows replies until the thread goes on after an event that is no call.
    pub fn resumed(&self) {
        loop {
            match self.take_reply() {
                Some(Reply::LayoutThenEvent { calls }) => {
                    let done = self.apply(&calls);
                    self.raise(Event::LayoutDone(done));
                }
                Some(Reply::Resume) => return,
                other => panic!("{other:?} does not let a thread go on"),
            }
        }
    }

    fn apply(&self, calls: &[HostCall]) -> Result<(), LayoutError> {
        for (index, call) in calls.iter().enumerate() {
            self.space.apply(call).map_err(|errno| LayoutError { index, errno })?;
        }
        Ok(())
    }
}

fn errno(value: i64) -> Errno {
    i32::try_from(-value).ok().and_then(Errno::from_raw).expect("an errno")
}

impl UserThread for FakeThread {
    fn start(&self) {
        let setup = {
            let mut state = self.state.lock();
            state.started = true;
            core::mem::take(&mut state.setup)
        };
        if let Err(error) = self.apply(&setup) {
            self.raise(Event::LayoutDone(Err(error)));
        }
    }

    fn reply(&self, reply: Reply) {
        self.state.lock().replies.push_back(reply);
    }

    fn interrupt(&self) {
        self.state.lock().interrupted = true;
    }

    fn frame(&self) -> Result<Frame, Errno> {
        Ok(self.state.lock().frame.clone())
    }

    fn set_frame(&self, frame: &Frame) -> Result<(), Errno> {
        self.state.lock().frame = frame.clone();
        Ok(())
    }

    fn cpu_time(&self) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }
}

impl Drop for FakeThread {
    fn drop(&mut self) {
        let address = self.me.as_ptr().addr();
        THREADS.lock().retain(|(other, _)| *other != address);
    }
}
