//! /proc/sys (proc_sys(5)): the settings that programs read. Names of the container can be changed; all else is as the
//! sandbox was made.

mod fs;
mod kernel;
mod net;
mod random;
mod vm;

use super::ProcSystem;
use crate::fs::synthetic::{Directory, Entry};

pub(super) static SYS: Directory<ProcSystem> = Directory::of(&[
    Entry::directory("abi", &Directory::of(&[value("vsyscall32", "1\n")])),
    Entry::directory("debug", &Directory::of(&[value("exception-trace", "1\n")])),
    Entry::directory("dev", &Directory::of(&[])),
    Entry::directory("fs", &fs::FS),
    Entry::directory("kernel", &kernel::KERNEL),
    Entry::directory("net", &net::NET),
    Entry::directory("user", &USER),
    Entry::directory("vm", &vm::VM),
]);

static USER: Directory<ProcSystem> = Directory::of(&[
    value("max_cgroup_namespaces", "0\n"),
    value("max_fanotify_groups", "128\n"),
    value("max_inotify_instances", "128\n"),
    value("max_inotify_watches", "65536\n"),
    value("max_ipc_namespaces", "0\n"),
    value("max_mnt_namespaces", "0\n"),
    value("max_net_namespaces", "0\n"),
    value("max_pid_namespaces", "0\n"),
    value("max_time_namespaces", "0\n"),
    value("max_user_namespaces", "0\n"),
    value("max_uts_namespaces", "0\n"),
]);

/// A setting that shows what holds.
const fn value(name: &'static str, text: &'static str) -> Entry<ProcSystem> {
    Entry::constant(name, text).mode(0o644)
}

/// A fact.
const fn fact(name: &'static str, text: &'static str) -> Entry<ProcSystem> {
    Entry::constant(name, text)
}
