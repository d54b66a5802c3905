//! Waiting for children: wait4(2), waitid(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Call, pidfd, usage};
use crate::Errno;
use crate::signal::{Detail, Signal, SignalInfo, code};
use crate::task::{Counts, CpuTime, ExitStatus, Late, Node, Pid, Process, Task, Tree};
use crate::wait::Stop;

bitflags::bitflags! {
    /// Options of waitid(2) and wait4(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Options: u32 {
        const NOHANG = 1;
        /// WUNTRACED of wait4.
        const STOPPED = 2;
        const EXITED = 4;
        const CONTINUED = 8;
        const NOWAIT = 0x0100_0000;
        const NOTHREAD = 0x2000_0000;
        const ALL = 0x4000_0000;
        const CLONE = 0x8000_0000;
    }
}

/// Whose children.
#[derive(Clone, Copy, Debug)]
enum Which {
    Any,
    One(Pid),
    Group(Pid),
}

impl Which {
    fn matches(self, node: &Node) -> bool {
        match self {
            Which::Any => true,
            Which::One(pid) => node.process.pid() == pid,
            Which::Group(group) => node.group == group,
        }
    }
}

/// What happened to a child.
#[derive(Clone, Copy, Debug)]
enum News {
    Ended(ExitStatus),
    Stopped(Signal),
    Continued,
}

impl News {
    /// As wait4 stores it.
    fn status(self) -> i32 {
        match self {
            News::Ended(status) => status.raw(),
            News::Stopped(signal) => signal.raw() << 8 | 0x7f,
            News::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status`.
    fn child_code(self) -> (i32, i32) {
        match self {
            News::Ended(status) => status.child_code(),
            News::Stopped(signal) => (code::CLD_STOPPED, signal.raw()),
            News::Continued => (code::CLD_CONTINUED, Signal::CONT.raw()),
        }
    }
}

/// A child that something happened to.
#[derive(Debug)]
struct Found {
    process: Arc<Process>,
    news: News,
    time: CpuTime,
    counts: Counts,
    late: Late,
}

impl Found {
    /// `struct rusage`, for which the host is waited for.
    fn rusage(&self) -> Vec<u8> {
        let mut counts = self.counts;
        counts += self.late.wait(self.process.kernel().machine());
        usage::rusage(self.time, &counts)
    }
}

/// wait4(2)
pub fn wait4(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let known =
        Options::NOHANG | Options::STOPPED | Options::CONTINUED | Options::NOTHREAD | Options::ALL | Options::CLONE;
    let options = Options::from_bits(call.uint(2)).filter(|options| known.contains(*options)).ok_or(Errno::EINVAL)?;
    let which = match call.int(0) {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => Which::Any,
        0 => Which::Group(task.group()),
        number if number < 0 => Which::Group(Pid::new(-number).ok_or(Errno::EINVAL)?),
        number => Which::One(Pid::new(number).ok_or(Errno::EINVAL)?),
    };
    let Some(found) = wait(task, call, which, options | Options::EXITED)? else { return Ok(0) };
    let memory = task.memory();
    memory.write_optional(call.arg(1), &found.news.status())?;
    if call.arg(3) != 0 {
        memory.write_bytes(call.arg(3), &found.rusage())?;
    }
    Ok(found.process.pid().into())
}

/// waitid(2)
pub fn waitid(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let options = Options::from_bits(call.uint(3)).ok_or(Errno::EINVAL)?;
    if !options.intersects(Options::EXITED | Options::STOPPED | Options::CONTINUED) {
        return Err(Errno::EINVAL.into());
    }
    let (which, nonblocking) = waitid_target(task, call)?;
    let found = match wait(task, call, which, options) {
        Err(Stop::Wait) if nonblocking => return Err(Errno::EAGAIN.into()),
        found => found?,
    };
    let memory = task.memory();
    if let (Some(found), true) = (&found, call.arg(4) != 0) {
        memory.write_bytes(call.arg(4), &found.rusage())?;
    }
    if call.arg(2) != 0 {
        memory.write_bytes(call.arg(2), &child_info(found.as_ref()))?;
    }
    Ok(0)
}

fn waitid_target(task: &Task, call: &Call) -> Result<(Which, bool), Errno> {
    let id = call.int(1);
    let one = Pid::new(id).ok_or(Errno::EINVAL);
    match call.int(0) {
        0 => Ok((Which::Any, false)),
        1 => Ok((Which::One(one?), false)),
        2 if id == 0 => Ok((Which::Group(task.group()), false)),
        2 => Ok((Which::Group(one?), false)),
        3 if id < 0 => Err(Errno::EINVAL),
        3 => {
            let file = task.files().get(id)?;
            Ok((Which::One(pidfd::process_of(&file)?.pid()), file.is_nonblocking()))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// What waitid writes: only the fields that wait(2) promises.
fn child_info(found: Option<&Found>) -> [u8; SignalInfo::LEN] {
    let Some(found) = found else { return [0; SignalInfo::LEN] };
    let (code, status) = found.news.child_code();
    let detail = Detail::Child { pid: found.process.pid(), uid: found.process.uid(), status, user: 0, system: 0 };
    SignalInfo { signal: Signal::CHLD, errno: 0, code, detail }.to_abi()
}

/// Waits for a child; `None` when there is nothing and WNOHANG says not to wait.
fn wait(task: &Arc<Task>, call: &mut Call, which: Which, options: Options) -> Result<Option<Found>, Stop> {
    let process = task.process();
    let found = process.pids().tree().find_news(process.pid(), which, options)?;
    match found {
        Some(found) => {
            if let (News::Ended(_), false) = (found.news, options.contains(Options::NOWAIT)) {
                let mut usage = process.usage.lock();
                usage.children += found.time;
                usage.child_counts += found.counts;
                usage.add_late_children(&found.late);
            }
            Ok(Some(found))
        }
        None if options.contains(Options::NOHANG) => Ok(None),
        None => Err(call.wait(task, &process.child_events)),
    }
}

impl Tree {
    /// What happened to a child, which is reported once unless WNOWAIT. `ECHILD` when there is no such child.
    fn find_news(&mut self, parent: Pid, which: Which, options: Options) -> Result<Option<Found>, Errno> {
        let children = self.node(parent).ok_or(Errno::ECHILD)?.children.clone();
        let mut any = false;
        for pid in children {
            let Some(node) = self.node(pid).filter(|node| which.matches(node) && is_eligible(node, options)) else {
                continue;
            };
            any = true;
            if let Some(found) = news_of(node, options) {
                self.consume(&found, options);
                return Ok(Some(found));
            }
        }
        if any { Ok(None) } else { Err(Errno::ECHILD) }
    }

    fn consume(&mut self, found: &Found, options: Options) {
        let pid = found.process.pid();
        if options.contains(Options::NOWAIT) {
            return;
        }
        match (found.news, self.node_mut(pid)) {
            (News::Ended(_), _) => drop(self.remove_node(pid)),
            (News::Stopped(_), Some(node)) => node.change.stop_unreported = false,
            (News::Continued, Some(node)) => node.change.continued = false,
            (_, None) => {}
        }
    }
}

/// `eligible_child` of Linux: a child with another exit signal than SIGCHLD is a clone child.
fn is_eligible(node: &Node, options: Options) -> bool {
    let clone = node.exit_signal != Some(Signal::CHLD);
    options.contains(Options::ALL) || clone == options.contains(Options::CLONE)
}

fn news_of(node: &Node, options: Options) -> Option<Found> {
    let change = &node.change;
    let nothing = (CpuTime::default(), Counts::default(), Late::default());
    let (news, (time, counts, late)) = if let Some(exit) = &change.exit {
        let used = (exit.time, exit.counts, exit.late.clone());
        (options.contains(Options::EXITED).then_some(News::Ended(exit.status))?, used)
    } else if let Some(signal) = change.stopped.filter(|_| change.stop_unreported && options.contains(Options::STOPPED))
    {
        (News::Stopped(signal), nothing)
    } else if change.continued && options.contains(Options::CONTINUED) {
        (News::Continued, nothing)
    } else {
        return None;
    };
    Some(Found { process: node.process.clone(), news, time, counts, late })
}
