//! `create`, `run` and `start`.

use std::io;
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::process::set_child_subreaper;
use stockade_sandbox::{
    CgroupManager, CgroupParent, ContainerId, CreateRequest, DeleteMode, Error, PivotRoot, Result, Rootfs, Runtime,
    SANDBOX_ANNOTATION, STRACE_ANNOTATION, SessionKeyring, Stdio, Terminal, Trace,
};

use super::Context;
use super::bundle::{self, Bundle};
use super::console;
use super::foreground::Foreground;
use super::grammar::{Create, Global, Run};

/// `create`.
pub fn create(context: &Context, args: Create) -> Result<i32> {
    context.log.debug(&format!("create {}", args.id));
    let bundle = Bundle::load(&args.bundle)?;
    let terminal = detached_terminal(wants_terminal(&bundle), args.wiring.console_socket.as_deref())?;
    let runtime = context.new_container(&bundle.spec)?;
    let id = args.id.clone();
    runtime.create(&id, request(&context.global, args, bundle, terminal)?)?;
    Ok(0)
}

/// `run`: create and start, and unless detached stay until the end.
pub fn run(context: &Context, args: Run) -> Result<i32> {
    context.log.debug(&format!("run {}", args.create.id));
    let bundle = Bundle::load(&args.create.bundle)?;
    let runtime = context.new_container(&bundle.spec)?;
    if args.detach {
        run_detached(context, &*runtime, args, bundle)
    } else {
        run_attended(context, &*runtime, args, bundle)
    }
}

fn run_detached(context: &Context, runtime: &dyn Runtime, args: Run, bundle: Bundle) -> Result<i32> {
    let terminal = detached_terminal(wants_terminal(&bundle), args.create.wiring.console_socket.as_deref())?;
    let id = args.create.id.clone();
    runtime.create(&id, request(&context.global, args.create, bundle, terminal)?)?;
    runtime.start(&id).inspect_err(|_| discard(runtime, &id))?;
    Ok(0)
}

fn run_attended(context: &Context, runtime: &dyn Runtime, args: Run, bundle: Bundle) -> Result<i32> {
    refuse_console_socket(args.create.wiring.console_socket.as_deref())?;
    if !args.no_subreaper {
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|e| Error::os("become the reaper of orphans", e))?;
    }
    let (foreground, socket) = prepare(wants_terminal(&bundle))?;
    let id = args.create.id.clone();
    let terminal = socket.map_or(Terminal::None, Terminal::Console);
    let pid = runtime.create(&id, request(&context.global, args.create, bundle, terminal)?)?;
    let status = runtime.start(&id).and_then(|()| attend(foreground, pid));
    if !args.keep || status.is_err() {
        discard(runtime, &id);
    }
    status
}

/// `start`.
pub fn start(runtime: &dyn Runtime, id: &stockade_sandbox::ContainerId) -> Result<i32> {
    runtime.start(id)?;
    Ok(0)
}

/// Signals and, if wanted, a terminal for a process that this command stays with.
pub fn prepare(terminal: bool) -> Result<(Foreground, Option<std::os::unix::net::UnixStream>)> {
    Foreground::prepare(terminal).map_err(|e| Error::os("prepare the foreground", e))
}

/// Stays with a process.
pub fn attend(foreground: Foreground, pid: u32) -> Result<i32> {
    foreground.attend(pid).map_err(|e| Error::os("attend to the process", e))
}

/// The terminal of a process that outlives this command: someone else must take the master side.
pub fn detached_terminal(wanted: bool, socket: Option<&Path>) -> Result<Terminal> {
    match (wanted, socket) {
        (true, Some(socket)) => Ok(Terminal::Console(console::connect(socket)?)),
        (true, None) => {
            Err(Error::Other("cannot allocate tty if runc will detach without setting console socket".into()))
        }
        (false, Some(_)) => Err(console_socket_unused()),
        (false, None) => Ok(Terminal::None),
    }
}

/// This command takes the master side of a foreground process itself.
pub fn refuse_console_socket(socket: Option<&Path>) -> Result<()> {
    socket.map_or(Ok(()), |_| Err(console_socket_unused()))
}

fn console_socket_unused() -> Error {
    Error::Other("cannot use console socket if runc will not detach or allocate tty".to_owned())
}

fn wants_terminal(bundle: &Bundle) -> bool {
    bundle.spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false)
}

/// The first error is the one to report.
fn discard(runtime: &dyn Runtime, id: &stockade_sandbox::ContainerId) {
    let _ = runtime.delete(id, DeleteMode::Force);
}

fn request(global: &Global, args: Create, bundle: Bundle, terminal: Terminal) -> Result<CreateRequest> {
    let Bundle { dir, mut spec } = bundle;
    let listen_fds = bundle::listen_fds();
    if let Some(process) = spec.process_mut() {
        bundle::announce_listen_fds(process, listen_fds);
    }
    let (trace, sandbox) = (trace(&spec, &dir)?, sandbox(&spec)?);
    Ok(CreateRequest {
        bundle: dir,
        spec,
        rootfs: Rootfs::Bundle,
        user: None,
        terminal,
        stdio: Stdio::default(),
        preserve_fds: args.wiring.preserve_fds.saturating_add(listen_fds),
        pid_file: args.wiring.pid_file.map(|path| io_path(&path)),
        pivot_root: if args.no_pivot { PivotRoot::Move } else { PivotRoot::Pivot },
        keyring: if args.no_new_keyring { SessionKeyring::Inherit } else { SessionKeyring::New },
        cgroup_manager: if global.systemd_cgroup { CgroupManager::Systemd } else { CgroupManager::Cgroupfs },
        cgroup_parent: CgroupParent::Foreign,
        sandbox,
        trace,
    })
}

/// The container whose sandbox the bundle's is to join.
fn sandbox(spec: &Spec) -> Result<Option<ContainerId>> {
    let annotation = spec.annotations().as_ref().and_then(|annotations| annotations.get(SANDBOX_ANNOTATION));
    let invalid = |_| Error::InvalidConfig(format!("annotation {SANDBOX_ANNOTATION} is no container id"));
    annotation.map(|id| id.parse().map_err(invalid)).transpose()
}

/// What the annotation asks for. It names no path: whoever writes annotations need not be whoever owns the host.
fn trace(spec: &Spec, bundle: &Path) -> Result<Option<Trace>> {
    let annotation = spec.annotations().as_ref().and_then(|annotations| annotations.get(STRACE_ANNOTATION));
    match annotation.map(String::as_str) {
        None => Ok(None),
        Some("stderr") => Ok(Some(Trace::Stderr)),
        Some("file") => Ok(Some(Trace::File(bundle.join("strace.log")))),
        Some(other) => {
            Err(Error::InvalidConfig(format!("annotation {STRACE_ANNOTATION} is {other:?}: use stderr or file")))
        }
    }
}

/// Absolute, so that nobody who changes directory misreads it.
pub fn io_path(path: &Path) -> std::path::PathBuf {
    io::Result::unwrap_or(std::path::absolute(path), path.to_path_buf())
}
