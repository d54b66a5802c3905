//! Alternate signal stacks (sigaltstack(2)).
#![allow(missing_docs, reason = "the words of sigaltstack(2)")]

use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};

bitflags::bitflags! {
    /// `ss_flags`
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StackFlags: u32 {
        const ONSTACK = 1;
        const DISABLE = 2;
        const AUTODISARM = 1 << 31;
    }
}

/// `stack_t`, as the application gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackAbi {
    /// `ss_sp`
    pub start: u64,
    /// `ss_flags`
    pub flags: u32,
    /// `ss_size`
    pub len: u64,
}

impl Abi for StackAbi {
    const LEN: usize = 24;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let (start, flags) = (from.take(), from.take());
        from.skip(4);
        Self { start, flags, len: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.start).put(self.flags).zeros(4).put(self.len);
    }
}

/// The alternate stack of a task; `len` is 0 when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    start: u64,
    len: u64,
    auto_disarm: bool,
}

impl AlternateStack {
    /// From the application. `EINVAL` for unknown flags, `ENOMEM` when it is smaller than `min_len`.
    pub fn from_abi(stack: StackAbi, min_len: u64) -> Result<Self, Errno> {
        let flags = StackFlags::from_bits(stack.flags).ok_or(Errno::EINVAL)?;
        let auto_disarm = flags.contains(StackFlags::AUTODISARM);
        let mode = flags.difference(StackFlags::AUTODISARM);
        if mode == StackFlags::DISABLE {
            return Ok(Self { auto_disarm, ..Self::default() });
        }
        if mode == StackFlags::DISABLE | StackFlags::ONSTACK {
            return Err(Errno::EINVAL);
        }
        if stack.len < min_len {
            return Err(Errno::ENOMEM);
        }
        Ok(Self { start: stack.start, len: stack.len, auto_disarm })
    }

    /// For the application, which runs with this stack pointer.
    pub fn to_abi(self, stack_pointer: u64) -> StackAbi {
        let mut flags = self.mode(stack_pointer);
        flags.set(StackFlags::AUTODISARM, self.auto_disarm);
        StackAbi { start: self.start, flags: flags.bits(), len: self.len }
    }

    fn mode(self, stack_pointer: u64) -> StackFlags {
        if self.len == 0 {
            StackFlags::DISABLE
        } else if self.is_in_use(stack_pointer) {
            StackFlags::ONSTACK
        } else {
            StackFlags::empty()
        }
    }

    /// Whether an application with this stack pointer runs on it. One that is disarmed by use never counts.
    pub fn is_in_use(self, stack_pointer: u64) -> bool {
        !self.auto_disarm && self.contains(stack_pointer)
    }

    /// Whether an address lies in it, the end counted in and the start not (stacks grow down).
    pub fn contains(self, address: u64) -> bool {
        address > self.start && address - self.start <= self.len
    }

    /// Where a handler's frame begins on it, if it is there and not in use.
    pub fn top(self, stack_pointer: u64) -> Option<u64> {
        (self.mode(stack_pointer).is_empty()).then(|| self.start.wrapping_add(self.len))
    }

    /// After a frame was put on it.
    pub fn used(&mut self) {
        if self.auto_disarm {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(flags: u32) -> Result<AlternateStack, Errno> {
        AlternateStack::from_abi(StackAbi { start: 0x1000, flags, len: 0x4000 }, 2048)
    }

    #[test]
    fn its_state_depends_on_the_stack_pointer() {
        let stack = stack(0).expect("a stack");
        assert_eq!(stack.to_abi(0x9000).flags, 0);
        assert_eq!(stack.to_abi(0x2000).flags, StackFlags::ONSTACK.bits());
        assert_eq!(stack.top(0x9000), Some(0x5000));
        assert_eq!(stack.top(0x2000), None);
    }

    #[test]
    fn one_that_disarms_is_used_once() {
        let mut stack = stack(StackFlags::AUTODISARM.bits()).expect("a stack");
        assert_eq!(stack.to_abi(0x2000).flags, StackFlags::AUTODISARM.bits());
        stack.used();
        assert_eq!(stack.to_abi(0x2000).flags, StackFlags::DISABLE.bits());
    }

    #[test]
    fn bad_ones_are_refused() {
        assert_eq!(stack(4), Err(Errno::EINVAL));
        assert_eq!(stack(3), Err(Errno::EINVAL));
        let small = StackAbi { start: 0x1000, flags: 0, len: 100 };
        assert_eq!(AlternateStack::from_abi(small, 2048), Err(Errno::ENOMEM));
    }
}
