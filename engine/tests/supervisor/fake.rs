//! A class without walls: an init is a plain child process of whoever creates it.
//!
//! Its state is a directory per container: `pid`, `begun` (made by start; the child waits for it), `frozen` while so.

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio as Redirect};

use oci_spec::runtime::{Capabilities, LinuxResources, LinuxSeccomp, Process};
use rustix::fs::{Mode, OFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use stockade_engine::{Backend, Directories, SupervisorCommand};
use stockade_sandbox::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, Error, ExecRequest, IsolationClass, OomWatch, Result,
    Runtime, SignalTarget, Stats, Status, Stdio, Terminal,
};

/// This program as the engine's binary.
pub struct FakeBackend;

impl Backend for FakeBackend {
    fn runtime(&self, class: IsolationClass, directories: &Directories) -> Result<Box<dyn Runtime>> {
        if class != IsolationClass::Native {
            let why = "this build lacks the class".to_owned();
            return Err(Error::Unsupported { class, what: "run".to_owned(), why });
        }
        Ok(Box::new(Fake { root: directories.class("fake") }))
    }

    fn default_seccomp(&self, _class: IsolationClass, _bounding: &Capabilities) -> Option<LinuxSeccomp> {
        Some(LinuxSeccomp::default())
    }

    fn prepare(&self, _class: IsolationClass) {}

    fn rest(&self) {}

    fn supervisor(&self) -> SupervisorCommand {
        SupervisorCommand {
            program: "/proc/self/exe".into(),
            arguments: vec!["supervise".into()],
            held: None,
            environment: None,
        }
    }
}

/// The class.
struct Fake {
    root: PathBuf,
}

impl Fake {
    fn dir(&self, id: &ContainerId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// The init's pid, if the container exists.
    fn pid(&self, id: &ContainerId) -> Result<Pid> {
        let text = fs::read_to_string(self.dir(id).join("pid")).map_err(|_| Error::NotFound)?;
        text.parse().ok().and_then(Pid::from_raw).ok_or(Error::NotFound)
    }

    /// Whether the init lives; a zombie does not.
    fn alive(&self, id: &ContainerId) -> Result<bool> {
        let pid = self.pid(id)?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        Ok(test_kill_process(pid).is_ok() && !stat.contains(") Z "))
    }

    fn spawn(process: &Process, terminal: Terminal, stdio: Stdio, gate: Option<PathBuf>) -> Result<u32> {
        let words = process.args().clone().unwrap_or_default();
        let program = words.first().cloned().unwrap_or_default();
        if !program.starts_with('/') || !std::path::Path::new(&program).exists() {
            return Err(Error::ExecutableNotFound(program));
        }
        // Waits for `start` as a real init does at its fifo.
        let script = "if [ -n \"$0\" ]; then while [ ! -e \"$0\" ]; do sleep 0.01; done; fi; exec \"$@\"";
        let gate = gate.map(|gate| gate.display().to_string()).unwrap_or_default();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, &gate]).args(words);
        command.env_clear().envs(process.env().iter().flatten().filter_map(|variable| variable.split_once('=')));
        match terminal {
            Terminal::None => {
                command.process_group(0);
                command.stdin(stdio.stdin.map_or_else(Redirect::null, Redirect::from));
                command.stdout(stdio.stdout.map_or_else(Redirect::null, Redirect::from));
                command.stderr(stdio.stderr.map_or_else(Redirect::null, Redirect::from));
            }
            Terminal::Console(socket) => {
                let slave = send_terminal(&socket).map_err(|error| Error::os("open a terminal", error))?;
                let copy = || slave.try_clone().map(Redirect::from).unwrap_or_else(|_| Redirect::null());
                command.process_group(0).stdin(copy()).stdout(copy()).stderr(copy());
            }
        }
        Ok(command.spawn().map_err(|error| Error::os("spawn", error))?.id())
    }
}

/// Opens a terminal, sends its master, and returns its slave.
fn send_terminal(socket: &std::os::unix::net::UnixStream) -> std::io::Result<OwnedFd> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    // The caller leads a session: the terminal must not become its own.
    let slave = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [master.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(socket, &[IoSlice::new(name.to_bytes())], &mut control, SendFlags::empty())?;
    Ok(slave)
}

impl Runtime for Fake {
    fn class(&self) -> IsolationClass {
        IsolationClass::Native
    }

    fn create(&self, id: &ContainerId, request: CreateRequest) -> Result<u32> {
        let dir = self.dir(id);
        if dir.exists() {
            return Err(Error::AlreadyExists);
        }
        fs::create_dir_all(&dir).map_err(|error| Error::os("create", error))?;
        let spec = serde_json::to_string(&request.spec).unwrap_or_default();
        fs::write(dir.join("spec.json"), spec).map_err(|error| Error::os("write", error))?;
        let process = request.spec.process().clone().ok_or_else(|| Error::InvalidConfig("no process".into()))?;
        let pid = Self::spawn(&process, request.terminal, request.stdio, Some(dir.join("begun")))?;
        fs::write(dir.join("pid"), pid.to_string()).map_err(|error| Error::os("write", error))?;
        Ok(pid)
    }

    fn start(&self, id: &ContainerId) -> Result<()> {
        fs::write(self.dir(id).join("begun"), "").map_err(|error| Error::os("start", error))
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<u32> {
        if !self.alive(id)? {
            return Err(Error::NotRunning);
        }
        Self::spawn(&request.process, request.terminal, request.stdio, None)
    }

    fn signal(&self, id: &ContainerId, signal: i32, _target: SignalTarget) -> Result<()> {
        if !self.alive(id)? {
            return Err(Error::NotRunning);
        }
        let signal = Signal::from_named_raw(signal).ok_or(Error::NotRunning)?;
        kill_process_group(self.pid(id)?, signal).map_err(|error| Error::os("kill", error))
    }

    fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        let alive = self.alive(id)?;
        Ok(ContainerState {
            oci_version: "1.2.0".to_owned(),
            id: id.clone(),
            pid: u32::try_from(self.pid(id)?.as_raw_nonzero().get()).unwrap_or(0),
            status: if alive { Status::Running } else { Status::Stopped },
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            created: String::new(),
            annotations: Default::default(),
            owner: String::new(),
        })
    }

    fn list(&self) -> Result<Vec<ContainerState>> {
        Ok(Vec::new())
    }

    fn pause(&self, id: &ContainerId) -> Result<()> {
        fs::write(self.dir(id).join("frozen"), "").map_err(|error| Error::os("pause", error))?;
        self.signal(id, Signal::STOP.as_raw(), SignalTarget::All)
    }

    fn resume(&self, id: &ContainerId) -> Result<()> {
        fs::remove_file(self.dir(id).join("frozen")).map_err(|_| Error::NotPaused)?;
        self.signal(id, Signal::CONT.as_raw(), SignalTarget::All)
    }

    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        let text = serde_json::to_string(resources).unwrap_or_default();
        fs::write(self.dir(id).join("limits"), text).map_err(|error| Error::os("update", error))
    }

    fn stats(&self, _id: &ContainerId) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>> {
        Ok(vec![self.state(id)?.pid])
    }

    fn watch_oom(&self, _id: &ContainerId) -> Result<Box<dyn OomWatch>> {
        Err(Error::Other("memory does not run out here".to_owned()))
    }

    fn delete(&self, id: &ContainerId, _mode: DeleteMode) -> Result<()> {
        if let Ok(pid) = self.pid(id) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = fs::remove_dir_all(self.dir(id));
        Ok(())
    }
}
