//! A process as its relatives see it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::pids::Tree;
use super::{Counts, CpuTime, ExitStatus, Late, Pid, Process, Session};
use crate::signal::Signal;

/// A process in the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub process: Arc<Process>,
    /// [`Pid::NONE`] for those that came from outside.
    pub parent: Pid,
    pub children: Vec<Pid>,
    pub group: Pid,
    pub session: Arc<Session>,
    /// Sent to the parent at the end; anything but SIGCHLD makes it a clone child of wait(2).
    pub exit_signal: Option<Signal>,
    /// prctl(PR_SET_CHILD_SUBREAPER)
    pub subreaper: bool,
    /// execve(2) succeeded: its parent may not move it to another group any more.
    pub executed: bool,
    pub change: Change,
}

/// What wait(2) can report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// It ended.
    pub exit: Option<Exit>,
    /// It is stopped by this signal.
    pub stopped: Option<Signal>,
    /// Nobody waited for that stop yet.
    pub stop_unreported: bool,
    /// It was continued and nobody waited for that yet.
    pub continued: bool,
}

/// How a zombie ended.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub status: ExitStatus,
    /// With that of the children that it waited for.
    pub time: CpuTime,
    /// The same.
    pub counts: Counts,
    /// What these lack.
    pub late: Late,
}

impl Tree {
    /// Whether a group is orphaned: no member has a parent in another group of the same session (`ignored` does not
    /// count as a member).
    pub fn is_orphaned(&self, group: Pid, ignored: Option<Pid>) -> bool {
        let holds = |node: &Node| {
            let counts = node.group == group && node.change.exit.is_none() && Some(node.process.pid()) != ignored;
            counts
                && self
                    .node(node.parent)
                    .is_some_and(|parent| parent.group != group && parent.session.id() == node.session.id())
        };
        !self.nodes().any(holds)
    }

    /// Whether a member of a group is stopped.
    pub fn has_stopped(&self, group: Pid) -> bool {
        self.nodes().any(|node| node.group == group && node.change.stopped.is_some())
    }

    /// Who takes over the children of a process: its nearest living subreaper, or init.
    pub fn reaper_of(&self, pid: Pid) -> Pid {
        let mut at = self.node(pid).map_or(Pid::NONE, |node| node.parent);
        while let Some(node) = self.node(at) {
            if node.subreaper && node.change.exit.is_none() {
                return at;
            }
            at = node.parent;
        }
        if pid == Pid::INIT { Pid::NONE } else { Pid::INIT }
    }
}
