//! Commands in the lab: a machine with a standard /dev/kvm and pure cgroup v2.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stockade_lab::{Command, Settings, Stream, Time};

use crate::fixtures::{deps_dir, fixture};
use crate::{Output, workspace_root};

/// The machine is emulated: a command takes ten times as long, and more when this machine is busy.
const TIMEOUT: Duration = Duration::from_secs(240);

/// A part of a program may boot a guest inside, which is emulated twice.
const PART_TIMEOUT: Duration = Duration::from_secs(480);

/// Environment variables of a part that runs in the lab: its name, and a folder of the host.
const PART: &str = "STOCKADE_LAB_PART";
const PART_DIR: &str = "STOCKADE_LAB_PART_DIR";

/// A booted lab; it ends with this.
#[derive(Debug)]
pub struct Lab(stockade_lab::Lab);

impl Lab {
    /// Boots one. The agent is this crate's program `lab-agent`: `env!("CARGO_BIN_EXE_lab-agent")`.
    #[track_caller]
    pub fn boot(agent: &str) -> Self {
        let settings = Settings {
            kernel: fixture("lab/kernel"),
            cache: fixture("lab"),
            agent: agent.into(),
            // QEMU before 8.1 translates code while another processor patches it, and Linux, which patches its own,
            // dies of a breakpoint that is gone ("Oops: int3").
            cpus: 1,
            memory_mib: 2048,
            time: Time::Real,
        };
        Self(stockade_lab::Lab::boot(&settings).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Runs a command to its end, whatever its status. What it starts ends with it; files that it makes stay until the
    /// lab ends.
    #[track_caller]
    pub fn run<S: AsRef<str>>(&mut self, argv: impl IntoIterator<Item = S>) -> Output {
        self.run_command(&command(argv))
    }

    /// [`Lab::run`] with a limit of the caller's own.
    #[track_caller]
    pub fn run_for<S: AsRef<str>>(&mut self, argv: impl IntoIterator<Item = S>, timeout: Duration) -> Output {
        self.run_within(&command(argv), timeout)
    }

    /// The same for a command with an environment of its own.
    #[track_caller]
    pub fn run_command(&mut self, command: &Command) -> Output {
        self.run_within(command, TIMEOUT)
    }

    #[track_caller]
    fn run_within(&mut self, command: &Command, timeout: Duration) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let result = self.0.run(command, timeout, |stream, bytes| match stream {
            Stream::Stdout => stdout.extend_from_slice(bytes),
            Stream::Stderr => stderr.extend_from_slice(bytes),
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let words = format!("in the lab: {}", command.argv.join(" "));
        match result {
            Ok(code) => Output::new(code, text(&stdout), text(&stderr), words),
            Err(error) => panic!("{words}: {error}\n{}\n{}", text(&stdout), text(&stderr)),
        }
    }

    /// Runs tests of another test program of this build, chosen by the words that its harness takes.
    #[track_caller]
    pub fn run_tests<S: AsRef<str>>(&mut self, program: &str, words: impl IntoIterator<Item = S>) -> Output {
        let program = test_program(program).display().to_string();
        let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self.run_command(&command([vec![program], words].concat()))
    }

    /// Runs the calling program's own test `test` in the lab, where [`Lab::part`] then gives `part` and `dir`.
    #[track_caller]
    pub fn run_part(&mut self, test: &str, part: &str, dir: &Path) -> Output {
        let program = std::env::current_exe().expect("a test knows its own path").display().to_string();
        let command = command([program.as_str(), "--exact", test, "--nocapture"]);
        let command = command.env(PART, part).env(PART_DIR, dir.display().to_string());
        self.run_within(&command, PART_TIMEOUT)
    }

    /// What [`Lab::run_part`] was called with, for a test that runs in the lab.
    pub fn part() -> Option<(String, PathBuf)> {
        Some((std::env::var(PART).ok()?, std::env::var_os(PART_DIR)?.into()))
    }
}

/// A command in the tree's root that finds the binaries and fixtures of this run.
fn command<S: AsRef<str>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(argv.into_iter().map(|word| word.as_ref().to_owned()));
    for key in ["STOCKADE_BIN_DIR", "STOCKADE_FIXTURES"] {
        if let Ok(value) = std::env::var(key) {
            command = command.env(key, value);
        }
    }
    command.cwd = workspace_root();
    command
}

/// The newest `target/PROFILE/deps/NAME-HASH`: cargo builds all tests before it runs any.
#[track_caller]
fn test_program(name: &str) -> PathBuf {
    let entries = std::fs::read_dir(deps_dir()).expect("list the built tests").flatten();
    let named = |path: &PathBuf| {
        let stem = path.file_name().and_then(OsStr::to_str).and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
        stem.is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit())) && is_program(path)
    };
    let found = entries.map(|entry| entry.path()).filter(named).max_by_key(|path| modified(path));
    found.unwrap_or_else(|| panic!("test program {name} is not built: run `cargo test --workspace --no-run`"))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

fn modified(path: &Path) -> (i64, i64) {
    path.metadata().map_or((0, 0), |found| (found.mtime(), found.mtime_nsec()))
}
