//! Which system calls stubs can make of the host, as data: the base filter is made of these numbers, a test of the
//! filter finds no others allowed, the end-to-end tests compare what the host sees with them, and docs/rfcs/0001 shows
//! this table.

/// Where a call comes from, and what lets it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The base filter, whatever the instruction.
    Anywhere,
    /// The base filter, at the stub's sigreturn.
    Sigreturn,
    /// The base filter, at the stub's one system call instruction.
    Stub,
    /// The monitor, each call by itself.
    Monitor,
}

/// Calls of one kind of caller.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Who makes them.
    pub who: &'static str,
    /// What lets them through.
    pub gate: Gate,
    /// Names, numbers, and what arguments are let through.
    pub calls: &'static [(&'static str, u32, &'static str)],
    /// By what.
    pub pinned_by: &'static str,
}

pub(crate) const CLOSE: u32 = 3;
pub(crate) const RT_SIGRETURN: u32 = 15;
pub(crate) const SCHED_YIELD: u32 = 24;
pub(crate) const SENDMSG: u32 = 46;
pub(crate) const CLONE: u32 = 56;
pub(crate) const EXIT: u32 = 60;
pub(crate) const RT_SIGTIMEDWAIT: u32 = 128;
pub(crate) const PRCTL: u32 = 157;
pub(crate) const ARCH_PRCTL: u32 = 158;
pub(crate) const FUTEX: u32 = 202;
pub(crate) const RESTART_SYSCALL: u32 = 219;
pub(crate) const EXIT_GROUP: u32 = 231;
pub(crate) const SECCOMP: u32 = 317;
const MMAP: u32 = 9;
const MPROTECT: u32 = 10;
const MUNMAP: u32 = 11;
const MREMAP: u32 = 25;
const MINCORE: u32 = 27;
const MADVISE: u32 = 28;
const MLOCK: u32 = 149;
const MUNLOCK: u32 = 150;
const MEMBARRIER: u32 = 324;
const FUTEX_WAITV: u32 = 449;
const FUTEX_WAKE: u32 = 454;
const FUTEX_WAIT: u32 = 455;
const FUTEX_REQUEUE: u32 = 456;

/// All of them.
pub const OF_STUBS: &[Allowed] = &[
    Allowed {
        who: "application thread, anywhere",
        gate: Gate::Anywhere,
        calls: &[
            ("futex", FUTEX, "7 commands"),
            ("sched_yield", SCHED_YIELD, ""),
            ("restart_syscall", RESTART_SYSCALL, ""),
            ("arch_prctl", ARCH_PRCTL, "SET_FS, SET_GS"),
        ],
        pinned_by: "base filter",
    },
    Allowed {
        who: "application thread, at the stub's sigreturn",
        gate: Gate::Sigreturn,
        calls: &[("rt_sigreturn", RT_SIGRETURN, "")],
        pinned_by: "base filter, by instruction pointer",
    },
    Allowed {
        who: "application thread, at the stub's instruction: the one that the monitor expects",
        gate: Gate::Monitor,
        calls: &[
            ("mmap", MMAP, ""),
            ("munmap", MUNMAP, ""),
            ("mprotect", MPROTECT, ""),
            ("mremap", MREMAP, ""),
            ("madvise", MADVISE, ""),
            ("exit", EXIT, ""),
        ],
        pinned_by: "monitor, each compared",
    },
    Allowed {
        who: "application thread, directly: when the kernel says so",
        gate: Gate::Monitor,
        calls: &[
            ("munmap", MUNMAP, ""),
            ("mprotect", MPROTECT, ""),
            ("madvise", MADVISE, ""),
            ("mincore", MINCORE, ""),
            ("mlock", MLOCK, ""),
            ("munlock", MUNLOCK, ""),
            ("membarrier", MEMBARRIER, ""),
            ("futex_waitv", FUTEX_WAITV, ""),
            ("futex_wake", FUTEX_WAKE, ""),
            ("futex_wait", FUTEX_WAIT, ""),
            ("futex_requeue", FUTEX_REQUEUE, ""),
            ("exit", EXIT, ""),
        ],
        pinned_by: "monitor, ranges checked",
    },
    Allowed {
        who: "spawner",
        gate: Gate::Stub,
        calls: &[
            ("rt_sigtimedwait", RT_SIGTIMEDWAIT, ""),
            ("clone", CLONE, "two sets of flags"),
            ("sendmsg", SENDMSG, "one descriptor"),
            ("close", CLOSE, ""),
            ("futex", FUTEX, "7 commands"),
            ("sched_yield", SCHED_YIELD, ""),
            ("restart_syscall", RESTART_SYSCALL, ""),
            ("seccomp", SECCOMP, "SET_MODE_FILTER"),
            ("prctl", PRCTL, "SET_PDEATHSIG"),
            ("arch_prctl", ARCH_PRCTL, "SET and GET of FS and GS"),
            ("exit", EXIT, ""),
            ("exit_group", EXIT_GROUP, ""),
        ],
        pinned_by: "base filter, by instruction pointer and arguments",
    },
];

impl Allowed {
    /// As a row of docs/rfcs/0001.
    pub fn row(&self) -> String {
        let call = |(name, _, only): &(&str, u32, &str)| match *only {
            "" => (*name).to_owned(),
            only => format!("{name} ({only})"),
        };
        let calls: Vec<String> = self.calls.iter().map(call).collect();
        format!("| {} | {} | {} |", self.who, calls.join(", "), self.pinned_by)
    }
}
