//! How tasks and processes begin: the first of a container, and clone(2).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use stockade_kernel_sync::Mutex;

use super::{
    Change, Counters, Credentials, HugePages, Limits, Namespaces, NewProcess, Node, Pid, Process, ProcessWatcher,
    Resource, RobustList, Scheduling, Session, Settings, Sleep, Task,
};
use crate::mm::{Memory, TaskMemory};
use crate::platform::{Begin, Frame, HostCall, UserThread};
use crate::signal::{Actions, AlternateStack, Attention, Signal, TaskSignals};
use crate::vfs::{FdTable, FsContext};
use crate::{Errno, Kernel};

/// What a task works on, each shared with other tasks or its own.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Its address space.
    pub memory: Arc<Memory>,
    /// Its file descriptors.
    pub files: Arc<FdTable>,
    /// Its root, working directory and umask.
    pub fs: Arc<FsContext>,
}

/// A process that no other process makes: the init of a container, or one that `exec` adds to it. It leads a session.
#[derive(Debug)]
pub struct FirstProcess {
    /// Of its container. The first process in them is init.
    pub namespaces: Arc<Namespaces>,
    /// What it works on; its program is loaded.
    pub resources: Resources,
    /// Who it is.
    pub credentials: Credentials,
    /// What it may use.
    pub limits: Limits,
    /// Its command's name.
    pub name: Vec<u8>,
    /// Where it begins.
    pub frame: Frame,
    /// Host calls to make before.
    pub setup: Vec<HostCall>,
    /// Hears how it ends.
    pub watcher: Option<Arc<dyn ProcessWatcher>>,
    /// How it begins otherwise.
    pub manner: Manner,
}

/// What a process inherits from whoever makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// How it wants to be scheduled.
    pub scheduling: Scheduling,
    /// personality(2)
    pub personality: u32,
    /// How willingly it is killed when memory runs out: -1000..=1000.
    pub oom_score_adj: i32,
}

impl Process {
    /// Makes a process from outside. Its task waits for [`Task::start`].
    pub fn first(kernel: &Arc<Kernel>, first: FirstProcess) -> Result<Arc<Task>, Errno> {
        kernel.add_container(&first.namespaces);
        kernel.check_room()?;
        let pid = first.namespaces.pids.tree().reserve(None)?;
        let process = Process::new(NewProcess {
            kernel: kernel.clone(),
            pid,
            namespaces: first.namespaces,
            parent: Pid::NONE,
            limits: first.limits,
            actions: Arc::new(Mutex::new(Actions::default())),
            watcher: first.watcher,
        });
        let Manner { scheduling, personality, oom_score_adj } = first.manner;
        process.begin_with_oom_score_adj(oom_score_adj);
        let task = Task::new(NewTask {
            tid: pid,
            process: &process,
            credentials: Arc::new(first.credentials),
            resources: first.resources,
            signals: TaskSignals::default(),
            settings: Settings { scheduling, personality, ..Settings::default() },
        });
        task.set_name(&first.name);
        let space = task.memory().space().clone();
        task.make_thread(|events| space.spawn(&first.frame, first.setup, events))?;
        if process.is_init() {
            space.prefer();
        }
        process.enter_tree(&task, Lineage { parent: Pid::NONE, exit_signal: None });
        Ok(task)
    }

    /// Joins the tree, with its first task.
    fn enter_tree(self: &Arc<Self>, task: &Arc<Task>, lineage: Lineage) {
        let mut tree = self.pids().tree();
        let parent = tree.node(lineage.parent);
        let (group, session) = match parent {
            Some(parent) => (parent.group, parent.session.clone()),
            None => (self.pid(), Session::new(self.pid())),
        };
        let node = Node {
            process: self.clone(),
            parent: lineage.parent,
            children: Vec::new(),
            group,
            session,
            exit_signal: lineage.exit_signal,
            subreaper: false,
            executed: parent.is_none(),
            change: Change::default(),
        };
        tree.insert_node(node);
        tree.set_task(task);
        drop(tree);
        self.add_task(task);
        self.watch_cpu_limit();
    }
}

/// Whose child a process is.
struct Lineage {
    parent: Pid,
    exit_signal: Option<Signal>,
}

/// What a new task gets.
struct NewTask<'a> {
    tid: Pid,
    process: &'a Arc<Process>,
    credentials: Arc<Credentials>,
    resources: Resources,
    signals: TaskSignals,
    settings: Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: [0; 16],
            clear_child_tid: 0,
            robust_list: RobustList::default(),
            parent_death_signal: None,
            dumpable: 1,
            personality: 0,
            scheduling: Scheduling::default(),
            huge_pages: HugePages::default(),
        }
    }
}

impl Task {
    fn new(new: NewTask<'_>) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Task>| Self {
            kernel: new.process.kernel().clone(),
            tid: AtomicU32::new(new.tid.raw()),
            process: new.process.clone(),
            me: me.clone(),
            thread: Mutex::new(None),
            credentials: Mutex::new(new.credentials),
            memory: TaskMemory::new(new.resources.memory, me),
            files: Mutex::new(new.resources.files),
            fs: Mutex::new(new.resources.fs),
            sleep: Sleep::default(),
            signals: new.signals,
            restart: Mutex::default(),
            timed_wait: Mutex::default(),
            last_fault: Mutex::default(),
            settings: Mutex::new(new.settings),
            counters: Counters::default(),
        })
    }

    /// Gives the task a host thread. Whoever looks for one meanwhile waits here. Gives the id back on failure.
    fn make_thread(
        self: &Arc<Self>,
        make: impl FnOnce(Arc<Task>) -> Result<Arc<dyn UserThread>, Errno>,
    ) -> Result<(), Errno> {
        let mut slot = self.thread.lock();
        match make(self.clone()) {
            Ok(thread) => *slot = Some(thread),
            Err(errno) => {
                drop(slot);
                self.process().pids().tree().release_task(self.tid());
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Lets a new task go.
    pub fn start(&self) {
        let Some(thread) = self.thread() else { return };
        thread.start();
        if self.has_signal() {
            thread.interrupt();
        }
    }
}

bitflags::bitflags! {
    /// Flags of clone(2) without the exit signal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs, reason = "the words of clone(2)")]
    pub(crate) struct CloneFlags: u64 {
        const NEWTIME = 0x80;
        const VM = 0x100;
        const FS = 0x200;
        const FILES = 0x400;
        const SIGHAND = 0x800;
        const PIDFD = 0x1000;
        const PTRACE = 0x2000;
        const VFORK = 0x4000;
        const PARENT = 0x8000;
        const THREAD = 0x1_0000;
        const NEWNS = 0x2_0000;
        const SYSVSEM = 0x4_0000;
        const SETTLS = 0x8_0000;
        const PARENT_SETTID = 0x10_0000;
        const CHILD_CLEARTID = 0x20_0000;
        const DETACHED = 0x40_0000;
        const UNTRACED = 0x80_0000;
        const CHILD_SETTID = 0x100_0000;
        const NEWCGROUP = 0x200_0000;
        const NEWUTS = 0x400_0000;
        const NEWIPC = 0x800_0000;
        const NEWUSER = 0x1000_0000;
        const NEWPID = 0x2000_0000;
        const NEWNET = 0x4000_0000;
        const IO = 0x8000_0000;
        const CLEAR_SIGHAND = 0x1_0000_0000;
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// A request to clone(2), checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clone {
    pub flags: CloneFlags,
    pub exit_signal: Option<Signal>,
    /// The child's stack pointer; 0 for the caller's.
    pub stack: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    pub tls: u64,
    /// Where CLONE_PIDFD stores the descriptor.
    pub pidfd: u64,
    /// The id that the child must get (clone3).
    pub wanted: Option<Pid>,
}

impl Clone {
    /// A new process without more wishes.
    pub fn process(flags: CloneFlags) -> Self {
        let exit_signal = Some(Signal::CHLD);
        Self { flags, exit_signal, stack: 0, parent_tid: 0, child_tid: 0, tls: 0, pidfd: 0, wanted: None }
    }

    /// The rules of clone(2) about flags.
    pub fn check(&self) -> Result<(), Errno> {
        let needs = |flag, other| !self.flags.contains(flag) || self.flags.contains(other);
        let both = |flag, other| self.flags.contains(flag) && self.flags.contains(other);
        let consistent = needs(CloneFlags::SIGHAND, CloneFlags::VM)
            && needs(CloneFlags::THREAD, CloneFlags::SIGHAND)
            && !both(CloneFlags::FS, CloneFlags::NEWNS)
            && !both(CloneFlags::SIGHAND, CloneFlags::CLEAR_SIGHAND)
            && !both(CloneFlags::THREAD, CloneFlags::PIDFD);
        if consistent { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

impl Task {
    /// Makes a task or a process as clone(2) does. It waits for [`Task::start`].
    pub(crate) fn clone_task(self: &Arc<Self>, request: &Clone) -> Result<Arc<Task>, Errno> {
        let thread = self.thread().ok_or(Errno::ESRCH)?;
        let frame = child_frame(thread.frame()?, request);
        if self.process().ending.lock().is_some() {
            return Err(Errno::EAGAIN);
        }
        self.check_process_limit()?;
        self.kernel().check_room()?;
        let tid = self.process().pids().tree().reserve(request.wanted)?;
        let process = self.child_process(request, tid);
        let child = Task::new(NewTask {
            tid,
            process: &process,
            credentials: self.child_credentials(request),
            resources: self.child_resources(request),
            signals: TaskSignals::new(self.signals.lasting_mask(), self.child_stack(request)),
            settings: self.child_settings(request),
        });
        self.make_child_thread(&child, &frame, request)?;
        self.store_tids(&child, request);
        if request.flags.contains(CloneFlags::THREAD) {
            self.join_group(&child)?;
        } else {
            process.enter_tree(&child, self.lineage(request));
        }
        Ok(child)
    }

    /// RLIMIT_NPROC, which root is above.
    fn check_process_limit(&self) -> Result<(), Errno> {
        let limit = self.process().limit(Resource::Processes).soft;
        let credentials = self.credentials();
        let above = credentials.uid == 0
            || credentials.has(super::Capabilities::SYS_RESOURCE)
            || credentials.has(super::Capabilities::SYS_ADMIN);
        if limit == super::INFINITY || above {
            return Ok(());
        }
        let tasks = self.process().pids().processes();
        let mine =
            tasks.iter().flat_map(|process| process.tasks()).filter(|task| task.credentials().uid == credentials.uid);
        if mine.count() as u64 >= limit { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// Threads share theirs; a process has its own, though they are the same at first.
    fn child_credentials(&self, request: &Clone) -> Arc<Credentials> {
        let own = self.credentials();
        if request.flags.contains(CloneFlags::THREAD) { own } else { Arc::new((*own).clone()) }
    }

    fn child_process(self: &Arc<Self>, request: &Clone, pid: Pid) -> Arc<Process> {
        if request.flags.contains(CloneFlags::THREAD) {
            return self.process().clone();
        }
        let shared = self.process().signals.actions();
        let actions = if request.flags.contains(CloneFlags::SIGHAND) {
            shared
        } else {
            let mut actions = shared.lock().clone();
            if request.flags.contains(CloneFlags::CLEAR_SIGHAND) {
                actions.keep_ignored();
            }
            Arc::new(Mutex::new(actions))
        };
        let process = Process::new(NewProcess {
            kernel: self.kernel().clone(),
            pid,
            namespaces: self.process().namespaces().clone(),
            parent: self.lineage(request).parent,
            limits: self.process().limits(),
            actions,
            watcher: None,
        });
        process.record.inherit(&self.process().record);
        if request.flags.contains(CloneFlags::VM) {
            process.shares_memory.store(true, Ordering::Relaxed);
            self.process().shares_memory.store(true, Ordering::Relaxed);
        }
        process
    }

    fn lineage(&self, request: &Clone) -> Lineage {
        if !request.flags.contains(CloneFlags::PARENT) {
            return Lineage { parent: self.process().pid(), exit_signal: request.exit_signal };
        }
        let tree = self.process().pids().tree();
        let mine = tree.node(self.process().pid());
        Lineage { parent: self.process().parent_pid(), exit_signal: mine.and_then(|node| node.exit_signal) }
    }

    /// The address space is copied with the host thread.
    fn child_resources(&self, request: &Clone) -> Resources {
        let (files, fs) = (self.files(), self.fs());
        Resources {
            memory: self.memory(),
            files: if request.flags.contains(CloneFlags::FILES) { files } else { files.copy() },
            fs: if request.flags.contains(CloneFlags::FS) { fs } else { fs.copy() },
        }
    }

    /// Kept by fork(2) and vfork(2), dropped where the child runs beside its maker on another stack.
    fn child_stack(&self, request: &Clone) -> AlternateStack {
        let beside = request.flags.contains(CloneFlags::VM) && !request.flags.contains(CloneFlags::VFORK);
        if beside { AlternateStack::default() } else { *self.signals.stack.lock() }
    }

    fn child_settings(&self, request: &Clone) -> Settings {
        let mine = *self.settings.lock();
        let clear = request.flags.contains(CloneFlags::CHILD_CLEARTID);
        Settings {
            clear_child_tid: if clear { request.child_tid } else { 0 },
            robust_list: RobustList::default(),
            parent_death_signal: None,
            scheduling: mine.scheduling.inherited(),
            ..mine
        }
    }

    fn make_child_thread(&self, child: &Arc<Task>, frame: &Frame, request: &Clone) -> Result<(), Errno> {
        let memory = self.memory();
        let mut setup: Vec<_> = child.clear_tid_call().into_iter().collect();
        if request.flags.contains(CloneFlags::VM) {
            return child.make_thread(|events| memory.space().spawn(frame, setup, events));
        }
        let own_tid = self.own_tid_call(child, request);
        let is_tid_left = request.flags.contains(CloneFlags::CHILD_SETTID) && own_tid.is_none();
        setup.extend(own_tid);
        // A child whose descriptor cannot be given was never there.
        let waits = is_tid_left || request.flags.contains(CloneFlags::PIDFD);
        let begin = if waits { Begin::WhenStarted } else { Begin::AtOnce };
        child.make_thread(|events| {
            let (copy, thread) = memory.fork(frame, setup, begin, events)?;
            child.replace_memory(copy);
            Ok(thread)
        })?;
        if is_tid_left {
            child.store_own_tid(request);
        }
        Ok(())
    }

    /// The host clears the word of CLONE_CHILD_CLEARTID when its thread ends, and wakes its waiters, who wait there.
    /// Nothing is done about an address that no application has.
    pub(crate) fn clear_tid_call(&self) -> Option<HostCall> {
        let address = self.settings.lock().clear_child_tid;
        let range = self.kernel().machine().info().user_range;
        let usable = address >= range.start && address < range.end - 4;
        usable.then_some(HostCall::SetTidAddress { address })
    }

    /// CLONE_CHILD_SETTID of a copy: its thread stores the id itself, so that it can begin at once. Nothing where it is
    /// not sure to succeed, since a fault would end it.
    fn own_tid_call(&self, child: &Task, request: &Clone) -> Option<HostCall> {
        let (address, bytes) = (request.child_tid, child.tid().raw().to_le_bytes().to_vec());
        let wanted = request.flags.contains(CloneFlags::CHILD_SETTID);
        let can = wanted && self.memory().copies_as_writable(address, bytes.len() as u64);
        can.then_some(HostCall::Fill { address, bytes })
    }

    /// Faults are ignored, as Linux does.
    fn store_tids(&self, child: &Task, request: &Clone) {
        if request.flags.contains(CloneFlags::PARENT_SETTID) {
            let _ = self.memory().write_struct(request.parent_tid, &child.tid().raw());
        }
        if request.flags.contains(CloneFlags::CHILD_SETTID | CloneFlags::VM) {
            child.store_own_tid(request);
        }
    }

    /// CLONE_CHILD_SETTID by the kernel.
    fn store_own_tid(&self, request: &Clone) {
        let _ = self.memory().write_struct(request.child_tid, &self.tid().raw());
    }

    /// Takes back a task that was made and not started.
    pub(crate) fn discard(&self) {
        drop(self.thread.lock().take());
        self.sleep.end();
        self.process().remove_task(self);
        let mut tree = self.process().pids().tree();
        if self.is_leader() {
            tree.remove_node(self.tid());
        } else {
            tree.release_task(self.tid());
        }
    }

    /// Adds a thread, unless the process began to end meanwhile.
    fn join_group(&self, child: &Arc<Task>) -> Result<(), Errno> {
        self.process().pids().tree().set_task(child);
        self.process().add_task(child);
        if self.process().is_stopping() {
            child.signals.raise(Attention::STOP);
        }
        if self.process().ending.lock().is_some() {
            child.kill();
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }
}

fn child_frame(mut frame: Frame, request: &Clone) -> Frame {
    frame.registers.rax = 0;
    if request.stack != 0 {
        frame.registers.rsp = request.stack;
    }
    if request.flags.contains(CloneFlags::SETTLS) {
        frame.registers.fs_base = request.tls;
    }
    frame
}
