//! From a process of config.json to a task that waits to be started.

use std::sync::Arc;

use oci_spec::runtime::{Capability, LinuxCapabilities, PosixRlimit, PosixRlimitType, Process as Spec};
use stockade_kernel::exec::{self, Request};
use stockade_kernel::fs::open_stream;
use stockade_kernel::task::{
    Capabilities, Credentials, FirstProcess, Limit, Limits, Manner, Namespaces, Process, ProcessWatcher, Resource,
    Resources, Task,
};
use stockade_kernel::tty::{Owner, Terminals};
use stockade_kernel::vfs::{Caller, FdFlags, FdTable, FileKind, Follow, FsContext, Name, Path};
use stockade_kernel::{Errno, Kernel};
use stockade_native::user::{Identity, resolve_with};
use stockade_sandbox::{Error, Result};

use super::container::Luggage;
use super::root;
use super::stream::Stream;

/// What a shell searches when nobody says so (execvp(3) of glibc, and Docker).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a process begins.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub kernel: &'a Arc<Kernel>,
    pub namespaces: &'a Arc<Namespaces>,
    pub fs: Arc<FsContext>,
    pub manner: Manner,
}

/// Loads the program of a new process. It waits for its start.
pub(super) fn make(
    place: Place<'_>,
    spec: &Spec,
    user: Option<&str>,
    luggage: Luggage,
    watcher: Arc<dyn ProcessWatcher>,
) -> Result<Arc<Task>> {
    let Place { kernel, namespaces, fs, manner } = place;
    let identity = resolve_with(user, spec.user(), !has_home(spec), |path| root::read_text(kernel, &fs, path))?;
    let credentials = credentials(spec, &identity);
    let caller = Caller::kernel(Arc::new(credentials.clone()));
    enter_directory(kernel, &fs, &caller, spec)?;
    let environment = environment(spec, &identity);
    let arguments = spec.args().clone().unwrap_or_default();
    let word = arguments.first().cloned().ok_or_else(|| Error::InvalidConfig("process.args is empty".into()))?;
    let (path, name) = find_program(&fs, &caller, &word, &environment)?;
    if path.inode().kind() == FileKind::Directory {
        return Err(not_executable(&word, Errno::EISDIR));
    }
    let limits = limits(spec.rlimits().as_deref().unwrap_or_default());
    let command = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let program = exec::load(Request {
        kernel,
        caller: &caller,
        context: &fs,
        path,
        name: Some(name.as_bytes()),
        command: command.as_bytes(),
        arguments: arguments.into_iter().map(String::into_bytes).collect(),
        environment: environment.into_iter().map(String::into_bytes).collect(),
        limits: &limits,
        personality: manner.personality,
        space: None,
    })
    .map_err(|errno| not_executable(&word, errno))?;
    if let Some(umask) = spec.user().umask() {
        fs.set_umask(umask);
    }
    let files = open_streams(kernel, &luggage, &credentials)?;
    let task = Process::first(
        kernel,
        FirstProcess {
            namespaces: namespaces.clone(),
            resources: Resources { memory: program.memory, files, fs },
            credentials: program.credentials,
            limits,
            name: program.name,
            frame: program.frame,
            setup: program.setup,
            watcher: Some(watcher),
            manner,
        },
    )
    .map_err(|errno| Error::Other(format!("start a process: {errno}")))?;
    if let Some(terminal) = &luggage.terminal {
        open_terminal(&task, terminal)
            .map_err(|errno| Error::Other(format!("open the process's terminal: {errno}")))?;
    }
    Ok(task)
}

/// Gives a process its terminal: one file for its three streams.
fn open_terminal(task: &Arc<Task>, stream: &Arc<Stream>) -> std::result::Result<(), Errno> {
    let owner = Owner::of(&task.credentials());
    let tty = task.process().namespaces().terminals.open_console(owner, stream.clone())?;
    let file = Terminals::open_slave(task, &tty)?;
    for number in 0..3 {
        task.files().insert(file.clone(), FdFlags::empty(), number, u64::MAX)?;
    }
    Ok(())
}

fn has_home(spec: &Spec) -> bool {
    spec.env().iter().flatten().any(|entry| entry.starts_with("HOME="))
}

/// The spec's variables, and a HOME where it has none, as runc adds it.
fn environment(spec: &Spec, identity: &Identity) -> Vec<String> {
    let mut all = spec.env().clone().unwrap_or_default();
    if !has_home(spec) {
        all.push(format!("HOME={}", identity.home.as_deref().unwrap_or("/")));
    }
    all
}

fn enter_directory(kernel: &Kernel, fs: &FsContext, caller: &Caller, spec: &Spec) -> Result<()> {
    let cwd = spec.cwd().to_string_lossy().into_owned();
    let name = Name::new(fs, caller, cwd.as_bytes());
    let path = match name.find(Follow::Yes) {
        Err(Errno::ENOENT) => root::make_directories(kernel, fs, &cwd)?,
        answer => answer.map_err(|errno| Error::Other(format!("chdir to cwd ({cwd:?}): {errno}")))?,
    };
    fs.set_cwd(path);
    Ok(())
}

/// The program's file and the path that it was found by.
fn find_program(fs: &FsContext, caller: &Caller, word: &str, environment: &[String]) -> Result<(Path, String)> {
    let find = |path: &str| Name::new(fs, caller, path.as_bytes()).find(Follow::Yes);
    if word.contains('/') {
        return find(word).map(|path| (path, word.to_owned())).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => Error::NoSuchProgram(word.to_owned()),
            errno => not_executable(word, errno),
        });
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let candidates = path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| format!("{dir}/{word}"));
    let mut found = candidates.filter_map(|name| find(&name).ok().map(|path| (path, name)));
    found.next().ok_or_else(|| Error::ExecutableNotFound(word.to_owned()))
}

fn not_executable(word: &str, errno: Errno) -> Error {
    let reason = match errno {
        Errno::EACCES => "permission denied".to_owned(),
        Errno::EISDIR => "is a directory".to_owned(),
        Errno::ENOEXEC => "exec format error".to_owned(),
        Errno::ENOENT => return Error::NoSuchProgram(word.to_owned()),
        other => other.to_string(),
    };
    Error::NotExecutable { program: word.to_owned(), reason }
}

fn credentials(spec: &Spec, identity: &Identity) -> Credentials {
    let set = |pick: fn(&LinuxCapabilities) -> &Option<std::collections::HashSet<Capability>>| {
        spec.capabilities().as_ref().and_then(|all| pick(all).as_ref()).map(capabilities).unwrap_or_default()
    };
    let mut groups = identity.groups.clone();
    groups.sort_unstable();
    groups.dedup();
    let (uid, gid) = (identity.uid, identity.gid);
    Credentials {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        groups: Arc::new(groups),
        effective: set(LinuxCapabilities::effective),
        permitted: set(LinuxCapabilities::permitted),
        inheritable: set(LinuxCapabilities::inheritable),
        bounding: set(LinuxCapabilities::bounding),
        ambient: set(LinuxCapabilities::ambient),
        no_new_privs: spec.no_new_privileges().unwrap_or(false),
        ..Credentials::root(Capabilities::empty())
    }
}

fn capabilities(names: &std::collections::HashSet<Capability>) -> Capabilities {
    let named = |name: &Capability| {
        let name = name.to_string();
        Capabilities::from_name(name.strip_prefix("CAP_").unwrap_or(&name)).unwrap_or_default()
    };
    names.iter().map(named).collect()
}

fn limits(all: &[PosixRlimit]) -> Limits {
    let mut limits = Limits::default();
    for limit in all {
        if let Some(resource) = resource(limit.typ()) {
            limits.set(resource, Limit { soft: limit.soft(), hard: limit.hard() });
        }
    }
    limits
}

fn resource(kind: PosixRlimitType) -> Option<Resource> {
    Some(match kind {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::FileSize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Resident,
        PosixRlimitType::RlimitNproc => Resource::Processes,
        PosixRlimitType::RlimitNofile => Resource::Files,
        PosixRlimitType::RlimitMemlock => Resource::LockedMemory,
        PosixRlimitType::RlimitAs => Resource::AddressSpace,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::PendingSignals,
        PosixRlimitType::RlimitMsgqueue => Resource::MessageQueues,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::RealTimePriority,
        PosixRlimitType::RlimitRttime => Resource::RealTime,
    })
}

fn open_streams(kernel: &Arc<Kernel>, luggage: &Luggage, owner: &Credentials) -> Result<Arc<FdTable>> {
    let files = FdTable::new();
    for (number, stream) in (0..).zip(&luggage.streams) {
        let file = open_stream(kernel.vfs(), stream.clone(), owner);
        let inserted = file.and_then(|file| files.insert(file, FdFlags::empty(), number, u64::MAX));
        inserted.map_err(|errno| Error::Other(format!("open a standard stream: {errno}")))?;
    }
    Ok(files)
}
