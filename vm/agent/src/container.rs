//! A container of this machine, and its processes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use stockade_sandbox::OomWatch;

use crate::root::Held;
use crate::stdio::Streams;

/// How long the end of a process waits for what it said, which others may go on saying.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Ended processes of one container whose statuses are kept, beside its init's.
const ENDED_MAX: usize = 256;

/// A question whose answer comes later: its number on the control connection.
pub(crate) type Question = u32;

/// A process, its streams, and who asked for its end.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its pid, until it is reaped.
    pub pid: u32,
    /// Its streams.
    pub streams: Streams,
    ended: Option<(i32, Instant)>,
    waiting: Vec<Question>,
}

impl Process {
    /// A process that runs.
    pub(crate) fn new(pid: u32, streams: Streams) -> Self {
        Self { pid, streams, ended: None, waiting: Vec::new() }
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.ended.is_none()
    }

    /// It has been reaped.
    pub(crate) fn end(&mut self, wait_status: i32, now: Instant) {
        self.ended = Some((wait_status, now));
        self.streams.stop_listening();
    }

    /// Somebody wants to know how it ends.
    pub(crate) fn wait(&mut self, question: Question) {
        self.waiting.push(question);
    }

    /// Nobody does any more.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// How it ended, and who is to be told, once that can be told.
    pub(crate) fn settle(&mut self, now: Instant) -> Option<(i32, Vec<Question>)> {
        let (status, since) = self.ended?;
        let is_due = !self.streams.is_speaking() || now.duration_since(since) >= LAST_WORDS;
        (is_due && !self.waiting.is_empty()).then(|| (status, std::mem::take(&mut self.waiting)))
    }

    /// When [`Process::settle`] has to be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ended.filter(|_| !self.waiting.is_empty()).map(|(_, since)| since + LAST_WORDS)
    }
}

/// Processes that were killed for lack of memory, and who wants to know.
pub(crate) struct Oom {
    watch: Box<dyn OomWatch>,
    is_over: bool,
    kills: u64,
    waiting: Vec<(Question, u64)>,
}

impl Oom {
    /// Counts from now on.
    pub(crate) fn new(watch: Box<dyn OomWatch>) -> Self {
        Self { watch, is_over: false, kills: 0, waiting: Vec::new() }
    }

    /// What to poll; nothing when the group is gone.
    pub(crate) fn watch(&self) -> Option<&dyn OomWatch> {
        (!self.is_over).then_some(&*self.watch)
    }

    /// Somebody who knows of `seen` kills wants to hear of the next.
    pub(crate) fn wait(&mut self, question: Question, seen: u64) {
        self.waiting.push((question, seen));
    }

    /// There may be news.
    pub(crate) fn news(&mut self) {
        match self.watch.take() {
            Ok(Some(count)) => self.kills = self.kills.saturating_add(count),
            Ok(None) | Err(_) => self.is_over = true,
        }
    }

    /// The count, and who is to be told of it.
    pub(crate) fn settle(&mut self) -> (u64, Vec<Question>) {
        let kills = self.kills;
        let due = self.waiting.extract_if(.., |(_, seen)| *seen < kills);
        (kills, due.map(|(question, _)| question).collect())
    }

    /// Those who wait in vain.
    pub(crate) fn abandon(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.waiting).into_iter().map(|(question, _)| question).collect()
    }
}

/// A container.
pub(crate) struct Container {
    /// What is held for it.
    pub held: Held,
    /// Its processes by name; the init has none.
    pub processes: BTreeMap<String, Process>,
    /// `None` without a group that limits memory.
    pub oom: Option<Oom>,
    ended: VecDeque<String>,
}

impl Container {
    /// One whose init was made.
    pub(crate) fn new(held: Held, init: Process, oom: Option<Oom>) -> Self {
        Self { held, processes: BTreeMap::from([(String::new(), init)]), oom, ended: VecDeque::new() }
    }

    /// One more process runs, maybe under the name of one that ended.
    pub(crate) fn add(&mut self, name: String, process: Process) {
        self.ended.retain(|ended| *ended != name);
        self.processes.insert(name, process);
    }

    /// The pid of its init, while that runs.
    pub(crate) fn init(&self) -> Option<u32> {
        self.processes.get("").filter(|init| init.is_alive()).map(|init| init.pid)
    }

    /// One of its processes was reaped. False when the pid was none of them.
    pub(crate) fn reap(&mut self, pid: u32, wait_status: i32, now: Instant) -> bool {
        let own = |process: &Process| process.is_alive() && process.pid == pid;
        let Some((name, process)) = self.processes.iter_mut().find(|(_, process)| own(process)) else { return false };
        process.end(wait_status, now);
        if !name.is_empty() {
            self.ended.push_back(name.clone());
        }
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.processes.remove(&oldest);
        }
        true
    }

    /// Nobody waits for anything any more: the connection is gone.
    pub(crate) fn forget_waiting(&mut self) {
        self.processes.values_mut().for_each(Process::forget_waiting);
        if let Some(oom) = &mut self.oom {
            drop(oom.abandon());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_and_kept() {
        let now = Instant::now();
        let mut process = Process::new(7, Streams::default());
        process.wait(1);
        assert!(process.settle(now).is_none() && process.deadline().is_none());
        process.end(0x100, now);
        assert_eq!(process.settle(now), Some((0x100, vec![1])));
        assert_eq!(process.settle(now), None);
        process.wait(3);
        assert_eq!(process.settle(now), Some((0x100, vec![3])));
    }

    struct Count(std::os::fd::OwnedFd, Vec<u64>);

    impl OomWatch for Count {
        fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
            std::os::fd::AsFd::as_fd(&self.0)
        }

        fn take(&mut self) -> stockade_sandbox::Result<Option<u64>> {
            Ok(self.1.pop())
        }
    }

    #[test]
    fn kills_are_told_to_who_does_not_know() {
        let file = std::fs::File::open("/dev/null").expect("open /dev/null").into();
        let mut oom = Oom::new(Box::new(Count(file, vec![2, 1])));
        oom.wait(1, 0);
        oom.wait(3, 1);
        oom.news();
        assert_eq!(oom.settle(), (1, vec![1]));
        oom.news();
        assert_eq!(oom.settle(), (3, vec![3]));
        oom.wait(5, 0);
        assert_eq!(oom.settle(), (3, vec![5]));
        oom.wait(7, 3);
        oom.news();
        assert!(oom.watch().is_none());
        assert_eq!(oom.abandon(), [7]);
    }
}
