//! Numbers by the names of the manual's pages.

use alloc::string::String;
use core::fmt::Write;

use crate::signal::{Signal, SignalInfo};

/// Names of values, or of bits.
pub(super) type Names = &'static [(u64, &'static str)];

/// The low half is what Linux reads.
const INT: u64 = 0xffff_ffff;
const ACCESS_MODE: u64 = 3;

/// One value's name.
pub(super) fn name(names: Names, value: u64) -> String {
    let found = names.iter().find(|(known, _)| *known == value & INT);
    found.map_or_else(|| alloc::format!("{:#x}", value & INT), |(_, name)| (*name).into())
}

/// The names of all bits that are set; what has no name in hexadecimal.
pub(super) fn set(names: Names, value: u64) -> String {
    let mut text = String::new();
    let rest = join(&mut text, names, value & INT);
    if rest != 0 || text.is_empty() {
        append(&mut text, &zero_or_hex(names, rest));
    }
    text
}

fn zero_or_hex(names: Names, rest: u64) -> String {
    match names.iter().find(|(value, _)| *value == 0 && rest == 0) {
        Some((_, name)) => (*name).into(),
        None if rest == 0 => "0".into(),
        None => alloc::format!("{rest:#x}"),
    }
}

fn join(text: &mut String, names: Names, mut value: u64) -> u64 {
    for (bits, name) in names.iter().filter(|(bits, _)| *bits != 0) {
        if value & bits == *bits {
            append(text, name);
            value &= !bits;
        }
    }
    value
}

fn append(text: &mut String, part: &str) {
    if !text.is_empty() {
        text.push('|');
    }
    text.push_str(part);
}

/// Flags of open(2).
pub(super) fn open(value: u64) -> String {
    let mut text: String = match value & ACCESS_MODE {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    }
    .into();
    let rest = join(&mut text, OPEN, value & INT & !ACCESS_MODE);
    if rest != 0 {
        let _ = write!(text, "|{rest:#x}");
    }
    text
}

/// A signal's name.
pub(super) fn signal(number: i32) -> String {
    match Signal::new(number) {
        Ok(signal) if signal < Signal::RT_MIN => alloc::format!("{signal:?}"),
        Ok(signal) => alloc::format!("SIGRT_{}", signal.raw() - Signal::RT_MIN.raw()),
        Err(_) => alloc::format!("{number}"),
    }
}

/// `si_code` by name, where it means the same for all signals.
pub(super) fn signal_code(info: &SignalInfo) -> String {
    let code = info.code;
    match (info.signal, code) {
        (_, 0) => "SI_USER".into(),
        (_, 0x80) => "SI_KERNEL".into(),
        (_, -1) => "SI_QUEUE".into(),
        (_, -2) => "SI_TIMER".into(),
        (_, -6) => "SI_TKILL".into(),
        (Signal::CHLD, 1) => "CLD_EXITED".into(),
        (Signal::CHLD, 2) => "CLD_KILLED".into(),
        (Signal::CHLD, 3) => "CLD_DUMPED".into(),
        (Signal::CHLD, 5) => "CLD_STOPPED".into(),
        (Signal::CHLD, 6) => "CLD_CONTINUED".into(),
        (Signal::SEGV, 1) => "SEGV_MAPERR".into(),
        (Signal::SEGV, 2) => "SEGV_ACCERR".into(),
        _ => alloc::format!("{code}"),
    }
}

/// A status as wait(2) stores it.
pub(super) fn wait_status(status: u32) -> String {
    let signal = |number: u32| signal(i32::try_from(number).unwrap_or(0));
    match status & 0x7f {
        0 => alloc::format!("{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", (status >> 8) & 0xff),
        0x7f if status == 0xffff => "{WIFCONTINUED(s)}".into(),
        0x7f => alloc::format!("{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}", signal((status >> 8) & 0xff)),
        number => alloc::format!("{{WIFSIGNALED(s) && WTERMSIG(s) == {}}}", signal(number)),
    }
}

const OPEN: Names = &[
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "FASYNC"),
    (0o40_000, "O_DIRECT"),
    (0o100_000, "O_LARGEFILE"),
    (0o20_200_000, "O_TMPFILE"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

pub(super) const DESCRIPTOR: Names = &[(0o4000, "O_NONBLOCK"), (0o40_000, "O_DIRECT"), (0o2_000_000, "O_CLOEXEC")];

pub(super) const PROTECTION: Names = &[(0, "PROT_NONE"), (1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];

pub(super) const MAP: Names = &[
    (3, "MAP_SHARED_VALIDATE"),
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];

pub(super) const REMAP: Names = &[(1, "MREMAP_MAYMOVE"), (2, "MREMAP_FIXED"), (4, "MREMAP_DONTUNMAP")];

pub(super) const CLONE: Names = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1000, "CLONE_PIDFD"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (17, "SIGCHLD"),
];

pub(super) const AT: Names = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_REMOVEDIR"),
    (0x400, "AT_SYMLINK_FOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x2000, "AT_STATX_FORCE_SYNC"),
    (0x4000, "AT_STATX_DONT_SYNC"),
];

pub(super) const ACCESS: Names = &[(0, "F_OK"), (4, "R_OK"), (2, "W_OK"), (1, "X_OK")];

pub(super) const WHENCE: Names =
    &[(0, "SEEK_SET"), (1, "SEEK_CUR"), (2, "SEEK_END"), (3, "SEEK_DATA"), (4, "SEEK_HOLE")];

pub(super) const WAIT: Names = &[
    (1, "WNOHANG"),
    (2, "WSTOPPED"),
    (4, "WEXITED"),
    (8, "WCONTINUED"),
    (0x100_0000, "WNOWAIT"),
    (0x4000_0000, "__WALL"),
];

pub(super) const ID_TYPE: Names = &[(0, "P_ALL"), (1, "P_PID"), (2, "P_PGID"), (3, "P_PIDFD")];

pub(super) const HOW: Names = &[(0, "SIG_BLOCK"), (1, "SIG_UNBLOCK"), (2, "SIG_SETMASK")];

pub(super) const FCNTL: Names = &[
    (0, "F_DUPFD"),
    (1, "F_GETFD"),
    (2, "F_SETFD"),
    (3, "F_GETFL"),
    (4, "F_SETFL"),
    (5, "F_GETLK"),
    (6, "F_SETLK"),
    (7, "F_SETLKW"),
    (8, "F_SETOWN"),
    (9, "F_GETOWN"),
    (36, "F_OFD_GETLK"),
    (37, "F_OFD_SETLK"),
    (38, "F_OFD_SETLKW"),
    (1030, "F_DUPFD_CLOEXEC"),
    (1031, "F_SETPIPE_SZ"),
    (1032, "F_GETPIPE_SZ"),
    (1033, "F_ADD_SEALS"),
    (1034, "F_GET_SEALS"),
];

pub(super) const IOCTL: Names = &[
    (0x5401, "TCGETS"),
    (0x5402, "TCSETS"),
    (0x5403, "TCSETSW"),
    (0x5404, "TCSETSF"),
    (0x5405, "TCGETA"),
    (0x5406, "TCSETA"),
    (0x5407, "TCSETAW"),
    (0x5408, "TCSETAF"),
    (0x540e, "TIOCSCTTY"),
    (0x540f, "TIOCGPGRP"),
    (0x5410, "TIOCSPGRP"),
    (0x5413, "TIOCGWINSZ"),
    (0x5414, "TIOCSWINSZ"),
    (0x541b, "FIONREAD"),
    (0x5421, "FIONBIO"),
    (0x5422, "TIOCNOTTY"),
    (0x5450, "FIONCLEX"),
    (0x5451, "FIOCLEX"),
];

pub(super) const LOCK: Names = &[(1, "LOCK_SH"), (2, "LOCK_EX"), (4, "LOCK_NB"), (8, "LOCK_UN")];

pub(super) const FAMILY: Names =
    &[(0, "AF_UNSPEC"), (1, "AF_UNIX"), (2, "AF_INET"), (10, "AF_INET6"), (16, "AF_NETLINK"), (17, "AF_PACKET")];

pub(super) const SOCKET: Names = &[
    (5, "SOCK_SEQPACKET"),
    (3, "SOCK_RAW"),
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (0o4000, "SOCK_NONBLOCK"),
    (0o2_000_000, "SOCK_CLOEXEC"),
];

pub(super) const MESSAGE: Names = &[
    (1, "MSG_OOB"),
    (2, "MSG_PEEK"),
    (0x20, "MSG_TRUNC"),
    (0x40, "MSG_DONTWAIT"),
    (0x100, "MSG_WAITALL"),
    (0x4000, "MSG_NOSIGNAL"),
    (0x4000_0000, "MSG_CMSG_CLOEXEC"),
];

pub(super) const SHUT: Names = &[(0, "SHUT_RD"), (1, "SHUT_WR"), (2, "SHUT_RDWR")];

pub(super) const LEVEL: Names = &[(0, "SOL_IP"), (1, "SOL_SOCKET"), (6, "SOL_TCP"), (17, "SOL_UDP"), (41, "SOL_IPV6")];

pub(super) const EPOLL: Names = &[(1, "EPOLL_CTL_ADD"), (2, "EPOLL_CTL_DEL"), (3, "EPOLL_CTL_MOD")];

pub(super) const FUTEX: Names = &[
    (0, "FUTEX_WAIT"),
    (1, "FUTEX_WAKE"),
    (3, "FUTEX_REQUEUE"),
    (5, "FUTEX_WAKE_OP"),
    (6, "FUTEX_LOCK_PI"),
    (7, "FUTEX_UNLOCK_PI"),
    (8, "FUTEX_TRYLOCK_PI"),
    (128, "FUTEX_WAIT_PRIVATE"),
    (129, "FUTEX_WAKE_PRIVATE"),
    (134, "FUTEX_LOCK_PI_PRIVATE"),
    (135, "FUTEX_UNLOCK_PI_PRIVATE"),
    (136, "FUTEX_TRYLOCK_PI_PRIVATE"),
    (137, "FUTEX_WAIT_BITSET_PRIVATE"),
];

pub(super) const ADVICE: Names = &[
    (0, "MADV_NORMAL"),
    (1, "MADV_RANDOM"),
    (2, "MADV_SEQUENTIAL"),
    (3, "MADV_WILLNEED"),
    (4, "MADV_DONTNEED"),
    (8, "MADV_FREE"),
    (9, "MADV_REMOVE"),
    (10, "MADV_DONTFORK"),
    (11, "MADV_DOFORK"),
    (14, "MADV_HUGEPAGE"),
    (15, "MADV_NOHUGEPAGE"),
    (16, "MADV_DONTDUMP"),
    (17, "MADV_DODUMP"),
    (21, "MADV_PAGEOUT"),
];

pub(super) const CLOCK: Names = &[
    (0, "CLOCK_REALTIME"),
    (1, "CLOCK_MONOTONIC"),
    (2, "CLOCK_PROCESS_CPUTIME_ID"),
    (3, "CLOCK_THREAD_CPUTIME_ID"),
    (4, "CLOCK_MONOTONIC_RAW"),
    (5, "CLOCK_REALTIME_COARSE"),
    (6, "CLOCK_MONOTONIC_COARSE"),
    (7, "CLOCK_BOOTTIME"),
];

pub(super) const TIMER: Names = &[(0, "0"), (1, "TIMER_ABSTIME")];

pub(super) const RESOURCE: Names = &[
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];

pub(super) const PRCTL: Names = &[
    (1, "PR_SET_PDEATHSIG"),
    (2, "PR_GET_PDEATHSIG"),
    (3, "PR_GET_DUMPABLE"),
    (4, "PR_SET_DUMPABLE"),
    (8, "PR_SET_KEEPCAPS"),
    (15, "PR_SET_NAME"),
    (16, "PR_GET_NAME"),
    (22, "PR_SET_SECCOMP"),
    (23, "PR_CAPBSET_READ"),
    (24, "PR_CAPBSET_DROP"),
    (36, "PR_SET_CHILD_SUBREAPER"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (39, "PR_GET_NO_NEW_PRIVS"),
    (47, "PR_CAP_AMBIENT"),
    (0x5356_4d41, "PR_SET_VMA"),
];

pub(super) const ARCH_PRCTL: Names =
    &[(0x1001, "ARCH_SET_GS"), (0x1002, "ARCH_SET_FS"), (0x1003, "ARCH_GET_FS"), (0x1004, "ARCH_GET_GS")];

pub(super) const RANDOM: Names = &[(1, "GRND_NONBLOCK"), (2, "GRND_RANDOM"), (4, "GRND_INSECURE")];

pub(super) const MEMFD: Names =
    &[(1, "MFD_CLOEXEC"), (2, "MFD_ALLOW_SEALING"), (4, "MFD_HUGETLB"), (8, "MFD_NOEXEC_SEAL"), (0x10, "MFD_EXEC")];

pub(super) const RENAME: Names = &[(1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE"), (4, "RENAME_WHITEOUT")];

pub(super) const MOUNT: Names = &[
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (0x20, "MS_REMOUNT"),
    (0x400, "MS_NOATIME"),
    (0x1000, "MS_BIND"),
    (0x2000, "MS_MOVE"),
    (0x4000, "MS_REC"),
    (0x8000, "MS_SILENT"),
    (0x2_0000, "MS_UNBINDABLE"),
    (0x4_0000, "MS_PRIVATE"),
    (0x8_0000, "MS_SLAVE"),
    (0x10_0000, "MS_SHARED"),
    (0x20_0000, "MS_RELATIME"),
];

pub(super) const UMOUNT: Names = &[(1, "MNT_FORCE"), (2, "MNT_DETACH"), (4, "MNT_EXPIRE"), (8, "UMOUNT_NOFOLLOW")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_names() {
        assert_eq!(set(PROTECTION, 0), "PROT_NONE");
        assert_eq!(set(PROTECTION, 3), "PROT_READ|PROT_WRITE");
        assert_eq!(set(MAP, 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(set(AT, 0x8000_0000), "0x80000000");
        assert_eq!(set(AT, 0), "0");
        assert_eq!(open(0o2_000_101), "O_WRONLY|O_CREAT|O_CLOEXEC");
        assert_eq!(set(SOCKET, 5), "SOCK_SEQPACKET");
    }

    #[test]
    fn statuses_are_told_as_macros() {
        assert_eq!(wait_status(0x300), "{WIFEXITED(s) && WEXITSTATUS(s) == 3}");
        assert_eq!(wait_status(9), "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}");
        assert_eq!(wait_status(0x137f), "{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}");
    }
}
