//! The lists, as data: the filters are made of them, and docs/reference shows them.
//!
//! Executable memory can be had by no thread: `mmap` and `mprotect` are allowed without PROT_EXEC only.

use super::Role;

/// One allowed call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its number.
    pub number: i64,
    /// With which arguments.
    pub only: Only,
    /// These arguments in words; empty where all are allowed.
    pub words: &'static str,
}

/// Which arguments a call may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// All.
    Any,
    /// One argument is one of these, with nothing in its upper half.
    Values {
        /// Which.
        index: u8,
        /// The values.
        values: &'static [u32],
    },
    /// One argument's lower half has one of these values under a mask.
    Masked {
        /// Which.
        index: u8,
        /// The bits that are compared.
        mask: u32,
        /// Their values.
        values: &'static [u32],
    },
}

const fn any(name: &'static str, number: libc::c_long) -> Call {
    Call { name, number, only: Only::Any, words: "" }
}

const fn values(
    name: &'static str,
    number: libc::c_long,
    index: u8,
    values: &'static [u32],
    words: &'static str,
) -> Call {
    Call { name, number, only: Only::Values { index, values }, words }
}

const fn without_exec(name: &'static str, number: libc::c_long) -> Call {
    let only = Only::Masked { index: 2, mask: PROT_EXEC, values: &[0] };
    Call { name, number, only, words: "not PROT_EXEC" }
}

const PROT_EXEC: u32 = 4;
const KVM_RUN: u32 = 0xae80;
/// All requests of KVM have this type (`KVMIO`).
const KVM_TYPE: u32 = 0xae00;
/// All requests of terminals have this type.
const TERMINAL_TYPE: u32 = 0x5400;
const TYPE_MASK: u32 = 0xff00;
const KVM_SET_GSI_ROUTING: u32 = 0x4008_ae6a;
const TUNSETOFFLOAD: u32 = 0x4004_54d0;
const FIONBIO: u32 = 0x5421;
const VCPU_REQUESTS: &[u32] = &[KVM_RUN, KVM_SET_GSI_ROUTING, TUNSETOFFLOAD];
const KVM_KVMCLOCK_CTRL: u32 = 0xaead;
const F_GETFD: u32 = 1;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_DUPFD_CLOEXEC: u32 = 1030;
const AF_UNIX: u32 = 1;

/// Every thread: its own memory, locks, time and end, and a line in the log.
pub const EVERY_THREAD: &[Call] = &[
    any("brk", libc::SYS_brk),
    without_exec("mmap", libc::SYS_mmap),
    without_exec("mprotect", libc::SYS_mprotect),
    any("munmap", libc::SYS_munmap),
    any("mremap", libc::SYS_mremap),
    any("madvise", libc::SYS_madvise),
    any("futex", libc::SYS_futex),
    any("sched_yield", libc::SYS_sched_yield),
    // How many arenas the allocator may have.
    any("sched_getaffinity", libc::SYS_sched_getaffinity),
    // The vDSO's way out where the host's clock cannot be read by programs.
    any("clock_gettime", libc::SYS_clock_gettime),
    // Keys of hash tables.
    any("getrandom", libc::SYS_getrandom),
    any("write", libc::SYS_write),
    any("close", libc::SYS_close),
    // Debug builds look whether a descriptor is open before they close it.
    values("fcntl", libc::SYS_fcntl, 1, &[F_GETFD], "F_GETFD"),
    any("restart_syscall", libc::SYS_restart_syscall),
    any("rt_sigreturn", libc::SYS_rt_sigreturn),
    any("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    any("sigaltstack", libc::SYS_sigaltstack),
    // A panic ends the process by a signal to itself.
    any("gettid", libc::SYS_gettid),
    any("getpid", libc::SYS_getpid),
    any("tgkill", libc::SYS_tgkill),
    any("exit", libc::SYS_exit),
    any("exit_group", libc::SYS_exit_group),
];

/// A processor: guest code, the I/O APIC, and devices whose driver comes, goes, or writes to the configuration.
const VCPU: &[Call] = &[
    values("ioctl", libc::SYS_ioctl, 1, VCPU_REQUESTS, "KVM_RUN, KVM_SET_GSI_ROUTING, TUNSETOFFLOAD"),
    // A device that is reset reads its timer and sets it.
    any("read", libc::SYS_read),
    any("timerfd_settime", libc::SYS_timerfd_settime),
    // A file server is given its queues, and gives them back.
    any("sendmsg", libc::SYS_sendmsg),
    any("recvmsg", libc::SYS_recvmsg),
    // Requests of a disk that is reset come to their end first.
    any("io_uring_enter", libc::SYS_io_uring_enter),
];

/// The devices: disks with a ring, taps, sockets, timers.
const DEVICES: &[Call] = &[
    any("epoll_wait", libc::SYS_epoll_wait),
    any("epoll_pwait", libc::SYS_epoll_pwait),
    any("epoll_ctl", libc::SYS_epoll_ctl),
    any("read", libc::SYS_read),
    any("writev", libc::SYS_writev),
    any("timerfd_settime", libc::SYS_timerfd_settime),
    // Sockets of the guest's connections.
    values("socket", libc::SYS_socket, 0, &[AF_UNIX], "AF_UNIX"),
    any("connect", libc::SYS_connect),
    any("accept4", libc::SYS_accept4),
    any("recvfrom", libc::SYS_recvfrom),
    any("sendto", libc::SYS_sendto),
    any("socketpair", libc::SYS_socketpair),
    any("shutdown", libc::SYS_shutdown),
    any("poll", libc::SYS_poll),
    any("ppoll", libc::SYS_ppoll),
    values("ioctl", libc::SYS_ioctl, 1, &[FIONBIO], "FIONBIO"),
    any("io_uring_enter", libc::SYS_io_uring_enter),
];

/// A disk without a ring.
const DISK: &[Call] = &[
    any("epoll_wait", libc::SYS_epoll_wait),
    any("epoll_pwait", libc::SYS_epoll_pwait),
    any("epoll_ctl", libc::SYS_epoll_ctl),
    any("read", libc::SYS_read),
    any("timerfd_settime", libc::SYS_timerfd_settime),
    any("preadv", libc::SYS_preadv),
    any("pwritev", libc::SYS_pwritev),
    any("fdatasync", libc::SYS_fdatasync),
    any("fallocate", libc::SYS_fallocate),
];

/// The owner of a container's machine: processes of the host, the guest's agent, streams between them.
const MONITOR: &[Call] = &[
    any("epoll_create1", libc::SYS_epoll_create1),
    any("epoll_wait", libc::SYS_epoll_wait),
    any("epoll_pwait", libc::SYS_epoll_pwait),
    any("epoll_pwait2", libc::SYS_epoll_pwait2),
    any("epoll_ctl", libc::SYS_epoll_ctl),
    any("accept4", libc::SYS_accept4),
    any("sendmsg", libc::SYS_sendmsg),
    any("recvmsg", libc::SYS_recvmsg),
    any("sendto", libc::SYS_sendto),
    any("recvfrom", libc::SYS_recvfrom),
    any("read", libc::SYS_read),
    any("shutdown", libc::SYS_shutdown),
    any("poll", libc::SYS_poll),
    any("ppoll", libc::SYS_ppoll),
    any("fstat", libc::SYS_fstat),
    // A stream of the guest.
    values("socketpair", libc::SYS_socketpair, 0, &[AF_UNIX], "AF_UNIX"),
    values("fcntl", libc::SYS_fcntl, 1, &[F_GETFL, F_SETFL, F_DUPFD_CLOEXEC], "F_GETFL, F_SETFL, F_DUPFD_CLOEXEC"),
    values("ioctl", libc::SYS_ioctl, 1, &[FIONBIO, KVM_KVMCLOCK_CTRL], "FIONBIO, KVM_KVMCLOCK_CTRL"),
    // Devices that come later: their limits' timers, the sizes of disks.
    any("timerfd_create", libc::SYS_timerfd_create),
    any("timerfd_settime", libc::SYS_timerfd_settime),
    any("lseek", libc::SYS_lseek),
    any("io_uring_enter", libc::SYS_io_uring_enter),
];

/// Answered with EACCES in all threads but the owner: the C library looks for a setting of the kernel's memory before
/// it gives memory back, and goes on without.
pub const REFUSED: &[Call] = &[any("openat", libc::SYS_openat)];

/// The owner: its clients, files that they name, snapshots, other threads.
const API: &[Call] = &[
    any("epoll_create1", libc::SYS_epoll_create1),
    any("epoll_wait", libc::SYS_epoll_wait),
    any("epoll_ctl", libc::SYS_epoll_ctl),
    any("eventfd2", libc::SYS_eventfd2),
    any("accept4", libc::SYS_accept4),
    any("read", libc::SYS_read),
    any("readv", libc::SYS_readv),
    any("writev", libc::SYS_writev),
    any("recvfrom", libc::SYS_recvfrom),
    any("sendto", libc::SYS_sendto),
    any("shutdown", libc::SYS_shutdown),
    values("fcntl", libc::SYS_fcntl, 1, &[F_GETFL, F_SETFL, F_DUPFD_CLOEXEC], "F_GETFL, F_SETFL, F_DUPFD_CLOEXEC"),
    // Disks, logs, metrics and snapshots that a client names.
    any("openat", libc::SYS_openat),
    any("fstat", libc::SYS_fstat),
    any("newfstatat", libc::SYS_newfstatat),
    any("statx", libc::SYS_statx),
    any("lseek", libc::SYS_lseek),
    any("pread64", libc::SYS_pread64),
    any("pwrite64", libc::SYS_pwrite64),
    any("ftruncate", libc::SYS_ftruncate),
    any("copy_file_range", libc::SYS_copy_file_range),
    any("fsync", libc::SYS_fsync),
    any("fdatasync", libc::SYS_fdatasync),
    any("rename", libc::SYS_rename),
    any("unlink", libc::SYS_unlink),
    // The state of a machine that stands still; the terminal as it was before.
    Call {
        name: "ioctl",
        number: libc::SYS_ioctl,
        only: Only::Masked { index: 1, mask: TYPE_MASK, values: &[KVM_TYPE, TERMINAL_TYPE] },
        words: "KVM's, terminals'",
    },
    any("timerfd_settime", libc::SYS_timerfd_settime),
    any("sendmsg", libc::SYS_sendmsg),
    any("recvmsg", libc::SYS_recvmsg),
    any("io_uring_enter", libc::SYS_io_uring_enter),
];

/// What is refused to a role and does not end the process.
pub fn refused_to(role: Role) -> &'static [Call] {
    if role == Role::Api { &[] } else { REFUSED }
}

/// What a role's filter is made of.
pub fn of(role: Role) -> &'static [&'static [Call]] {
    match role {
        Role::Vcpu => &[EVERY_THREAD, VCPU],
        Role::Devices => &[EVERY_THREAD, DEVICES],
        Role::Disk => &[EVERY_THREAD, DISK],
        Role::Monitor => &[EVERY_THREAD, MONITOR],
        Role::Api => &[EVERY_THREAD, API],
    }
}

/// The page docs/reference/vmm-host-calls.md.
pub fn page() -> String {
    let mut text = PAGE.to_owned();
    let row = |call: &Call| match call.words {
        "" => format!("`{}`", call.name),
        words => format!("`{}` ({words})", call.name),
    };
    let names = |list: &[Call]| list.iter().map(row).collect::<Vec<_>>().join(", ");
    text += "\n| thread | calls | beside those of every thread |\n|---|---|---|\n";
    text += &format!("| every thread | {} | {} |\n", EVERY_THREAD.len(), names(EVERY_THREAD));
    let roles = [
        (Role::Vcpu, "a processor (`vcpu N`)", VCPU),
        (Role::Devices, "devices (`devices`)", DEVICES),
        (Role::Disk, "a disk without io_uring (`disk`)", DISK),
        (Role::Monitor, "main thread of a container's monitor", MONITOR),
        (Role::Api, "API and owner", API),
    ];
    for (role, words, own) in roles {
        text += &format!("| {words} | {} | {} |\n", role.names().len(), names(own));
    }
    text += &format!("\nAll but the last are refused {}, with EACCES and without an end.\n", names(REFUSED));
    text
}

const PAGE: &str = "# System calls of machines: `stockade vmm`, monitors of class `vm`

The lists are those of `vm/vmm/src/seccomp/lists.rs`, which the filters are made of; a test there compares this page
with them. Each thread installs the filter of its role before the guest's first instruction; a call that is not on its
list ends the process. `--no-seccomp` goes without filters. Files, memory and the kernel's virtual machine are set up
before, and so are the disks' rings: what the kernel does for a ring passes no filter, and each is limited to reading,
writing, syncing and allocating (IORING_REGISTER_RESTRICTIONS).
";
