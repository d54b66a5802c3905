//! /proc/PID and /proc/PID/task/TID (proc_pid(5)).

mod access;
mod fd;
mod links;
mod maps;
mod memory;
mod misc;
mod ns;
mod report;
mod sched;
mod settings;
mod smaps;
mod stat;
mod status;
mod usage;

pub use ns::OpenNamespace;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use super::{ProcSystem, mounts, root};
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Listed, Names, Node, Opener, Subject, Synthetic, number_below};
use crate::task::{Pid, Process, Task};
use crate::vfs::{Caller, FileKind, Inode, Timestamp};

use access::may_inspect;
pub use report::{ProcessReport, ThreadReport};

/// A process, or one of its tasks.
#[derive(Clone, Debug)]
pub(crate) struct PidSubject {
    system: ProcSystem,
    process: Weak<Process>,
    /// `None` for the process as a whole.
    task: Option<Weak<Task>>,
}

/// Permissions of directories that show their owner whatever the process keeps secret.
const OPEN_DIRECTORY: u32 = 0o555;

impl PidSubject {
    pub fn of_process(system: ProcSystem, process: &Arc<Process>) -> Self {
        Self { system, process: Arc::downgrade(process), task: None }
    }

    pub fn of_task(system: ProcSystem, task: &Arc<Task>) -> Self {
        Self { system, process: Arc::downgrade(task.process()), task: Some(Arc::downgrade(task)) }
    }

    /// `ESRCH` once it was waited for.
    fn process(&self) -> Result<Arc<Process>, Errno> {
        self.process.upgrade().filter(|process| !process.is_gone()).ok_or(Errno::ESRCH)
    }

    /// The task, or the one that stands for the process: `ESRCH` for a zombie.
    fn task(&self) -> Result<Arc<Task>, Errno> {
        match &self.task {
            Some(task) => task.upgrade().ok_or(Errno::ESRCH),
            None => self.process()?.leader().ok_or(Errno::ESRCH),
        }
    }

    /// The number of its directory: no other process ever has it, even when the id is used again.
    pub fn number_below(&self, directory: u64) -> u64 {
        let started = self.process.upgrade().map_or(0, |process| process.started().as_nanos());
        number_below(directory, alloc::format!("{}:{started}", self.id().unwrap_or(0)).as_bytes())
    }

    fn id(&self) -> Result<u32, Errno> {
        match &self.task {
            Some(_) => Ok(self.task()?.tid().raw()),
            None => Ok(self.process()?.pid().raw()),
        }
    }

    /// Whether `hidepid` leaves it in the list.
    pub fn is_shown_to(&self, caller: &Caller) -> bool {
        let options = *self.system.shared.options.lock();
        options.hide == super::HidePid::NoAccess
            || options.lets_see(&caller.credentials)
            || may_inspect(self, caller).is_ok()
    }
}

impl Subject for PidSubject {
    /// `task_dump_owner` of Linux.
    fn owner(&self, kind: FileKind, permissions: u32) -> (u32, u32) {
        let Ok(task) = self.task() else { return (self.process().map_or(0, |process| process.uid()), 0) };
        let credentials = task.credentials();
        let open = kind == FileKind::Directory && permissions == OPEN_DIRECTORY;
        let secret = !open && task.settings.lock().dumpable != 1;
        if secret { (0, 0) } else { (credentials.euid, credentials.egid) }
    }

    fn time(&self) -> Timestamp {
        let started = self.process.upgrade().map_or(core::time::Duration::ZERO, |process| process.started());
        (self.system.boot_time() + started).into()
    }

    /// As where nobody looks at what is opened for writing (`proc_reg_open` of Linux).
    fn check_taken(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn check(&self, caller: &Caller) -> Result<(), Errno> {
        use super::HidePid::{Invisible, NoAccess, Off, PtraceOnly};
        let options = *self.system.shared.options.lock();
        if options.lets_see(&caller.credentials) || may_inspect(self, caller).is_ok() {
            return Ok(());
        }
        match options.hide {
            Off => Ok(()),
            NoAccess => Err(Errno::EPERM),
            Invisible | PtraceOnly => Err(Errno::ENOENT),
        }
    }
}

/// The inode of /proc/PID.
pub(super) fn process_directory(subject: PidSubject, directory: u64) -> Arc<dyn Inode> {
    let number = subject.number_below(directory);
    Synthetic::inode(subject, &PROCESS, OPEN_DIRECTORY, number)
}

/// The process that a directory /proc/PID is about; `ESRCH` once it was waited for, `EBADF` if it is no such directory.
pub(crate) fn process_of_directory(inode: &Arc<dyn Inode>) -> Result<Arc<Process>, Errno> {
    let inode: &dyn Any = &**inode;
    let directory = inode.downcast_ref::<Synthetic<PidSubject>>().ok_or(Errno::EBADF)?;
    if core::ptr::eq(directory.node, &raw const PROCESS) { directory.subject.process() } else { Err(Errno::EBADF) }
}

static PROCESS: Node<PidSubject> = Node::Directory(&Directory::of(PROCESS_ENTRIES));
static TASK: Node<PidSubject> = Node::Directory(&Directory::of(TASK_ENTRIES));

/// What processes and tasks both have, behind what only one of them has.
macro_rules! with_common {
    ($($own:expr,)*) => {
        &[
            $($own,)*
            Entry::directory("attr", &misc::ATTR),
            Entry::guarded("auxv", 0o400, access::inspect, memory::auxv),
            Entry::constant("cgroup", "0::/\n"),
            Entry::write_only("clear_refs", memory::clear_references),
            Entry::text("cmdline", memory::cmdline),
            Entry::setting("comm", settings::comm, settings::set_comm),
            Entry::constant("cpuset", "/\n"),
            Entry::link("cwd", links::cwd),
            Entry::guarded("environ", 0o400, access::inspect, memory::environ),
            Entry::link("exe", links::exe),
            Entry::directory("fd", &fd::FD).mode(0o500),
            Entry::directory("fdinfo", &fd::FDINFO),
            Entry::constant("gid_map", misc::ID_MAP).mode(0o644),
            Entry::guarded("io", 0o400, access::inspect, misc::io),
            Entry::text("limits", misc::limits),
            Entry::setting("loginuid", settings::login_uid, settings::set_login_uid),
            Entry::guarded("maps", 0o444, access::inspect, maps::maps),
            Entry::special("mem", 0o600, memory::open_mem),
            Entry::text("mountinfo", |subject, _| mounts::mountinfo(&subject.task()?.fs())),
            Entry::text("mounts", |subject, _| mounts::mounts(&subject.task()?.fs())),
            Entry::elsewhere("net", net),
            Entry::directory("ns", &ns::NS).mode(0o511),
            Entry::setting("oom_adj", settings::oom_adj, settings::set_oom_adj),
            Entry::text("oom_score", settings::oom_score),
            Entry::setting("oom_score_adj", settings::oom_score_adj, settings::set_oom_score_adj),
            Entry::guarded("personality", 0o400, access::inspect, misc::personality),
            Entry::special("pagemap", 0o400, memory::open_page_map),
            Entry::constant("projid_map", misc::ID_MAP).mode(0o644),
            Entry::link("root", links::root),
            Entry::text("sched", sched::sched).mode(0o644),
            Entry::text("schedstat", sched::schedstat),
            Entry::constant("sessionid", "4294967295"),
            Entry::constant("setgroups", "allow\n").mode(0o644),
            Entry::guarded("smaps", 0o444, access::inspect, smaps::smaps),
            Entry::guarded("smaps_rollup", 0o444, access::inspect, smaps::rollup),
            Entry::guarded("stack", 0o400, access::inspect, |_, _| Ok(Vec::new())),
            Entry::text("stat", stat::stat),
            Entry::text("statm", stat::statm),
            Entry::text("status", status::status),
            Entry::guarded("syscall", 0o400, access::inspect, misc::syscall),
            Entry::constant("uid_map", misc::ID_MAP).mode(0o644),
            Entry::constant("wchan", "0"),
        ]
    };
}

/// `tgid_base_stuff` of Linux.
const PROCESS_ENTRIES: &[Entry<PidSubject>] = with_common![
    Entry::setting("coredump_filter", settings::dump_filter, settings::set_dump_filter),
    Entry::text("mountstats", mountstats).mode(0o400),
    Entry::directory("task", &TASKS),
    Entry::constant("timens_offsets", misc::TIME_OFFSETS).mode(0o644),
    Entry::constant("timers", ""),
    Entry::setting("timerslack_ns", settings::timer_slack, settings::set_timer_slack).mode(0o666),
];

/// `tid_base_stuff` of Linux.
const TASK_ENTRIES: &[Entry<PidSubject>] = with_common![Entry::text("children", misc::children),];

static TASKS: Directory<PidSubject> = Directory::listing(Names { lookup: find_task, list: list_tasks });

fn mountstats(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    mounts::mountstats(&subject.task()?.fs())
}

/// The network is the container's.
fn net(subject: &PidSubject, number: u64) -> Arc<dyn Inode> {
    Synthetic::inode(subject.system.clone(), &root::NET, OPEN_DIRECTORY, number)
}

fn find_task(subject: &PidSubject, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    let id = root::parse_id(name).map(Pid::from_raw).ok_or(Errno::ENOENT)?;
    let process = subject.process().map_err(|_| Errno::ENOENT)?;
    let subject = match process.tasks().iter().find(|task| task.tid() == id) {
        Some(task) => PidSubject::of_task(subject.system.clone(), task),
        None if process.pid() == id => PidSubject::of_process(subject.system.clone(), &process),
        None => return Err(Errno::ENOENT),
    };
    Ok(Synthetic::inode(subject, &TASK, OPEN_DIRECTORY, number_below(directory, name)))
}

fn list_tasks(subject: &PidSubject, directory: u64, _: &Opener) -> Result<Vec<Listed>, Errno> {
    let process = subject.process().map_err(|_| Errno::ENOENT)?;
    let mut ids: Vec<Pid> = process.tasks().iter().map(|task| task.tid()).collect();
    ids.push(process.pid());
    ids.sort_unstable();
    ids.dedup();
    let listed = |id: Pid| {
        let name = alloc::format!("{id}").into_bytes();
        Listed { number: number_below(directory, &name), name, kind: FileKind::Directory, at: id.into() }
    };
    Ok(ids.into_iter().map(listed).collect())
}
