//! A running lab.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use crate::keeper::{self, Keeper};
use crate::tail::Tail;
use crate::wire::{Command, Order, Report, Stream};
use crate::{initramfs, qemu};

/// A boot takes five seconds; on a machine that is busy with other work, many times that.
const BOOT_TIMEOUT: Duration = Duration::from_secs(240);

/// How long a command that was killed may take to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the lab may take between two parts of what it says.
const FRAME_TIMEOUT: Duration = Duration::from_secs(120);

/// What time is in the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The host's.
    Real,
    /// The number of executed instructions: the same for the same work, however busy the host is.
    Instructions,
}

/// How a lab is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that `cargo xtask setup` makes: `vmlinux` and `modules`.
    pub kernel: PathBuf,
    /// A folder for what is built once.
    pub cache: PathBuf,
    /// The host's program that runs [`crate::agent::main`] when its arguments are `lab agent`.
    pub agent: PathBuf,
    /// Processors; one where time is counted.
    pub cpus: u32,
    /// Memory.
    pub memory_mib: u32,
    /// What time is.
    pub time: Time,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The lab starts processes in namespaces of their own and mounts.
    #[error("the lab needs root")]
    NotRoot,
    /// A program or a file of the set-up.
    #[error("the lab needs {0}: run `cargo xtask setup` as root")]
    Absent(String),
    /// It is handed over on a command line.
    #[error("the lab's agent lies at {0}: its path must have no white space")]
    AgentPath(String),
    /// A step on the host failed.
    #[error("{0}")]
    Io(&'static str, #[source] io::Error),
    /// The machine ended or stalled.
    #[error("the lab did not come up ({why}); its last words:\n{console}")]
    NotUp {
        /// What happened to the channel.
        why: io::Error,
        /// Its console, and what QEMU and virtiofsd said.
        console: String,
    },
}

/// Why a command has no exit status.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such program, or its working directory is absent.
    #[error("cannot start {0}")]
    NotStarted(String),
    /// It was killed; the lab goes on.
    #[error("no end within {0:?}")]
    TimedOut(Duration),
    /// The machine is gone.
    #[error("the lab ended ({why}); its last words:\n{console}")]
    Gone {
        /// What happened to the channel.
        why: io::Error,
        /// Its console, and what QEMU and virtiofsd said.
        console: String,
    },
}

/// A lab. It ends when this is dropped, or when the process that booted it does, however it ends.
#[derive(Debug)]
pub struct Lab {
    channel: UnixStream,
    keeper: Option<Keeper>,
    output: Tail,
}

impl Lab {
    /// Boots one and waits until it is up.
    pub fn boot(settings: &Settings) -> Result<Self, BootError> {
        let mut lab = Self::start(settings)?;
        let ready = lab.receive(Instant::now() + BOOT_TIMEOUT);
        match ready {
            Ok(Report::Ready) => Ok(lab),
            Ok(_) => Err(lab.not_up(io::ErrorKind::InvalidData.into())),
            Err(why) => Err(lab.not_up(why)),
        }
    }

    fn start(settings: &Settings) -> Result<Self, BootError> {
        let (program, virtiofsd) = check(settings)?;
        let modules = settings.kernel.join("modules");
        let initramfs = initramfs::cached(&settings.cache, &modules)
            .map_err(|error| BootError::Io("cannot build the lab's initramfs", error))?;
        let place = settings.cache.join("run");
        std::fs::create_dir_all(&place).map_err(|error| BootError::Io("cannot make the lab's mount point", error))?;
        let words = [place.display().to_string(), virtiofsd.to_owned()];
        let words = words.into_iter().chain(qemu::words(program, settings, &initramfs)).collect();
        let started = keeper::start(qemu::START, words).map_err(|error| BootError::Io("cannot start QEMU", error))?;
        Ok(Self { channel: started.channel, keeper: Some(started.keeper), output: Tail::of(started.output) })
    }

    /// Runs a command to its end and returns its exit status (128 and the signal's number when a signal ended it). Its
    /// output goes to `sink` as it comes. Whatever it started ends with it.
    pub fn run(
        &mut self,
        command: &Command,
        timeout: Duration,
        mut sink: impl FnMut(Stream, &[u8]),
    ) -> Result<i32, RunError> {
        self.send(&Order::Run(command.clone()))?;
        let ended = self.follow(Instant::now() + timeout, &mut sink);
        match ended {
            Err(why) if is_timeout(&why) => {
                self.send(&Order::Kill)?;
                self.follow(Instant::now() + KILL_TIMEOUT, &mut sink).map_err(|why| self.gone(why))?;
                Err(RunError::TimedOut(timeout))
            }
            Err(why) => Err(self.gone(why)),
            Ok(Report::Failed(why)) => Err(RunError::NotStarted(why)),
            Ok(Report::Ended(code)) => Ok(code),
            Ok(_) => Err(self.gone(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Hands on output until something else comes.
    fn follow(&mut self, deadline: Instant, sink: &mut impl FnMut(Stream, &[u8])) -> io::Result<Report> {
        loop {
            match self.receive(deadline)? {
                Report::Output(stream, bytes) => sink(stream, &bytes),
                other => return Ok(other),
            }
        }
    }

    fn send(&mut self, order: &Order) -> Result<(), RunError> {
        order.write(&mut self.channel).map_err(|why| self.gone(why))
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Report> {
        wait_readable(&self.channel, deadline)?;
        // A frame that has begun is finished: half of it would make nonsense of the next.
        self.channel.set_read_timeout(Some(FRAME_TIMEOUT))?;
        Report::read(&mut self.channel)
    }

    fn gone(&mut self, why: io::Error) -> RunError {
        RunError::Gone { why, console: self.last_words() }
    }

    fn not_up(mut self, why: io::Error) -> BootError {
        BootError::NotUp { why, console: self.last_words() }
    }

    fn last_words(&mut self) -> String {
        self.end();
        self.output.text()
    }

    fn end(&mut self) {
        drop(self.keeper.take());
        self.output.wait();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end();
    }
}

fn check(settings: &Settings) -> Result<(&'static str, &'static str), BootError> {
    if !rustix::process::geteuid().is_root() {
        return Err(BootError::NotRoot);
    }
    let files = ["vmlinux", "modules/modules.dep"].map(|name| settings.kernel.join(name));
    if let Some(absent) = files.iter().find(|path| !path.exists()) {
        return Err(BootError::Absent(absent.display().to_string()));
    }
    let agent = settings.agent.display().to_string();
    if agent.contains(|c: char| c.is_whitespace() || c == '"') {
        return Err(BootError::AgentPath(agent));
    }
    qemu::programs().map_err(|absent| BootError::Absent(absent.to_owned()))
}

/// Waits until there is something to read.
fn wait_readable(channel: &UnixStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    match retry_on_intr(|| poll(&mut fds, Some(&timeout)))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}
