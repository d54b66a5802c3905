//! Process 1 of the lab: runs the commands that the host sends, one after the other.
//!
//! A command ends when its process does; what it left running is killed then, so that no command meets another's
//! processes. When the host goes away, the lab powers off.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use rustix::system::{RebootCommand, reboot};

use crate::wire::{Command, Order, Report, Stream};

const PORT: &str = "/dev/lab";

/// Where a command's temporary files go: an overlay's upper directory can lie there, and not in /tmp.
const TMPDIR: &str = "/var/tmp";

/// Serves until the host is gone, then powers off. It must be process 1 of the lab.
pub fn main() -> io::Result<()> {
    if !getpid().is_init() || !Path::new(PORT).exists() {
        return Err(io::Error::other("this is the lab's process 1: start it by `cargo xtask lab run`"));
    }
    rustix::mount::mount_change(
        "/",
        rustix::mount::MountPropagationFlags::SHARED | rustix::mount::MountPropagationFlags::REC,
    )?;
    let result = serve();
    if let Err(error) = &result {
        let _ = fs::write("/dev/console", format!("lab: {error}\n"));
    }
    rustix::fs::sync();
    Ok(reboot(RebootCommand::PowerOff)?)
}

fn serve() -> io::Result<()> {
    let port = File::options().read(true).write(true).open(PORT)?;
    let orders = read_orders(port.try_clone()?);
    let port = Port(Arc::new(Mutex::new(port)));
    port.report(&Report::Ready)?;
    for command in orders {
        let report = run(&command, &port).unwrap_or_else(|error| Report::Failed(error.to_string()));
        port.report(&report)?;
    }
    Ok(())
}

/// Hands on the commands; ends with the host.
fn read_orders(mut port: File) -> Receiver<Command> {
    let (sender, receiver): (Sender<Command>, _) = channel();
    thread::spawn(move || {
        while let Ok(order) = Order::read(&mut port) {
            match order {
                Order::Run(command) => drop(sender.send(command)),
                Order::Kill => kill_all(),
            }
        }
        // The command that runs, if any, ends with the lab.
        kill_all();
    });
    receiver
}

fn run(command: &Command, port: &Port) -> io::Result<Report> {
    let program = command.argv.first().ok_or(io::ErrorKind::InvalidInput)?;
    command.warm.iter().try_for_each(|path| fs::read(path).map(drop))?;
    let mut child = std::process::Command::new(program);
    child.args(&command.argv[1..]).env_clear().env("TMPDIR", TMPDIR).envs(&command.env).current_dir(&command.cwd);
    // A session of its own: nothing that it does to its group or terminal reaches process 1.
    child.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Report::Failed(format!("{program}: {error}"))),
    };
    let copies = port.copy_output(child.stdout.take(), child.stderr.take());
    let status = reap_until(Pid::from_child(&child))?;
    kill_all();
    reap_all();
    for copy in copies {
        copy.join().map_err(|_| io::Error::other("a stream's copier panicked"))?;
    }
    Ok(Report::Ended(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)))
}

/// Reaps orphans until the command itself ends.
fn reap_until(command: Pid) -> io::Result<ExitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => return Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills until nobody is left: who forks meanwhile is met in the next round.
fn reap_all() {
    while wait(WaitOptions::empty()).is_ok() {
        kill_all();
    }
}

/// Kills every process but this one; threads of the kernel have no program.
fn kill_all() {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids.filter_map(Pid::from_raw).filter(|pid| !pid.is_init()) {
        if fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).is_ok() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The port, shared by those who write to it.
#[derive(Clone)]
struct Port(Arc<Mutex<File>>);

impl Port {
    fn report(&self, report: &Report) -> io::Result<()> {
        let mut bytes = Vec::new();
        report.write(&mut bytes)?;
        self.0.lock().map_err(|_| io::Error::other("a writer panicked"))?.write_all(&bytes)
    }

    fn copy_output(&self, out: Option<ChildStdout>, err: Option<ChildStderr>) -> Vec<JoinHandle<()>> {
        let out = out.map(|from| self.copy(Stream::Stdout, from));
        out.into_iter().chain(err.map(|from| self.copy(Stream::Stderr, from))).collect()
    }

    fn copy(&self, stream: Stream, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
        let port = self.clone();
        thread::spawn(move || {
            let mut buffer = [0; 32 << 10];
            while let Ok(len @ 1..) = from.read(&mut buffer) {
                let _ = port.report(&Report::Output(stream, buffer[..len].to_vec()));
            }
        })
    }
}
