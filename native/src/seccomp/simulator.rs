//! A seccomp machine for tests: runs a filter as kernel/seccomp.c would, and refuses what it would refuse.

use super::bpf::*;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Data {
    pub number: u32,
    pub architecture: u32,
    pub arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap();
        match offset {
            0 => self.number,
            4 => self.architecture,
            8 | 12 => 0,
            16..64 if offset.is_multiple_of(4) => {
                let value = self.arguments[usize::try_from((offset - 16) / 8).unwrap()];
                if offset.is_multiple_of(8) { low(value) } else { low(value >> 32) }
            }
            _ => panic!("load at {offset}"),
        }
    }
}

/// The answer and how many instructions it took.
pub(super) fn run(code: &[Instruction], data: &Data) -> (u32, usize) {
    let (mut at, mut register, mut steps) = (0, 0u32, 0);
    loop {
        let Instruction { code, yes, no, k } = code[at];
        let jump = |holds: bool| usize::from(if holds { yes } else { no });
        at += 1;
        steps += 1;
        match code {
            LOAD => register = data.word(k),
            AND => register &= k,
            JUMP => at += usize::try_from(k).unwrap(),
            EQUAL => at += jump(register == k),
            GREATER => at += jump(register > k),
            GREATER_OR_EQUAL => at += jump(register >= k),
            RETURN => return (k, steps),
            other => panic!("code {other:#x}"),
        }
    }
}
