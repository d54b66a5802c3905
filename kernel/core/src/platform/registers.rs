//! The processor state of a thread.

use alloc::vec::Vec;

/// General registers, as in `struct sigcontext` of the x86-64 ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of registers")]
pub struct Registers {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    /// Base of the FS segment: thread-local storage.
    pub fs_base: u64,
    /// Base of the GS segment.
    pub gs_base: u64,
}

/// All that a thread needs to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// General registers.
    pub registers: Registers,
    /// FP and vector state as the host lays it out in signal frames (XSAVE, uncompacted, with its software-reserved
    /// bytes); empty for the initial state.
    pub fp_state: Vec<u8>,
}
