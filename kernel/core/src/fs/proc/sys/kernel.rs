//! /proc/sys/kernel.

use alloc::vec::Vec;

use super::{fact, random, value};
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::task::{Capabilities, Uts};

pub(super) static KERNEL: Directory<ProcSystem> = Directory::of(&[
    fact("arch", "x86_64\n"),
    value("auto_msgmni", "0\n"),
    fact("bootloader_type", "0\n"),
    fact("bootloader_version", "0\n"),
    value("cad_pid", "1\n").mode(0o600),
    fact("cap_last_cap", "40\n"),
    value("core_pattern", "core\n"),
    value("core_pipe_limit", "0\n"),
    value("core_uses_pid", "0\n"),
    value("ctrl-alt-del", "0\n"),
    value("dmesg_restrict", "1\n"),
    Entry::setting("domainname", domainname, set_domainname),
    Entry::setting("hostname", hostname, set_hostname),
    value("io_uring_disabled", "2\n"),
    value("kptr_restrict", "1\n"),
    Entry::directory("keys", &KEYS),
    value("msgmax", "8192\n"),
    value("msgmnb", "16384\n"),
    value("msgmni", "32000\n"),
    fact("ngroups_max", "65536\n"),
    Entry::text("ns_last_pid", last_pid).mode(0o644),
    value("numa_balancing", "0\n"),
    Entry::text("osrelease", |_, _| text(Uts::RELEASE)),
    Entry::text("ostype", |_, _| text(Uts::SYSNAME)),
    value("overflowgid", "65534\n"),
    value("overflowuid", "65534\n"),
    value("panic", "0\n"),
    value("panic_on_oops", "0\n"),
    value("perf_event_max_sample_rate", "100000\n"),
    value("perf_event_mlock_kb", "516\n"),
    value("perf_event_paranoid", "4\n"),
    value("pid_max", "32768\n"),
    value("print-fatal-signals", "0\n"),
    value("printk", "4\t4\t1\t7\n"),
    value("printk_ratelimit", "5\n"),
    value("printk_ratelimit_burst", "10\n"),
    Entry::directory("pty", &PTY),
    Entry::directory("random", &random::RANDOM),
    value("randomize_va_space", "2\n"),
    value("sched_autogroup_enabled", "0\n"),
    value("sched_cfs_bandwidth_slice_us", "5000\n"),
    value("sched_child_runs_first", "0\n"),
    value("sched_rr_timeslice_ms", "100\n"),
    value("sched_rt_period_us", "1000000\n"),
    value("sched_rt_runtime_us", "950000\n"),
    Entry::directory("seccomp", &SECCOMP),
    value("sem", "32000\t1024000000\t500\t32000\n"),
    value("shm_rmid_forced", "0\n"),
    value("shmall", "18446744073692774399\n"),
    value("shmmax", "18446744073692774399\n"),
    value("shmmni", "4096\n"),
    value("sysctl_writes_strict", "1\n"),
    value("tainted", "0\n"),
    Entry::text("threads-max", threads_max).mode(0o644),
    value("timer_migration", "1\n"),
    value("unprivileged_bpf_disabled", "2\n"),
    Entry::text("version", |_, _| text(Uts::VERSION)),
    Entry::directory("yama", &Directory::of(&[value("ptrace_scope", "1\n")])),
]);

static KEYS: Directory<ProcSystem> = Directory::of(&[
    value("gc_delay", "300\n"),
    value("maxbytes", "20000\n"),
    value("maxkeys", "200\n"),
    value("persistent_keyring_expiry", "259200\n"),
    value("root_maxbytes", "25000000\n"),
    value("root_maxkeys", "1000000\n"),
]);

static PTY: Directory<ProcSystem> =
    Directory::of(&[value("max", "4096\n"), fact("nr", "0\n"), value("reserve", "1024\n")]);

static SECCOMP: Directory<ProcSystem> =
    Directory::of(&[fact("actions_avail", "kill_process kill_thread errno allow\n"), value("actions_logged", "\n")]);

pub(super) fn line(value: impl core::fmt::Display) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{value}");
    text.finish()
}

fn text(value: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(value).bytes(b"\n");
    text.finish()
}

/// What the pids limit allows, or Linux' ceiling.
fn threads_max(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (_, limit) = system.namespaces.pids.usage();
    line(limit.unwrap_or(32_768))
}

fn last_pid(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(system.namespaces.pids.last())
}

fn hostname(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    text(&system.namespaces.uts.hostname())
}

fn domainname(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    text(&system.namespaces.uts.domainname())
}

fn set_hostname(system: &ProcSystem, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    system.namespaces.uts.set_hostname(new_name(opener, bytes)?);
    Ok(())
}

fn set_domainname(system: &ProcSystem, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    system.namespaces.uts.set_domainname(new_name(opener, bytes)?);
    Ok(())
}

/// A name for uname(2), up to the first newline and cut to its room (`proc_do_uts_string` of Linux).
fn new_name(opener: &Opener, bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    if !opener.credentials.has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let name = bytes.iter().copied().take_while(|byte| !matches!(byte, b'\n' | 0));
    Ok(name.take(Uts::NAME_BYTES_MAX).collect())
}
