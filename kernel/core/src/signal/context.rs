//! `struct ucontext` of Linux on x86-64.

use super::{SignalSet, StackAbi};
use crate::abi::{Decoder, Encoder};
use crate::platform::{Fault, Registers};

bitflags::bitflags! {
    /// `uc_flags`
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct UcFlags: u64 {
        const FP_XSTATE = 1;
        const SIGCONTEXT_SS = 2;
        const STRICT_RESTORE_SS = 4;
    }
}

impl UcFlags {
    pub fn for_frame(has_extended_state: bool) -> Self {
        let mut flags = Self::SIGCONTEXT_SS | Self::STRICT_RESTORE_SS;
        flags.set(Self::FP_XSTATE, has_extended_state);
        flags
    }
}

/// `__USER_CS` and `__USER_DS`.
const CODE_SEGMENT: u16 = 0x33;
const STACK_SEGMENT: u16 = 0x2b;

/// What a handler sees of the application that it interrupted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub flags: UcFlags,
    pub stack: StackAbi,
    pub registers: Registers,
    pub fault: Option<Fault>,
    /// Where the FP state lies; 0 for none.
    pub fp_state: u64,
    pub mask: SignalSet,
}

impl Context {
    /// Bytes of `struct ucontext`.
    pub const LEN: usize = 304;

    pub fn encode(&self, to: &mut Encoder) {
        to.put(self.flags.bits()).put(0_u64).put(self.stack);
        let r = &self.registers;
        let general = [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx,
            r.rsp, r.rip, r.eflags,
        ];
        to.put(general).put([CODE_SEGMENT, 0, 0, STACK_SEGMENT]);
        let (error, vector, address) =
            self.fault.map_or((0, 0, 0), |fault| (fault.error_code, fault.trap_number, fault.address));
        to.put([error, vector, self.mask.bits(), address, self.fp_state]).zeros(64);
        to.put(self.mask.bits());
    }

    /// From at least [`Self::LEN`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut from = Decoder::new(bytes);
        let flags = UcFlags::from_bits_retain(from.take());
        from.skip(8);
        let stack = from.take();
        let g: [u64; 18] = from.take();
        from.skip(8 + 32);
        let fp_state = from.take();
        from.skip(64);
        let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags] = g;
        let registers = Registers {
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rdi,
            rsi,
            rbp,
            rbx,
            rdx,
            rax,
            rcx,
            rsp,
            rip,
            eflags,
            ..Registers::default()
        };
        Self { flags, stack, registers, fault: None, fp_state, mask: SignalSet::from_bits(from.take()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_the_size_of_linux_and_comes_back() {
        let registers = Registers { r8: 1, rip: 17, eflags: 18, ..Registers::default() };
        let context = Context {
            flags: UcFlags::for_frame(true),
            stack: StackAbi { start: 3, flags: 2, len: 5 },
            registers,
            fault: None,
            fp_state: 64,
            mask: SignalSet::from_bits(7),
        };
        let mut to = Encoder::new();
        context.encode(&mut to);
        assert_eq!(to.len(), Context::LEN);
        let back = Context::from_bytes(&to.finish());
        assert_eq!((back.registers, back.stack), (registers, context.stack));
        assert_eq!((back.fp_state, back.mask.bits(), back.flags), (64, 7, context.flags));
    }
}
