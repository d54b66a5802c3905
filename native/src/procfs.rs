//! Reads and writes of /proc that nothing in a container's mounts can redirect.
//!
//! A hostile image or a racing container may put a symlink, a bind mount or a tmpfs where /proc/... is expected, so
//! that a write of a label or a sysctl goes elsewhere (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881). Every access
//! here starts at a descriptor that is known to be the root of a procfs, crosses no mount and follows no link.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat2};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use stockade_sandbox::Result;

use crate::fail::Context;

/// A procfs, held by its root.
#[derive(Debug)]
pub(crate) struct ProcFs {
    root: OwnedFd,
}

impl ProcFs {
    /// The procfs mounted at /proc, as the calling process sees it now.
    pub(crate) fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, "/proc", flags, Mode::empty()).at("open /proc")?;
        Self::from_root(root)
    }

    /// A procfs instance of the calling process's pid namespace that is mounted nowhere.
    pub(crate) fn detached() -> Result<Self> {
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).at("open a procfs")?;
        fsconfig_create(&context).at("make a procfs")?;
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).at("mount a detached procfs")?;
        Ok(Self { root })
    }

    fn from_root(root: OwnedFd) -> Result<Self> {
        if fstatfs(&root).at("stat /proc")?.f_type != PROC_SUPER_MAGIC {
            return Err(stockade_sandbox::Error::Other("/proc is not a procfs: mount one".into()));
        }
        Ok(Self { root })
    }

    /// Opens a file below, without following any link, `self` and `thread-self` excepted.
    pub(crate) fn open_file(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// Writes a file in one system call, as procfs files want it.
    pub(crate) fn write(&self, path: &str, text: &str) -> io::Result<()> {
        std::fs::File::from(self.open_file(path, OFlags::WRONLY)?).write_all(text.as_bytes())
    }
}

/// A process's start time in clock ticks since boot, field 22 of /proc/PID/stat, and how far its end has come. `None`
/// when there is no such process.
pub(crate) fn process_start(pid: u32) -> Option<ProcessStart> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

/// What identifies a process together with its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStart {
    pub ticks: u64,
    /// It has ended but was not waited for.
    pub ended: bool,
    /// It is about to end and has given its memory back. The init of a pid namespace stays so until every process of
    /// the namespace was waited for, by parents outside if need be (zap_pid_ns_processes in kernel/pid_namespace.c).
    pub spent: bool,
}

/// linux/sched.h.
const PF_EXITING: u64 = 0x4;

fn parse_stat(stat: &str) -> Option<ProcessStart> {
    // The command name may hold spaces and parentheses: fields count from the last one (proc_pid_stat(5)).
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let ticks = fields.nth(12)?.parse().ok()?;
    let has_memory = fields.next()? != "0";
    Some(ProcessStart { ticks, ended, spent: flags & PF_EXITING != 0 && !has_memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let check = |name: &str, state: &str, ended: bool, flags: u64, memory: u64, spent: bool| {
            let line = format!("7 ({name}) {state} 1 7 7 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 4242 {memory} 1");
            assert_eq!(parse_stat(&line), Some(ProcessStart { ticks: 4242, ended, spent }), "{line}");
        };
        check("sh", "S", false, 4_194_560, 99, false);
        check("a) Z 1 (b", "R", false, 4_194_564, 99, false);
        check("x y", "Z", true, 4_228_364, 0, true);
        check("sleep", "S", false, 4_195_596, 0, true);
        check("kworker", "I", false, 69_238_880, 0, false);
        assert_eq!(parse_stat("7 (sh"), None);
    }
}
