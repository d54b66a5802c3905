//! The zygote: the stub program, started once per sandbox. It never runs application code; spaces are copies of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use stockade_kernel::platform::MachineInfo;
use stockade_kernel_stub::abi::{Hello, Welcome};

use crate::boot::{BootSocket, Spawner};
use crate::machine::{Options, StartError};
use crate::path::TrapPath;
use crate::procfs::{Expendable, Proc};
use crate::sys::{launch, process};
use crate::{filter, info};

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));
/// Above every number that the stub uses for itself.
const LOWEST_FD: i32 = 10;
/// exit(2) goes through the handler, so that the host's thread can be kept.
const EXIT: u32 = 60;
/// AT_HWCAP2 bit: user space can read the segment bases.
const HAS_FSGSBASE: u64 = 2;

/// Keeps the zygote: it is the child of a thread that lives as long as this, and dies with that thread.
#[derive(Debug)]
pub(crate) struct Zygote {
    pid: Pid,
    pidfd: OwnedFd,
    _keeper: mpsc::Sender<()>,
}

/// What the zygote said.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) hello: Hello,
    pub(crate) info: MachineInfo,
    pub(crate) boot: BootSocket,
}

/// Starts the program and puts the base filter on it.
pub(crate) fn start(options: &Options, path: TrapPath, proc: &Proc) -> Result<(Zygote, Started), StartError> {
    let program = program().map_err(StartError::at("write the stub program to a memory file"))?;
    let (boot, theirs) = BootSocket::pair().map_err(StartError::at("make the boot socket"))?;
    let moved = fcntl_dupfd_cloexec(&theirs, LOWEST_FD).map_err(StartError::at("move the boot socket"))?;
    // Only the program holds it from here on, so that its end is seen.
    drop(theirs);
    let zygote = keep(program, moved, options.groups.clone())?;
    let hello = boot.hello().map_err(StartError::at("hear from the stub program"))?;
    proc.set_expendable(zygote.pid, Expendable::First)
        .map_err(StartError::at("have applications die first for lack of memory"))?;
    let info = info::machine_info(&hello, zygote.pid, proc).map_err(StartError::at("read facts of the machine"))?;
    let welcome = Welcome { listener_flags: path.listener_flags(), has_fsgsbase: info.hwcap[1] & HAS_FSGSBASE };
    let trapped = [options.trapped_calls.as_slice(), &[EXIT]].concat();
    let sent = boot.welcome(&welcome, &filter::base(&hello, &trapped, &options.absent_calls));
    sent.map_err(StartError::at("send the base filter"))?;
    let started = Started { hello, info, boot };
    Ok((zygote, started))
}

fn program() -> io::Result<OwnedFd> {
    let file = memfd_create(c"stockade-stub", MemfdFlags::CLOEXEC)?;
    let mut rest = PROGRAM;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    Ok(fcntl_dupfd_cloexec(&file, LOWEST_FD)?)
}

/// Launches on a thread of its own: the host ends all stubs when the thread that is their parent ends.
fn keep(program: OwnedFd, boot: OwnedFd, groups: Arc<[OwnedFd]>) -> Result<Zygote, StartError> {
    let (keeper, dropped) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let run = move || {
        let launched = launch::launch(program.as_fd(), boot.as_fd(), &groups);
        drop((program, boot, groups));
        if tell.send(launched).is_ok() {
            // Nothing is ever sent: this returns when the zygote is dropped.
            let _dropped = dropped.recv();
        }
    };
    let thread = std::thread::Builder::new().name("stub-keeper".into()).stack_size(crate::THREAD_STACK_BYTES);
    thread.spawn(run).map_err(StartError::at("start a thread"))?;
    let launched = told.recv().map_err(|_| StartError::at("start a thread")(io::ErrorKind::BrokenPipe))?;
    let pid = launched.map_err(StartError::at("start the stub program"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(StartError::at("watch the stub program"))?;
    Ok(Zygote { pid, pidfd, _keeper: keeper })
}

impl Zygote {
    /// The zygote's only thread.
    pub(crate) fn spawner(&self) -> Spawner<'_> {
        Spawner { pid: self.pid, pidfd: self.pidfd.as_fd() }
    }

    /// Ends every stub, those too that no space is known of: all are in the zygote's process group. None need have
    /// ended when this returns.
    pub(crate) fn kill_all(&self) {
        let _gone = kill_process_group(self.pid, Signal::KILL);
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.kill_all();
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
        let _dead = rustix::event::poll(&mut fds, Some(&limit));
        process::reap(self.pidfd.as_fd());
    }
}
