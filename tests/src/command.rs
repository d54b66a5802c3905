//! Running programs with a deadline.
//!
//! Output goes to memory files, not pipes: a container that inherits them may outlive the command, and nobody blocks.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Longer than any healthy command takes on a busy two-core machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A command to run in a process group of its own, standard input empty unless given.
#[derive(Debug)]
pub struct Cmd {
    inner: Command,
    input: Option<Vec<u8>>,
    timeout: Duration,
}

/// What an ended command left.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; 128 + the signal's number when a signal ended it, as a shell counts.
    pub code: i32,
    /// Standard output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

/// A command under way. Dropping it kills its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    command: String,
    timeout: Duration,
    ended: bool,
}

/// Runs a program to its end and returns what it left, whatever its status.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Output {
    Cmd::new(program).args(args).run()
}

impl Cmd {
    /// A command with an empty standard input and a deadline of one minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = Command::new(program);
        inner.process_group(0);
        Self { inner, input: None, timeout: TIMEOUT }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(key, value);
        self
    }

    /// Unsets an environment variable.
    pub fn env_remove(mut self, key: &str) -> Self {
        self.inner.env_remove(key);
        self
    }

    /// Sets the working directory.
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Gives standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Sets the deadline, one minute unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs to the end, whatever its status; panics when the deadline passes.
    #[track_caller]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Runs to the end and panics unless the status is 0.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.exits(0)
    }

    /// Runs to the end and panics unless the status is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        let output = self.run();
        assert_eq!(output.code, code, "expected exit status {code}\n{output}");
        output
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(mut self) -> Running {
        let command = describe(&self.inner);
        let (stdout, stderr) = (memory_file("stdout"), memory_file("stderr"));
        self.inner.stdin(self.input.as_deref().map_or_else(Stdio::null, |bytes| input_file(bytes).into()));
        self.inner.stdout(share(&stdout)).stderr(share(&stderr));
        let child = self.inner.spawn().unwrap_or_else(|error| panic!("cannot start {command}: {error}"));
        Running { child, stdout, stderr, command, timeout: self.timeout, ended: false }
    }

    /// The plain command, for callers with plumbing of their own.
    pub fn into_inner(self) -> Command {
        self.inner
    }
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        content(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        content(&self.stderr)
    }

    /// Sends it a signal (not to its group).
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("signal a running command");
    }

    /// True once it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("ask for a child's status").is_some()
    }

    /// Waits for its end; when the deadline passes, kills its group and panics.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        if !self.ends_within(self.timeout) {
            self.kill_group();
            panic!("no end within {:?}\n{}", self.timeout, self.output(137));
        }
        let status = self.child.wait().expect("wait for a child");
        self.ended = true;
        self.output(shell_code(status))
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).expect("pidfd of a child");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).expect("a timeout of ordinary size");
        poll(&mut fds, Some(&timeout)).expect("poll a pidfd") > 0
    }

    fn kill_group(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
        self.ended = true;
    }

    fn output(&self, code: i32) -> Output {
        Output { code, stdout: self.stdout(), stderr: self.stderr(), command: self.command.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.kill_group();
        }
    }
}

impl Output {
    pub(crate) fn new(code: i32, stdout: String, stderr: String, command: String) -> Self {
        Self { code, stdout, stderr, command }
    }

    /// Standard output without the white space around it.
    pub fn out(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard error without the white space around it.
    pub fn err(&self) -> &str {
        self.stderr.trim()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr, command } = self;
        write!(f, "command: {command}\nstatus: {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

fn describe(command: &Command) -> String {
    let words: Vec<OsString> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_owned).collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

fn memory_file(name: &str) -> File {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC).expect("make a memory file");
    // Writers with descriptions of their own (a shell's 2>&1 on /dev/stderr) must not overwrite each other.
    fcntl_setfl(fd.as_fd(), OFlags::APPEND).expect("set O_APPEND");
    File::from(fd)
}

fn input_file(bytes: &[u8]) -> File {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC).expect("make a memory file"));
    file.write_all(bytes).and_then(|()| file.rewind()).expect("fill a memory file");
    file
}

fn share(file: &File) -> Stdio {
    file.try_clone().expect("duplicate a descriptor").into()
}

fn content(file: &File) -> String {
    let len = file.metadata().expect("size of a memory file").len();
    let mut bytes = vec![0; usize::try_from(len).expect("output fits in memory")];
    file.read_exact_at(&mut bytes, 0).expect("read a memory file");
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_streams_and_status() {
        let output = Cmd::new("sh").args(["-c", "cat; echo err >&2; exit 3"]).input("in").exits(3);
        assert_eq!((output.out(), output.err()), ("in", "err"));
        assert_eq!(run("sh", &["-c", "kill -9 $$"]).code, 137);
    }

    #[test]
    #[should_panic(expected = "no end within")]
    fn a_deadline_ends_the_whole_group() {
        Cmd::new("sh").args(["-c", "sleep 60 & sleep 60"]).timeout(Duration::from_millis(50)).run();
    }

    #[test]
    fn output_can_be_read_while_it_runs() {
        let running = Cmd::new("sh").args(["-c", "echo up; sleep 60"]).spawn();
        crate::wait_until("the first line", TIMEOUT, || running.stdout() == "up\n");
    }
}
