//! A private engine, and what the cases do with it again and again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use stockade_engine::{ContainerImage, ContainerOptions, Directories, Engine, EventsOptions, ListFilter, LogsOptions};

use crate::fake::FakeBackend;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine in a temporary directory; its containers go with it.
pub struct World {
    pub engine: Engine,
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directories = Directories::new(dir.path(), &dir.path().join("run")).expect("absolute paths");
        Self { engine: Engine::open(directories, Box::new(FakeBackend)).expect("an engine"), dir }
    }

    /// Creates a container that runs a shell script.
    pub fn script(&self, name: &str, script: &str, change: impl FnOnce(&mut ContainerOptions)) -> String {
        let mut options = ContainerOptions {
            name: Some(name.to_owned()),
            command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            ..Default::default()
        };
        change(&mut options);
        self.engine.create(options, image()).expect("create")
    }

    /// Creates and starts one.
    pub fn started(&self, name: &str, script: &str) -> String {
        let id = self.script(name, script, |_| {});
        self.engine.start(name).expect("start");
        id
    }

    /// One value of `inspect`'s document.
    pub fn inspect(&self, name: &str, pointer: &str) -> Value {
        let document = self.engine.inspect(name).expect("inspect").0;
        document.pointer(pointer).cloned().unwrap_or_else(|| panic!("no {pointer} in {document:#}"))
    }

    /// The status by `inspect`.
    pub fn status(&self, name: &str) -> String {
        self.inspect(name, "/State/Status").as_str().unwrap_or_default().to_owned()
    }

    /// The log's text.
    pub fn log(&self, name: &str, options: &LogsOptions) -> String {
        let mut text = String::new();
        self.engine
            .logs(name, options, &mut |line| {
                text.push_str(&line.text);
                Ok(())
            })
            .expect("logs");
        text
    }

    /// Actions of all events so far.
    pub fn actions(&self) -> Vec<String> {
        let mut actions = Vec::new();
        let options = EventsOptions { since_ns: Some(0), until_ns: Some(i64::MAX / 2), ..Default::default() };
        // Ends by the sink's error at the end of history.
        let history = fs::read_to_string(self.dir.path().join("run/events/log")).unwrap_or_default().lines().count();
        let _ = self.engine.events(&options, &mut |event| {
            actions.push(event.action.clone());
            if actions.len() == history { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
        actions
    }

    /// The pid of a container's supervisor, as the kernel knows it.
    pub fn supervisor(&self, id: &str) -> Option<u32> {
        let locks = fs::read_to_string("/proc/locks").expect("/proc/locks");
        let inode = fs::metadata(self.container(id).join("supervisor.lock")).ok()?.ino();
        let held = |line: &&str| line.contains("POSIX") && line.contains(&format!(":{inode} "));
        locks.lines().find(held)?.split_whitespace().nth(4)?.parse().ok()
    }

    /// A container's directory.
    pub fn container(&self, id: &str) -> PathBuf {
        self.dir.path().join("containers").join(id)
    }

    /// All names of containers.
    pub fn names(&self) -> Vec<String> {
        let mut filter = ListFilter::default();
        filter.all = true;
        self.engine.list(&filter).expect("list").into_iter().map(|summary| summary.name).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let options = stockade_engine::RemoveOptions { force: true, volumes: true };
        for name in self.names() {
            let _ = self.engine.remove(&name, options);
        }
    }
}

/// An image with nothing in it.
pub fn image() -> ContainerImage {
    ContainerImage { id: "sha256:0".to_owned(), name: "fake:latest".to_owned(), ..Default::default() }
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a process as no cleanup can foresee.
pub fn kill_9(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
}

/// Whether a process exists and is no zombie.
pub fn alive(pid: u64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
