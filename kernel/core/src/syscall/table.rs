//! All system calls of x86-64, and how far each is supported. docs/reference/syscalls.md is made from this.

use super::{Call, Outcome};
use crate::task::Task;
use crate::wait::Stop;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How far a call is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux.
    Full,
    /// What is lacking.
    Partial(&'static str),
    /// Refused with ENOSYS, and why.
    None(&'static str),
}

type Handler = fn(&Arc<Task>, &mut Call) -> Result<Outcome, Stop>;

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// Its name in section 2 of the manual.
    pub name: &'static str,
    /// How far it is supported.
    pub support: Support,
    /// Which file of `kernel/core/src/syscall` serves it.
    pub family: &'static str,
    /// What serves it.
    pub handler: Option<Handler>,
}

macro_rules! calls {
    ($($number:literal $family:ident :: $name:ident $support:expr;)*) => {
        /// The calls that are served, by rising number.
        pub const TABLE: &[Entry] = &[$(Entry {
            number: $number,
            name: stringify!($name),
            support: $support,
            family: stringify!($family),
            handler: Some(|task, call| super::$family::$name(task, call).map(Outcome::from)),
        },)*];
    };
}

use Support::{Full, Partial};
calls! {
    9 mmap::mmap Full;
    10 mmap::mprotect Full;
    11 mmap::munmap Full;
    12 mmap::brk Full;
    25 mmap::mremap Full;
    26 madvise::msync Full;
    27 madvise::mincore Full;
    28 madvise::madvise Partial("without KSM");
    39 ids::getpid Full;
    59 exec::execve Full;
    102 ids::getuid Full;
    104 ids::getgid Full;
    107 ids::geteuid Full;
    108 ids::getegid Full;
    110 ids::getppid Full;
    149 madvise::mlock Full;
    150 madvise::munlock Full;
    151 madvise::mlockall Full;
    152 madvise::munlockall Full;
    186 ids::gettid Full;
    322 exec::execveat Full;
    324 madvise::membarrier Partial("without restartable sequences");
    325 madvise::mlock2 Full;
    329 mmap::pkey_mprotect Partial("only with the default key");
}

/// How many numbers there are.
const COUNT: usize = 512;

/// Index into [`TABLE`] by number, plus one.
const BY_NUMBER: [u16; COUNT] = {
    let mut index = [0; COUNT];
    let mut at = 0;
    while at < TABLE.len() {
        #[allow(clippy::cast_possible_truncation)]
        {
            index[TABLE[at].number as usize] = at as u16 + 1;
        }
        at += 1;
    }
    index
};

/// The entry of a number, if the call is served.
pub fn entry(number: u32) -> Option<&'static Entry> {
    let at = *BY_NUMBER.get(usize::try_from(number).ok()?)?;
    TABLE.get(usize::from(at).checked_sub(1)?)
}

/// The calls that must come with a frame ([`crate::platform::Form::Trapped`]): they change registers, or the address
/// space at a place that the kernel chooses.
const TRAPPED: &[&str] = &[
    "brk",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_waitv",
    "mmap",
    "mremap",
    "rt_sigreturn",
    "set_tid_address",
    "shmat",
    "shmdt",
    "vfork",
];

/// The numbers of the calls that must come with a frame.
pub fn trapped_calls() -> Vec<u32> {
    TABLE.iter().filter(|entry| TRAPPED.contains(&entry.name)).map(|entry| entry.number).collect()
}
