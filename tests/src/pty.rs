//! Programs on a pseudo-terminal.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::{Cmd, command::shell_code, wait_until};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A program that has a terminal as its controlling one, seen from the keyboard's side. Dropping it kills the program.
#[derive(Debug)]
pub struct Pty {
    child: Child,
    master: File,
    chunks: Receiver<Vec<u8>>,
    seen: String,
    matched: usize,
}

impl Pty {
    /// Starts `command` on a terminal of 24 rows and 80 columns.
    #[track_caller]
    pub fn spawn(command: Cmd) -> Self {
        let (master, slave) = open_pair();
        resize(&master, 24, 80);
        let mut command = on_terminal(&command.into_inner(), &slave);
        let child = command.spawn().expect("start a command on a terminal");
        drop((command, slave));
        let chunks = read_in_background(master.try_clone().expect("duplicate a descriptor"));
        Self { child, master, chunks, seen: String::new(), matched: 0 }
    }

    /// Types.
    #[track_caller]
    pub fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.master.write_all(keys.as_ref()).expect("write to a terminal");
    }

    /// Waits for `text` after what earlier calls matched, and returns the output up to and with it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + TIMEOUT;
        loop {
            if let Some(at) = self.seen[self.matched..].find(text) {
                let from = self.matched;
                self.matched += at + text.len();
                return self.seen[from..self.matched].to_owned();
            }
            match self.chunks.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.seen.push_str(&String::from_utf8_lossy(&chunk)),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} within {TIMEOUT:?}; seen: {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {text:?}; seen: {:?}", self.seen),
            }
        }
    }

    /// Asks the shell on it for the terminal's size until that is `size`, as stty(1) prints it. Those who pass a size
    /// on do it after the start, and in their own time.
    #[track_caller]
    pub fn expect_size(&mut self, size: &str) {
        wait_until(&format!("the size {size}"), TIMEOUT, || {
            self.send("stty size; echo si''zed\n");
            self.expect("sized").contains(size)
        });
    }

    /// Waits for root's shell in a container, on the first terminal there and of the size here.
    #[track_caller]
    pub fn expect_shell(&mut self) {
        self.expect("#");
        self.send("tty\n");
        self.expect("/dev/pts/0");
        self.expect_size("24 80");
    }

    /// Gives the terminal another size; the kernel sends SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// The terminal itself, to look at its modes.
    pub fn terminal(&self) -> impl AsFd + '_ {
        &self.master
    }

    /// The program's pid.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends the program a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal a program on a terminal");
    }

    /// Waits for the end: the exit status as a shell counts, and all output.
    #[track_caller]
    pub fn wait(mut self) -> (i32, String) {
        let end = Instant::now() + TIMEOUT;
        loop {
            match self.chunks.recv_timeout(end.saturating_duration_since(Instant::now()).min(Duration::from_millis(20)))
            {
                Ok(chunk) => self.seen.push_str(&String::from_utf8_lossy(&chunk)),
                Err(_) => {
                    if let Some(status) = self.child.try_wait().expect("ask for a child's status") {
                        // The reader may be behind; it says when the other side is closed.
                        while let Ok(chunk) = self.chunks.recv_timeout(Duration::from_secs(1)) {
                            self.seen.push_str(&String::from_utf8_lossy(&chunk));
                        }
                        return (shell_code(status), std::mem::take(&mut self.seen));
                    }
                }
            }
            assert!(Instant::now() < end, "no end within {TIMEOUT:?}; seen: {:?}", self.seen);
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn open_pair() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("open a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("unlock a terminal");
    let name = ptsname(&master, Vec::new()).expect("name of a terminal");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty()).expect("open a terminal's other side");
    (File::from(master), slave)
}

/// setsid(1) makes the terminal the controlling one and then executes the command in the same process. Tests that a
/// shell started in the background ignore Ctrl-C; what they start here does not.
fn on_terminal(command: &Command, slave: &OwnedFd) -> Command {
    let mut wrapped = Command::new("env");
    wrapped.args(["--default-signal", "setsid", "--ctty"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    let stream = || Stdio::from(slave.try_clone().expect("duplicate a descriptor"));
    wrapped.stdin(stream()).stdout(stream()).stderr(stream()).env("TERM", "xterm");
    wrapped
}

fn resize(master: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("resize a terminal");
}

fn read_in_background(mut master: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match master.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) if sender.send(buffer[..len].to_vec()).is_err() => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // EIO: the last descriptor of the other side was closed.
                Err(_) => break,
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_on_a_terminal_answers() {
        let mut pty = Pty::spawn(Cmd::new("sh").args(["-c", "read line; echo got $line; stty size </dev/tty; exit 4"]));
        pty.send("word\n");
        pty.expect("got word");
        let (code, output) = pty.wait();
        assert_eq!(code, 4);
        assert!(output.contains("24 80"), "{output:?}");
    }
}
