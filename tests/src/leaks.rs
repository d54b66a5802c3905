//! What a test, or a whole run of tests, leaves behind on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use crate::wait::holds_within;

/// How long the kernel and reparented processes may take to finish what a command began.
const GRACE: Duration = Duration::from_secs(5);

/// What can stay on a machine: mounts of this mount namespace, control groups, network interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks now.
    pub fn take() -> Self {
        let mounts = mounts().into_iter().map(|mount| format!("mount {}", mount.line));
        let cgroups = cgroups().into_iter().map(|dir| format!("control group {}", dir.display()));
        let interfaces = names_in("/sys/class/net").into_iter().map(|name| format!("network interface {name}"));
        Self(mounts.chain(cgroups).chain(interfaces).collect())
    }

    /// What is here now and was not then, once it had time to go away.
    pub fn new_since(&self) -> Vec<String> {
        let mut left = Vec::new();
        holds_within(GRACE, || {
            left = Self::take().0.difference(&self.0).cloned().collect();
            left.is_empty()
        });
        left
    }
}

/// Pids of every process below this one.
pub fn descendants() -> Vec<i32> {
    children_and_theirs().iter().map(|process| process.pid).collect()
}

/// Processes below this one, once they had time to end. The caller is a subreaper, so orphans are here too; dead ones
/// are reaped.
pub fn descendants_left() -> Vec<String> {
    let mut left = Vec::new();
    holds_within(GRACE, || {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        left = children_and_theirs().iter().map(Process::describe).collect();
        left.is_empty()
    });
    left
}

/// Waits until nothing that names `token` is left: no mount, control group or process. Returns what stays.
pub(crate) fn left_by(token: &str, cgroup_names: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    holds_within(GRACE, || {
        left = found(token, cgroup_names);
        left.is_empty()
    });
    left
}

/// Ends and removes what [`left_by`] finds, as well as root can.
pub(crate) fn remove(token: &str, cgroup_names: &[String]) {
    let groups = named_cgroups(token, cgroup_names);
    for group in &groups {
        thaw(group);
        names_in_file(&group.join("cgroup.procs")).for_each(kill);
    }
    named_processes(token).into_iter().for_each(|process| kill(process.pid));
    holds_within(GRACE, || named_processes(token).is_empty());
    for mount in mounts().into_iter().rev().filter(|mount| mount.line.contains(token)) {
        let _ = unmount(&mount.target, UnmountFlags::DETACH);
    }
    holds_within(GRACE, || {
        groups.iter().rev().for_each(|group| drop(fs::remove_dir(group)));
        groups.iter().all(|group| !group.exists())
    });
}

/// Frozen processes do not die (cgroup v1); the file is absent in other hierarchies.
fn thaw(group: &Path) {
    if let Ok(mut state) = fs::OpenOptions::new().write(true).open(group.join("freezer.state")) {
        let _ = state.write_all(b"THAWED");
    }
}

/// Waits until no process names `token`; true when it is so.
pub(crate) fn processes_end(token: &str) -> bool {
    holds_within(GRACE, || named_processes(token).is_empty())
}

/// Removes control groups that name `token` and hold nothing: container managers leave the parents that they make.
pub fn remove_empty_groups(token: &str) {
    for group in named_cgroups(token, &[]).iter().rev() {
        let _ = fs::remove_dir(group);
    }
}

/// True while a mount of this namespace names `token`.
pub(crate) fn is_mounted(token: &str) -> bool {
    mounts().iter().any(|mount| mount.line.contains(token))
}

fn found(token: &str, cgroup_names: &[String]) -> Vec<String> {
    let mounts =
        mounts().into_iter().filter(|mount| mount.line.contains(token)).map(|mount| format!("mount {}", mount.line));
    let groups = named_cgroups(token, cgroup_names).into_iter().map(|dir| format!("control group {}", dir.display()));
    let processes = named_processes(token).into_iter().map(|process| process.describe());
    mounts.chain(groups).chain(processes).collect()
}

struct Mount {
    target: PathBuf,
    line: String,
}

/// Mounts of this namespace in mount order (proc_pid_mountinfo(5)); ids are left out because they are reused.
fn mounts() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let fields: Vec<&str> = line.split(' ').collect();
    let target = fields.get(4)?.replace("\\040", " ");
    Some(Mount { target: target.into(), line: fields.get(3..)?.join(" ") })
}

/// Every control group of every mounted hierarchy, parents first.
fn cgroups() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for name in names_in("/sys/fs/cgroup") {
        let dir = Path::new("/sys/fs/cgroup").join(name);
        // cpu,cpuacct and the like are often links to one hierarchy.
        if dir.is_dir() && !dir.is_symlink() {
            collect_dirs(&dir, &mut all);
        }
    }
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    all.retain(|dir| !is_beside(&membership, dir));
    all
}

/// True for a group beside the one that this process lives in, unless that is the root: whoever made ours makes others,
/// and they come and go with other sessions on the machine.
fn is_beside(membership: &str, dir: &Path) -> bool {
    let path = dir.to_string_lossy();
    // HIERARCHY-ID:CONTROLLERS:PATH (cgroups(7)).
    membership.lines().filter_map(|line| line.splitn(3, ':').last()).filter(|own| *own != "/").any(|own| {
        let Some((parent, _)) = own.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) else { return false };
        let is_below = |group: &str| path.ends_with(group) || path.contains(&format!("{group}/"));
        path.contains(&format!("{parent}/")) && !is_below(own)
    })
}

fn collect_dirs(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.push(entry.path());
            collect_dirs(&entry.path(), all);
        }
    }
}

fn named_cgroups(token: &str, names: &[String]) -> Vec<PathBuf> {
    let ours = |dir: &PathBuf| {
        let path = dir.to_string_lossy();
        path.contains(token) || names.iter().any(|name| path.contains(name.as_str()))
    };
    cgroups().into_iter().filter(ours).collect()
}

struct Process {
    pid: i32,
    parent: i32,
    command: String,
}

impl Process {
    fn describe(&self) -> String {
        format!("process {}: {}", self.pid, self.command)
    }

    /// Its command line, environment or root mount names `token`; zombies have none of them.
    fn names(&self, token: &str) -> bool {
        let proc_dir = PathBuf::from(format!("/proc/{}", self.pid));
        let environ = fs::read(proc_dir.join("environ")).unwrap_or_default();
        let mountinfo = fs::read_to_string(proc_dir.join("mountinfo")).unwrap_or_default();
        let root = mountinfo.lines().filter(|line| line.split(' ').nth(4) == Some("/"));
        self.command.contains(token)
            || String::from_utf8_lossy(&environ).contains(token)
            || root.into_iter().any(|line| line.contains(token))
    }
}

fn processes() -> Vec<Process> {
    names_in("/proc").iter().filter_map(|name| name.parse().ok()).filter_map(process).collect()
}

fn process(pid: i32) -> Option<Process> {
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 4 is the parent; field 2, the name in parentheses, may hold anything (proc_pid_stat(5)).
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some(Process { pid, parent, command })
}

fn children_and_theirs() -> Vec<Process> {
    let (mut others, mut found) = (processes(), Vec::new());
    let mut parents = vec![my_pid()];
    while let Some(parent) = parents.pop() {
        let (children, rest) = others.into_iter().partition::<Vec<_>, _>(|process| process.parent == parent);
        parents.extend(children.iter().map(|process| process.pid));
        found.extend(children);
        others = rest;
    }
    found
}

fn my_pid() -> i32 {
    i32::try_from(std::process::id()).expect("a pid fits in i32")
}

fn named_processes(token: &str) -> Vec<Process> {
    processes().into_iter().filter(|process| process.pid != my_pid() && process.names(token)).collect()
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn names_in(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn names_in_file(file: &Path) -> impl Iterator<Item = i32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cmd;

    #[test]
    fn a_process_that_names_the_token_is_found_and_removed() {
        let token = "leak-token-7d1f";
        let _running = Cmd::new("sleep").arg("60").env("MARK", token).spawn();
        assert!(holds_within(GRACE, || found(token, &[]).len() == 1), "{:?}", found(token, &[]));
        remove(token, &[]);
        assert_eq!(left_by(token, &[]), Vec::<String>::new());
    }

    #[test]
    fn groups_of_other_sessions_are_not_ours() {
        let beside = |dir: &str| is_beside("4:memory:/sessions/one\n0::/\n", Path::new(dir));
        assert!(beside("/sys/fs/cgroup/memory/sessions/two"));
        assert!(!beside("/sys/fs/cgroup/memory/sessions/one") && !beside("/sys/fs/cgroup/memory/sessions/one/leaked"));
        assert!(!beside("/sys/fs/cgroup/memory/sessions") && !beside("/sys/fs/cgroup/memory/stockade/x"));
        assert!(!is_beside("4:memory:/one\n", Path::new("/sys/fs/cgroup/memory/leaked")));
    }

    #[test]
    fn mount_lines_keep_target_and_source() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw";
        let mount = parse_mount(line).expect("a valid line");
        assert_eq!(mount.target, Path::new("/mnt 2"));
        assert!(mount.line.starts_with("/mnt1") && mount.line.ends_with("/dev/root rw"), "{}", mount.line);
    }
}
