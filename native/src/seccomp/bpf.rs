//! Classic BPF as seccomp runs it (linux/filter.h, linux/seccomp.h).

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub code: u16,
    /// Instructions to skip when a jump's test holds.
    pub yes: u8,
    /// And when it does not.
    pub no: u8,
    pub k: u32,
}

/// Loads a word of `struct seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const EQUAL: u16 = 0x15;
pub(super) const GREATER: u16 = 0x25;
pub(super) const GREATER_OR_EQUAL: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;

/// Offset of the low half of an argument; the high half follows.
pub(super) const fn argument(index: u8) -> u32 {
    16 + 8 * index as u32
}

/// The longest program that the kernel takes (BPF_MAXINSNS).
pub(super) const LENGTH_MAX: usize = 4096;

pub(super) const fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, yes: 0, no: 0, k }
}

pub(super) const fn test(code: u16, k: u32, yes: u8, no: u8) -> Instruction {
    Instruction { code, yes, no, k }
}
