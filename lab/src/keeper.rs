//! The thread that owns the lab's processes. A parent-death signal is sent when the *thread* that started a process
//! ends (PR_SET_PDEATHSIG(2const)), so the starter must live as long as the lab: this one does nothing else.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

/// Processes that end with this value, and with the thread that made it.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What its processes are reached by.
pub(crate) struct Started {
    pub(crate) keeper: Keeper,
    /// The other end of their standard input.
    pub(crate) channel: UnixStream,
    /// Both of their output streams. It ends when all of them have.
    pub(crate) output: PipeReader,
}

/// Runs a shell script with words in mount and pid namespaces of its own, in which everything dies with the caller.
pub(crate) fn start(script: &'static str, words: Vec<String>) -> io::Result<Started> {
    let (channel, theirs) = UnixStream::pair()?;
    let (output, writer) = io::pipe()?;
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL", "/usr/bin/unshare", "--mount", "--propagation", "private"]);
    command.args(["--pid", "--fork", "--kill-child=KILL", "/bin/sh", "-c", script, "lab"]).args(words);
    command.stdin(OwnedFd::from(theirs)).stdout(writer.try_clone()?).stderr(writer);
    Ok(Started { keeper: Keeper::of(command)?, channel, output })
}

impl Keeper {
    fn of(mut command: Command) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let (started, result) = channel();
        let thread = thread::Builder::new().name("lab-keeper".into()).spawn(move || {
            let child = command.spawn();
            // The caller's copies of the streams' ends go with it: otherwise the output would never end.
            drop(command);
            match child {
                Ok(child) => {
                    let _ = started.send(Ok(()));
                    // Ends with the sender.
                    let _ = stopped.recv();
                    end(child);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        result.recv().map_err(io::Error::other)??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `unshare` takes its child along, and that is process 1 of their pid namespace.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
