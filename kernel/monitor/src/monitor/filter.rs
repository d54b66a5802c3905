//! The system calls that the monitor makes once it serves, and no others: docs/security.md counts them.
//!
//! A monitor that an application took over can reach no path (its root is empty), make no process, no socket and no
//! executable memory, and signal nobody outside its own pid namespace.
//!
//! All threads have the same list: whoever wakes a sleeping call runs it, so any of them may need any of it. A list per
//! thread would also be a second filter on the way of each call of an application.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use stockade_kernel_platform::TrapPath;
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
    // The host's streams, the protocol's connections, and /proc.
    "read",
    "write",
    "close",
    "fcntl",
    "fstat",
    "ppoll",
    "epoll_ctl",
    "epoll_pwait",
    "accept4",
    "recvmsg",
    "sendmsg",
    "openat",
    // Data of files that the file server opened.
    "pread64",
    "pwrite64",
    "ftruncate",
    "lseek",
    "statx",
    "fsync",
    // The pool, its files, and own memory.
    "fallocate",
    "fstatfs",
    "munmap",
    "madvise",
    "brk",
    // Threads, time, entropy.
    "futex",
    "sched_getaffinity",
    "set_robust_list",
    "rseq",
    "gettid",
    "rt_sigprocmask",
    "sigaltstack",
    "restart_syscall",
    "timerfd_settime",
    "clock_gettime",
    "getrandom",
    "exit",
    "exit_group",
];

/// Allowed with some arguments.
const PINNED: &[&str] = &["mmap", "mprotect", "clone", "ioctl", "prctl"];
/// Where thread and receiver share a processor because a reply does not choose one.
const PINNING: &[&str] = &["sched_setaffinity"];

/// All calls that the monitor can make.
pub(crate) fn calls() -> Vec<&'static str> {
    let mut all = [CALLS, PINNED, PINNING].concat();
    all.sort_unstable();
    all
}

/// PROT_EXEC
pub(crate) const PROT_EXEC: u64 = 4;
/// CLONE_THREAD
const CLONE_THREAD: u64 = 0x1_0000;
/// PR_SET_NAME, PR_SET_VMA
const PRCTLS: [u64; 2] = [15, 0x5356_4d41];
/// SECCOMP_IOCTL_NOTIF_RECV, _SEND, _ID_VALID, _ADDFD, _SET_FLAGS
const IOCTLS: [u64; 5] = [0xc050_2100, 0xc018_2101, 0x4008_2102, 0x4018_2103, 0x4008_2104];
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

/// Puts the filter on all threads of the monitor. The zygote was started before.
pub(super) fn install(path: TrapPath) -> Result<(), String> {
    install_list(&profile(path).map_err(|error| format!("make the filter: {error}"))?)
}

/// The same for any list.
pub(crate) fn install_list(profile: &LinuxSeccomp) -> Result<(), String> {
    let program = compile(profile).map_err(|error| format!("compile the filter: {error}"))?;
    let program = program.ok_or("the filter is empty")?;
    program.install_on_all_threads().map_err(|error| format!("install the filter: {error}"))
}

fn profile(path: TrapPath) -> Result<LinuxSeccomp, oci_spec::OciSpecError> {
    let mut rules = vec![
        allow(CALLS, Vec::new())?,
        allow(&["mmap"], vec![masked(2, PROT_EXEC, 0)?])?,
        allow(&["mprotect"], vec![masked(2, PROT_EXEC, 0)?])?,
        allow(&["clone"], vec![masked(0, CLONE_THREAD, CLONE_THREAD)?])?,
        // Its flags lie in memory, out of a filter's sight; the C library falls back to clone(2).
        rule(&["clone3"], LinuxSeccompAction::ScmpActErrno, Some(ENOSYS), Vec::new())?,
    ];
    if path != TrapPath::Sync {
        rules.push(allow(PINNING, Vec::new())?);
    }
    for request in IOCTLS {
        rules.push(allow(&["ioctl"], vec![equal(1, request)?])?);
    }
    for option in PRCTLS {
        rules.push(allow(&["prctl"], vec![equal(0, option)?])?);
    }
    list(rules)
}

/// What these rules do not allow fails.
pub(crate) fn list(rules: Vec<LinuxSyscall>) -> Result<LinuxSeccomp, oci_spec::OciSpecError> {
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .syscalls(rules)
        .build()
}

pub(crate) fn allow(names: &[&str], args: Vec<LinuxSeccompArg>) -> Result<LinuxSyscall, oci_spec::OciSpecError> {
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

pub(crate) fn masked(index: usize, mask: u64, value: u64) -> Result<LinuxSeccompArg, oci_spec::OciSpecError> {
    let argument = LinuxSeccompArgBuilder::default().index(index).value(mask).value_two(value);
    argument.op(LinuxSeccompOperator::ScmpCmpMaskedEq).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_compiles() {
        for path in [TrapPath::Sync, TrapPath::Pinned] {
            let profile = profile(path).expect("a profile");
            assert!(compile(&profile).expect("it compiles").is_some());
        }
    }

    #[test]
    fn the_rules_are_those_that_are_counted() {
        let profile = profile(TrapPath::Pinned).expect("a profile");
        let mut allowed: Vec<&str> = Vec::new();
        for rule in profile.syscalls().iter().flatten().filter(|rule| rule.action() == LinuxSeccompAction::ScmpActAllow)
        {
            allowed.extend(rule.names().iter().map(String::as_str));
        }
        allowed.sort_unstable();
        allowed.dedup();
        assert_eq!(allowed, calls());
    }

    /// The page names every call in backquotes, in the section of the monitor, and says how many there are.
    #[test]
    fn the_page_on_security_lists_them() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
        let page = std::fs::read_to_string(page).expect("read docs/security.md");
        let section = page.split("### The monitor's system calls").nth(1).expect("a section of the monitor");
        let section = section.split("\n#").next().unwrap_or_default();
        let mut named: Vec<&str> = section.split('`').skip(1).step_by(2).collect();
        named.sort_unstable();
        assert_eq!(named, calls());
        let count = format!("{} system calls", CALLS.len() + PINNED.len());
        assert!(section.contains(&count), "the page says how many: {count}");
    }
}
