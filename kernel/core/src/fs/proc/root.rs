//! The top directory: files about the system, and a directory for each process.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::pid::{self, PidSubject};
use super::{ProcSystem, cpuinfo, lists, load, meminfo, net, sys, sysvipc, vmstat};
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Listed, Names, Node, Opener, Text};
use crate::task::{Pid, Task, Uts};
use crate::vfs::{Caller, FileKind, Inode, LinkTarget};

pub(super) static ROOT: Node<ProcSystem> = Node::Directory(&Directory { entries: ENTRIES, names: Some(PROCESSES) });

const ENTRIES: &[Entry<ProcSystem>] = &[
    Entry::constant("buddyinfo", ""),
    Entry::directory("bus", &Directory::of(&[])),
    Entry::constant("cgroups", lists::CGROUPS),
    Entry::constant("cmdline", "\n"),
    Entry::constant("consoles", ""),
    Entry::text("cpuinfo", cpuinfo::cpuinfo),
    Entry::constant("crypto", ""),
    Entry::constant("devices", lists::DEVICES),
    Entry::constant("diskstats", ""),
    Entry::constant("dma", " 4: cascade\n"),
    Entry::directory("driver", &Directory::of(&[])),
    Entry::constant("execdomains", "0-0\tLinux           \t[kernel]\n"),
    Entry::constant("fb", ""),
    Entry::text("filesystems", lists::filesystems),
    Entry::directory("fs", &Directory::of(&[])),
    Entry::text("interrupts", load::interrupts),
    Entry::constant("iomem", ""),
    Entry::constant("ioports", ""),
    Entry::directory("irq", &Directory::of(&[])),
    Entry::constant("kallsyms", ""),
    Entry::text("key-users", lists::key_users),
    Entry::constant("keys", ""),
    Entry::text("loadavg", load::loadavg),
    Entry::text("locks", lists::locks),
    Entry::text("meminfo", meminfo::meminfo),
    Entry::constant("misc", ""),
    Entry::constant("modules", ""),
    Entry::link("mounts", |_, _| Ok(LinkTarget::Text(b"self/mounts".to_vec()))),
    Entry::link("net", |_, _| Ok(LinkTarget::Text(b"self/net".to_vec()))),
    Entry::constant("partitions", "major minor  #blocks  name\n\n"),
    Entry::directory("pressure", &load::PRESSURE),
    Entry::link("self", own_process),
    Entry::text("softirqs", load::softirqs),
    Entry::text("stat", load::stat),
    Entry::constant("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    Entry::directory("sys", &sys::SYS),
    Entry::directory("sysvipc", &sysvipc::SYSVIPC),
    Entry::link("thread-self", own_thread),
    Entry::directory("tty", &lists::TTY),
    Entry::text("uptime", load::uptime),
    Entry::text("version", version),
    Entry::text("vmstat", vmstat::vmstat),
    Entry::text("zoneinfo", vmstat::zoneinfo),
];

/// The same with `subset=pid`.
pub(super) static PROCESSES_ONLY: Node<ProcSystem> =
    Node::Directory(&Directory { entries: OWN_ENTRIES, names: Some(PROCESSES) });

const OWN_ENTRIES: &[Entry<ProcSystem>] = &[Entry::link("self", own_process), Entry::link("thread-self", own_thread)];

const PROCESSES: Names<ProcSystem> = Names { lookup: find_process, list: list_processes };

/// The directory of the caller's network, behind /proc/PID/net.
pub(super) static NET: Node<ProcSystem> = Node::Directory(&net::NET);

fn version(_: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(Uts::SYSNAME).bytes(b" version ").bytes(Uts::RELEASE).bytes(b" (stockade@stockade) ");
    text.bytes(Uts::VERSION).bytes(b"\n");
    text.finish()
}

/// The caller, if it is a task of this container.
fn caller_here(system: &ProcSystem, caller: &Caller) -> Result<Arc<Task>, Errno> {
    let task = caller.task.clone().ok_or(Errno::ENOENT)?;
    if Arc::ptr_eq(task.process().namespaces(), &system.namespaces) { Ok(task) } else { Err(Errno::ENOENT) }
}

fn own_process(system: &ProcSystem, caller: &Caller) -> Result<LinkTarget, Errno> {
    let task = caller_here(system, caller)?;
    Ok(LinkTarget::Text(alloc::format!("{}", task.process().pid()).into_bytes()))
}

fn own_thread(system: &ProcSystem, caller: &Caller) -> Result<LinkTarget, Errno> {
    let task = caller_here(system, caller)?;
    Ok(LinkTarget::Text(alloc::format!("{}/task/{}", task.process().pid(), task.tid()).into_bytes()))
}

/// An id as a name: digits without a zero before (`name_to_int` of Linux).
pub(super) fn parse_id(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Threads are found under their own id too, but not listed.
fn find_process(system: &ProcSystem, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    let id = parse_id(name).filter(|id| *id > 0).ok_or(Errno::ENOENT)?;
    let pid = Pid::from_raw(id);
    let pids = &system.namespaces.pids;
    let subject = match pids.process(pid) {
        Some(process) => PidSubject::of_process(system.clone(), &process),
        None => PidSubject::of_task(system.clone(), &pids.task(pid).ok_or(Errno::ENOENT)?),
    };
    Ok(pid::process_directory(subject, directory))
}

fn list_processes(system: &ProcSystem, directory: u64, opener: &Opener) -> Result<Vec<Listed>, Errno> {
    let caller = opener.caller();
    let mut listed = Vec::new();
    for process in system.processes() {
        let subject = PidSubject::of_process(system.clone(), &process);
        if !subject.is_shown_to(&caller) {
            continue;
        }
        let name = alloc::format!("{}", process.pid()).into_bytes();
        let number = subject.number_below(directory);
        listed.push(Listed { name, number, kind: FileKind::Directory, at: process.pid().into() });
    }
    Ok(listed)
}
