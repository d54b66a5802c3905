//! Which system calls of some processes the host's kernel really does: its tracer sees them behind every filter
//! (Documentation/trace/events.rst, raw_syscalls).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// Traces some tasks and those that they make, until it is dropped.
#[derive(Debug)]
pub struct HostCalls {
    mounted: TempDir,
    instance: PathBuf,
}

impl HostCalls {
    /// Begins; `name` is nobody else's.
    #[track_caller]
    pub fn of(name: &str, tasks: &[i32]) -> Self {
        let mounted = tempfile::tempdir().expect("make a directory");
        mount(c"none", mounted.path(), c"tracefs", MountFlags::empty(), None).expect("mount tracefs");
        let instance = mounted.path().join("instances").join(name);
        let calls = Self { mounted, instance };
        fs::create_dir(&calls.instance).expect("make a tracer of our own");
        let tasks: Vec<String> = tasks.iter().map(i32::to_string).collect();
        calls.set("buffer_size_kb", "16384");
        calls.set("options/event-fork", "1");
        calls.set("set_event_pid", &tasks.join(" "));
        calls.set("events/raw_syscalls/sys_enter/enable", "1");
        calls
    }

    #[track_caller]
    fn set(&self, file: &str, text: &str) {
        fs::write(self.instance.join(file), text).unwrap_or_else(|error| panic!("set {file} to {text}: {error}"));
    }

    /// How often each call was made so far.
    #[track_caller]
    pub fn counts(&self) -> BTreeMap<u32, usize> {
        self.set("events/raw_syscalls/sys_enter/enable", "0");
        let text = fs::read_to_string(self.instance.join("trace")).expect("read the trace");
        let number = |line: &str| line.split_once("sys_enter: NR ")?.1.split(' ').next()?.parse().ok();
        let mut counts = BTreeMap::new();
        text.lines().filter_map(number).for_each(|number: u32| *counts.entry(number).or_default() += 1);
        counts
    }
}

impl Drop for HostCalls {
    fn drop(&mut self) {
        // Without its directory the tracer is gone; a test that panics shows that first.
        let removed = fs::remove_dir(&self.instance);
        let unmounted = unmount(self.mounted.path(), UnmountFlags::DETACH);
        assert!(std::thread::panicking() || (removed.is_ok() && unmounted.is_ok()), "{removed:?} {unmounted:?}");
    }
}
