//! How tasks and processes end (exit(2), exit_group(2), fatal signals), and who inherits their children.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::{
    Change, Claim, Counts, CpuTime, Dump, Exit, ExitStatus, Late, Node, Pid, Process, ProcessWatcher, Session, Task,
    Tree, ticks,
};
use crate::platform::{HostClock, Reply, UserThread};
use crate::signal::{ActionFlags, Attention, Detail, Signal, SignalInfo};
use crate::trace::Tracer;
use crate::vfs::FdTable;

impl Task {
    /// exit(2): this task ends, and its process when it was the last. For its own host thread only.
    pub(crate) fn exit(self: &Arc<Self>, status: u8) {
        if self.is_leader() {
            self.process().leader_ended(ExitStatus::Exited(status));
        }
        self.end_politely();
    }

    /// Ends on its own host thread, which waits for a reply.
    pub(crate) fn end_here(self: &Arc<Self>) {
        if self.sleep.end() {
            self.finish_here();
        }
    }

    /// The rest, when its host thread waits for a reply.
    pub(crate) fn finish_here(self: &Arc<Self>) {
        self.finish_exit(HostThread::Waits);
    }

    /// Ends from outside, or as soon as whoever is busy with it notices. Its process must be ending.
    pub(crate) fn kill(self: &Arc<Self>) {
        self.signals.raise(Attention::EXIT);
        if self.ends_by_itself() {
            return;
        }
        if let Claim::Ended(call) = self.sleep.claim() {
            if let Some(mut call) = call {
                call.stop_waiting(self);
            }
            self.finish_exit(HostThread::Drop);
        }
    }

    fn finish_exit(self: &Arc<Self>, host: HostThread) {
        self.trace(Tracer::never);
        self.release_robust_list(&self.memory());
        let thread = self.thread.lock().take();
        let process = self.process().clone();
        if let Some(thread) = &thread {
            self.leave_usage(&**thread, host);
        }
        *process.last_uid.lock() = self.credentials().uid;
        process.record.set_last_name(self.name());
        self.release_resources();
        let left = process.remove_task(self);
        if !self.is_leader() {
            process.pids().tree().release_task(self.tid());
        }
        match left {
            Some(0) => process.finish(),
            Some(_) => process.task_left(),
            None => {}
        }
        process.end_events.wake();
        let is_alone = left == Some(0) && !process.shares_memory.load(Ordering::Relaxed);
        if is_alone && matches!(host, HostThread::Waits) {
            // The thread ends with its space, and no reply is due.
            self.memory().space().kill();
            return;
        }
        host.end(thread);
    }

    /// Leaves its process what it used. Of a process that ends with it the host tells most later, for less.
    fn leave_usage(&self, thread: &dyn UserThread, host: HostThread) {
        let process = self.process();
        let is_last = matches!(host, HostThread::Waits)
            && process.task_count() == 1
            && !process.shares_memory.load(Ordering::Relaxed);
        match is_last.then(|| thread.late_usage()).flatten() {
            Some((time, late)) => {
                process.add_usage(CpuTime::new(time), self.transfers());
                process.usage.lock().late.push(late);
            }
            None => {
                let (time, counts) = self.last_usage(thread);
                process.add_usage(time, counts);
            }
        }
    }

    /// What others wait to see closed.
    fn release_resources(&self) {
        self.task_memory().leave();
        drop(self.replace_files(FdTable::new()));
    }
}

/// What the host thread of a task that ends is doing.
#[derive(Clone, Copy)]
enum HostThread {
    /// It waits for a reply.
    Waits,
    /// Anything; dropping it ends it.
    Drop,
}

impl HostThread {
    fn end(self, thread: Option<Arc<dyn UserThread>>) {
        if let (HostThread::Waits, Some(thread)) = (self, thread) {
            thread.reply(Reply::Exit);
        }
    }
}

/// Whom to tell that a process ended, once the tree is unlocked.
#[derive(Default)]
struct Farewell {
    parent: Option<(Arc<Process>, Option<SignalInfo>)>,
    heirs: Vec<Arc<Process>>,
    orphans: Vec<Arc<Process>>,
    stopped_groups: Vec<Pid>,
    session: Option<Arc<Session>>,
    watcher: Option<Arc<dyn ProcessWatcher>>,
    /// Children that ended before and that nobody will wait for; they go once the tree is unlocked.
    buried: Vec<Node>,
}

impl Process {
    /// Ends the process with all its tasks, as exit_group(2) and fatal signals do. The first status counts.
    pub fn end(&self, status: ExitStatus) {
        {
            let mut ending = self.ending.lock();
            if ending.is_some() {
                return;
            }
            *ending = Some(status);
        }
        let tasks = self.tasks();
        // What others see of it must be put in order while its memory is there.
        let is_private =
            |task: &Arc<Task>| !self.shares_memory.load(Ordering::Relaxed) && !task.memory().writes_shared();
        if tasks.len() > 1 && is_private(&tasks[0]) {
            // Nothing can be asked about a space that is gone.
            let resident_peak = tasks[0].memory().space().resident_peak_bytes();
            self.add_usage(CpuTime::default(), Counts { resident_peak, ..Counts::default() });
            tasks[0].memory().space().kill();
        }
        for task in tasks {
            task.kill();
        }
    }

    /// Ends the process by a signal.
    pub fn end_by(&self, signal: Signal, dump: Dump) {
        self.end(ExitStatus::Killed(signal, dump));
    }

    /// The status of a leader that ends before others.
    fn leader_ended(&self, status: ExitStatus) {
        *self.leader_status.lock() = status;
    }

    /// The last task ended.
    fn finish(self: &Arc<Self>) {
        let status = self.ending.lock().unwrap_or(*self.leader_status.lock());
        if let Some(tracer) = self.namespaces().tracer() {
            tracer.ended(self, status);
        }
        self.timers.clear(self.kernel());
        let now = || self.kernel().machine().now(HostClock::Realtime);
        self.namespaces().ipc.semaphores.process_ended(self.pid(), now);
        self.vfork.release();
        if self.is_init() {
            self.end_namespace();
        }
        let farewell = self.leave_family(status);
        self.tell(farewell, status);
    }

    /// Init ended: so does everything else in its namespace (pid_namespaces(7)).
    fn end_namespace(&self) {
        self.pids().tree().close();
        for other in self.pids().processes() {
            if other.pid() != self.pid() {
                other.end_by(Signal::KILL, Dump::None);
            }
        }
    }

    fn leave_family(self: &Arc<Self>, status: ExitStatus) -> Farewell {
        let mut farewell = Farewell { watcher: self.watcher.lock().take(), ..Farewell::default() };
        let (time, counts, late) = self.with_children();
        let mut tree = self.pids().tree();
        tree.hand_over_children(self, &mut farewell);
        let Some(node) = tree.node_mut(self.pid()) else { return farewell };
        node.change = Change { exit: Some(Exit { status, time, counts, late }), ..Change::default() };
        let (parent, group, exit_signal) = (node.parent, node.group, node.exit_signal);
        if node.session.id() == self.pid() {
            farewell.session = Some(node.session.clone());
        }
        if tree.orphans_by_end_of(self.pid(), group) {
            farewell.stopped_groups.push(group);
        }
        let parent = tree.node(parent).map(|node| node.process.clone());
        let Some(parent) = parent else {
            tree.remove_node(self.pid());
            return farewell;
        };
        let (reap, info) = self.news_for(&parent, exit_signal, status);
        if reap {
            tree.remove_node(self.pid());
        }
        farewell.parent = Some((parent, info));
        farewell
    }

    /// What it used, and the children that it waited for.
    fn with_children(&self) -> (CpuTime, Counts, Late) {
        let usage = self.usage.lock().clone();
        let (mut time, mut counts, mut late) = (usage.tasks, usage.task_counts, usage.late);
        time += usage.children;
        counts += usage.child_counts;
        late.extend(&usage.late_children);
        (time, counts, late)
    }

    /// What a task used that is gone.
    pub(crate) fn add_usage(&self, time: CpuTime, counts: Counts) {
        let mut usage = self.usage.lock();
        usage.tasks += time;
        usage.task_counts += counts;
    }

    /// Whether the process vanishes at once, and what its parent is sent.
    fn news_for(&self, parent: &Process, signal: Option<Signal>, status: ExitStatus) -> (bool, Option<SignalInfo>) {
        let Some(signal) = signal else { return (false, None) };
        let info = self.child_info(signal, status.child_code());
        if signal != Signal::CHLD {
            return (false, Some(info));
        }
        let action = parent.signals.actions().lock().get(signal);
        let reap = action.is_ignore() || action.flags.contains(ActionFlags::NOCLDWAIT);
        (reap, (!action.is_ignore()).then_some(info))
    }

    /// What a parent is told about a child.
    pub(crate) fn child_info(&self, signal: Signal, (code, status): (i32, i32)) -> SignalInfo {
        let time = self.cpu_time();
        let (user, system) = (ticks(time.user), ticks(time.system));
        let detail = Detail::Child { pid: self.pid(), uid: self.uid(), status, user, system };
        SignalInfo { signal, errno: 0, code, detail }
    }

    fn tell(&self, farewell: Farewell, status: ExitStatus) {
        for orphan in farewell.orphans {
            orphan.parent_died();
        }
        for group in farewell.stopped_groups {
            self.pids().signal_group(group, SignalInfo::kernel(Signal::HUP));
            self.pids().signal_group(group, SignalInfo::kernel(Signal::CONT));
        }
        if let Some((terminal, foreground)) = farewell.session.and_then(|session| session.take_terminal()) {
            self.pids().signal_group(foreground, SignalInfo::kernel(Signal::HUP));
            self.pids().signal_group(foreground, SignalInfo::kernel(Signal::CONT));
            terminal.released();
        }
        if let Some((parent, info)) = farewell.parent {
            if let Some(info) = info {
                parent.send_signal(info);
            }
            parent.child_events.wake();
        }
        for heir in farewell.heirs {
            heir.child_events.wake();
        }
        if let Some(watcher) = farewell.watcher {
            watcher.ended(status);
        }
    }

    /// prctl(PR_SET_PDEATHSIG)
    fn parent_died(&self) {
        for task in self.tasks() {
            let signal = task.settings.lock().parent_death_signal;
            if let Some(signal) = signal {
                task.send_signal(SignalInfo::kernel(signal));
            }
        }
    }
}

impl Tree {
    /// Gives the children of a process that ends to its reaper.
    fn hand_over_children(&mut self, process: &Arc<Process>, farewell: &mut Farewell) {
        let children = self.node_mut(process.pid()).map(|node| core::mem::take(&mut node.children)).unwrap_or_default();
        if children.is_empty() {
            return;
        }
        let heir = self.reaper_of(process.pid());
        for child in &children {
            self.hand_over(*child, heir, farewell);
        }
        if let Some(node) = self.node_mut(heir) {
            node.children.extend(children);
            return farewell.heirs.push(node.process.clone());
        }
        // Init is gone: they would hold what their namespace holds for ever.
        let ended = |tree: &Self, pid| tree.node(pid).is_some_and(|node| node.change.exit.is_some());
        for child in children {
            if ended(self, child) {
                farewell.buried.extend(self.remove_node(child));
            }
        }
    }

    fn hand_over(&mut self, child: Pid, heir: Pid, farewell: &mut Farewell) {
        let Some(node) = self.node_mut(child) else { return };
        node.parent = heir;
        // An orphan always tells its new parent with SIGCHLD (reparent_leader of Linux).
        node.exit_signal = Some(Signal::CHLD);
        node.process.set_parent_pid(heir);
        farewell.orphans.push(node.process.clone());
        let (group, stopped) = (node.group, node.change.exit.is_none());
        if stopped
            && self.is_orphaned(group, None)
            && self.has_stopped(group)
            && !farewell.stopped_groups.contains(&group)
        {
            farewell.stopped_groups.push(group);
        }
    }

    /// Whether the end of a process orphans its own group, which has stopped members: its parent must have been what
    /// kept the group from being orphaned (`kill_orphaned_pgrp` of Linux).
    fn orphans_by_end_of(&self, pid: Pid, group: Pid) -> bool {
        let session = |pid| self.node(pid).map(|node| node.session.id());
        let parent = self.node(pid).and_then(|node| self.node(node.parent));
        let held = parent.is_some_and(|parent| parent.group != group && Some(parent.session.id()) == session(pid));
        held && self.has_stopped(group) && self.is_orphaned(group, Some(pid))
    }
}
