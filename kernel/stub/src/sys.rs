//! System calls of the stub. All go through one instruction, which the base filter knows by its address.

use core::arch::naked_asm;

use crate::abi::Context;

pub(crate) const READ: u64 = 0;
pub(crate) const WRITE: u64 = 1;
pub(crate) const MMAP: u64 = 9;
pub(crate) const MUNMAP: u64 = 11;
pub(crate) const RT_SIGACTION: u64 = 13;
pub(crate) const RT_SIGPROCMASK: u64 = 14;
pub(crate) const CLOSE: u64 = 3;
pub(crate) const MADVISE: u64 = 28;
pub(crate) const GETPID: u64 = 39;
pub(crate) const SENDMSG: u64 = 46;
pub(crate) const CLONE: u64 = 56;
pub(crate) const EXIT: u64 = 60;
pub(crate) const KILL: u64 = 62;
pub(crate) const RT_SIGTIMEDWAIT: u64 = 128;
pub(crate) const SIGALTSTACK: u64 = 131;
pub(crate) const PRCTL: u64 = 157;
pub(crate) const ARCH_PRCTL: u64 = 158;
pub(crate) const FUTEX: u64 = 202;
pub(crate) const EXIT_GROUP: u64 = 231;
pub(crate) const SECCOMP: u64 = 317;
pub(crate) const CLOSE_RANGE: u64 = 436;

unsafe extern "C" {
    /// Behind the instruction of [`syscall`].
    static stockade_stub_syscall_ip: u8;
    /// Behind the instruction of [`restore`].
    static stockade_stub_sigreturn_ip: u8;
    static stockade_stub_exchange_ip: u8;
    static stockade_stub_exchange_failed: u8;
}

/// What the filter compares the instruction pointer with.
pub(crate) fn syscall_ip() -> u64 {
    (&raw const stockade_stub_syscall_ip).addr() as u64
}

/// The same for rt_sigreturn(2).
pub(crate) fn sigreturn_ip() -> u64 {
    (&raw const stockade_stub_sigreturn_ip).addr() as u64
}

/// Any system call.
///
/// # Safety
/// The call must be sound in the state that the process is in.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn syscall(_number: u64, _a: u64, _b: u64, _c: u64, _d: u64, _e: u64, _f: u64) -> i64 {
    naked_asm!(
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        ".globl stockade_stub_syscall_ip",
        "stockade_stub_syscall_ip:",
        "ret",
    )
}

/// A system call of up to three arguments.
///
/// # Safety
/// As [`syscall`].
pub(crate) unsafe fn syscall3(number: u64, a: u64, b: u64, c: u64) -> i64 {
    // SAFETY: the caller's.
    unsafe { syscall(number, a, b, c, 0, 0, 0) }
}

/// The address that signal handlers return to.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn restore() -> ! {
    naked_asm!("mov eax, 15", "syscall", ".globl stockade_stub_sigreturn_ip", "stockade_stub_sigreturn_ip:", "ud2",)
}

/// Compares and exchanges a word that may not be there: gives what it held, or a negative number. The handler knows the
/// one instruction that may fault.
///
/// # Safety
/// The word is not the stub's own.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn exchange(_word: u64, _expected: u32, _new: u32) -> i64 {
    naked_asm!(
        "mov eax, esi",
        ".globl stockade_stub_exchange_ip",
        "stockade_stub_exchange_ip:",
        "lock cmpxchg dword ptr [rdi], edx",
        "ret",
        ".globl stockade_stub_exchange_failed",
        "stockade_stub_exchange_failed:",
        "mov rax, -14",
        "ret",
    )
}

/// Where [`exchange`] may fault, and where it goes on then.
pub(crate) fn exchange_fault() -> (u64, u64) {
    ((&raw const stockade_stub_exchange_ip).addr() as u64, (&raw const stockade_stub_exchange_failed).addr() as u64)
}

/// Takes all registers from `context`.
///
/// # Safety
/// The context is one that rt_sigreturn(2) takes.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn resume(_context: *const Context) -> ! {
    naked_asm!("mov rsp, rdi", "jmp {restore}", restore = sym restore)
}

/// Ends the process.
pub fn die() -> ! {
    loop {
        // SAFETY: nothing of the process is used after it.
        unsafe { syscall3(EXIT_GROUP, 127, 0, 0) };
    }
}
