//! The system calls that the monitor makes once it serves, and no others: docs/security.md counts them.
//!
//! A monitor that an application took over can reach no path (its root is empty), make no process, no socket and no
//! executable memory, and signal nobody outside its own pid namespace.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use stockade_native::seccomp::compile;

/// Allowed with any arguments.
const CALLS: &[&str] = &[
    // Applications: their memory, their signals, their ends.
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_open",
    "pidfd_send_signal",
    "kill",
    "tgkill",
    "rt_tgsigqueueinfo",
    "waitid",
    // The host's streams and the protocol's connections.
    "read",
    "write",
    "close",
    "fcntl",
    "ppoll",
    "poll",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "accept4",
    "recvmsg",
    "sendmsg",
    "openat",
    "lseek",
    "fstat",
    "newfstatat",
    "statx",
    // The pool, blobs, and own memory.
    "fallocate",
    "ftruncate",
    "munmap",
    "mremap",
    "madvise",
    "brk",
    // Threads, time, entropy.
    "futex",
    "sched_yield",
    "sched_getaffinity",
    "set_robust_list",
    "rseq",
    "gettid",
    "getpid",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "timerfd_settime",
    "clock_gettime",
    "clock_nanosleep",
    "getrandom",
    "exit",
    "exit_group",
];

/// Allowed with some arguments.
const PINNED: &[&str] = &["mmap", "mprotect", "clone", "ioctl", "prctl"];

/// All calls that the monitor can make.
pub(crate) fn calls() -> Vec<&'static str> {
    let mut all = [CALLS, PINNED].concat();
    all.sort_unstable();
    all
}

/// PROT_EXEC
const PROT_EXEC: u64 = 4;
/// CLONE_THREAD
const CLONE_THREAD: u64 = 0x1_0000;
/// PR_SET_NAME, PR_SET_VMA
const PRCTLS: [u64; 2] = [15, 0x5356_4d41];
/// SECCOMP_IOCTL_NOTIF_RECV, _SEND, _ID_VALID, _ADDFD, _SET_FLAGS
const IOCTLS: [u64; 5] = [0xc050_2100, 0xc018_2101, 0x4008_2102, 0x4018_2103, 0x4008_2104];
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

/// Puts the filter on all threads of the monitor. The zygote was started before.
pub(super) fn install() -> Result<(), String> {
    let profile = profile().map_err(|error| format!("make the monitor's filter: {error}"))?;
    let program = compile(&profile).map_err(|error| format!("compile the monitor's filter: {error}"))?;
    let program = program.ok_or("the monitor's filter is empty")?;
    program.install_on_all_threads().map_err(|error| format!("install the monitor's filter: {error}"))
}

fn profile() -> Result<LinuxSeccomp, oci_spec::OciSpecError> {
    let mut rules = vec![
        allow(CALLS, Vec::new())?,
        allow(&["mmap"], vec![masked(2, PROT_EXEC, 0)?])?,
        allow(&["mprotect"], vec![masked(2, PROT_EXEC, 0)?])?,
        allow(&["clone"], vec![masked(0, CLONE_THREAD, CLONE_THREAD)?])?,
        // Its flags lie in memory, out of a filter's sight; the C library falls back to clone(2).
        rule(&["clone3"], LinuxSeccompAction::ScmpActErrno, Some(ENOSYS), Vec::new())?,
    ];
    for request in IOCTLS {
        rules.push(allow(&["ioctl"], vec![equal(1, request)?])?);
    }
    for option in PRCTLS {
        rules.push(allow(&["prctl"], vec![equal(0, option)?])?);
    }
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .syscalls(rules)
        .build()
}

fn allow(names: &[&str], args: Vec<LinuxSeccompArg>) -> Result<LinuxSyscall, oci_spec::OciSpecError> {
    rule(names, LinuxSeccompAction::ScmpActAllow, None, args)
}

fn rule(
    names: &[&str],
    action: LinuxSeccompAction,
    errno: Option<u32>,
    args: Vec<LinuxSeccompArg>,
) -> Result<LinuxSyscall, oci_spec::OciSpecError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rule = LinuxSyscallBuilder::default().names(names).action(action).args(args);
    match errno {
        Some(errno) => rule.errno_ret(errno).build(),
        None => rule.build(),
    }
}

fn equal(index: usize, value: u64) -> Result<LinuxSeccompArg, oci_spec::OciSpecError> {
    let argument = LinuxSeccompArgBuilder::default().index(index).value(value);
    argument.op(LinuxSeccompOperator::ScmpCmpEq).build()
}

fn masked(index: usize, mask: u64, value: u64) -> Result<LinuxSeccompArg, oci_spec::OciSpecError> {
    let argument = LinuxSeccompArgBuilder::default().index(index).value(mask).value_two(value);
    argument.op(LinuxSeccompOperator::ScmpCmpMaskedEq).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_short_and_compiles() {
        let profile = profile().expect("a profile");
        assert!(compile(&profile).expect("it compiles").is_some());
        assert!(CALLS.len() <= 50, "{} calls: docs/security.md counts them", CALLS.len());
    }
}
