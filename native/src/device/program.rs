//! A policy as a program for `BPF_PROG_TYPE_CGROUP_DEVICE` (linux/bpf.h, `struct bpf_cgroup_dev_ctx`).

use super::access::{Access, Devices, Kind, Policy, Verdict};

/// `struct bpf_insn`: opcode, registers, jump offset, immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub opcode: u8,
    /// Destination in the low half, source in the high half.
    pub registers: u8,
    pub offset: i16,
    pub immediate: u32,
}

/// Opcodes: class, operation and operand as in Documentation/bpf/standardization/instruction-set.rst.
pub(super) mod opcode {
    pub const LOAD_WORD: u8 = 0x61;
    pub const MOVE: u8 = 0xb7;
    pub const MOVE_REGISTER: u8 = 0xbf;
    pub const AND: u8 = 0x57;
    pub const SHIFT_RIGHT: u8 = 0x77;
    pub const JUMP_IF_EQUAL: u8 = 0x15;
    pub const JUMP_UNLESS_EQUAL: u8 = 0x55;
    pub const JUMP_UNLESS_EQUAL_REGISTER: u8 = 0x5d;
    pub const EXIT: u8 = 0x95;
}
use opcode::*;

const RESULT: u8 = 0;
/// The context on entry, scratch after the loads.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const fn instruction(opcode: u8, destination: u8, source: u8, offset: i16, immediate: u32) -> Instruction {
    Instruction { opcode, registers: destination | source << 4, offset, immediate }
}

/// Loads the four fields: the first word holds the kind below and the access above.
const PROLOGUE: [Instruction; 6] = [
    instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
    instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
    instruction(AND, KIND, 0, 0, 0xffff),
    instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
    instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
    instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
];

/// One block per exception: the first that covers the device and the whole access decides against the default.
pub(super) fn assemble(policy: &Policy) -> Vec<Instruction> {
    let (default, exception) = match policy.default {
        Verdict::Deny => (0, 1),
        Verdict::Allow => (1, 0),
    };
    let mut program = PROLOGUE.to_vec();
    for (devices, access) in &policy.exceptions {
        program.extend(block(devices, *access, policy.default, exception));
    }
    program.extend(verdict(default));
    program
}

fn verdict(value: u32) -> [Instruction; 2] {
    [instruction(MOVE, RESULT, 0, 0, value), instruction(EXIT, 0, 0, 0, 0)]
}

fn block(devices: &Devices, access: Access, default: Verdict, value: u32) -> Vec<Instruction> {
    let mut tests = vec![instruction(JUMP_UNLESS_EQUAL, KIND, 0, 0, if devices.kind == Kind::Block { 1 } else { 2 })];
    tests.extend(access_test(access, default));
    tests.extend(devices.major.map(|major| instruction(JUMP_UNLESS_EQUAL, MAJOR, 0, 0, major)));
    tests.extend(devices.minor.map(|minor| instruction(JUMP_UNLESS_EQUAL, MINOR, 0, 0, minor)));
    let length = tests.len();
    for (at, test) in tests.iter_mut().enumerate().filter(|(_, test)| is_jump(test)) {
        // To the instruction after this block's verdict; a block has at most eight.
        test.offset = i16::try_from(length - at + 1).unwrap_or(i16::MAX);
    }
    tests.extend(verdict(value));
    tests
}

fn is_jump(test: &Instruction) -> bool {
    matches!(test.opcode, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL | JUMP_UNLESS_EQUAL_REGISTER)
}

/// An allowance must cover the whole access; of a prohibition any part is enough.
fn access_test(access: Access, default: Verdict) -> Vec<Instruction> {
    if access.is_all() {
        return Vec::new();
    }
    let jump = match default {
        Verdict::Deny => instruction(JUMP_UNLESS_EQUAL_REGISTER, CONTEXT, ACCESS, 0, 0),
        Verdict::Allow => instruction(JUMP_IF_EQUAL, CONTEXT, 0, 0, 0),
    };
    vec![instruction(MOVE_REGISTER, CONTEXT, ACCESS, 0, 0), instruction(AND, CONTEXT, 0, 0, access.bits()), jump]
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxDeviceCgroup;

    use super::*;

    /// Runs a program as the kernel would; only what `assemble` emits.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0;
        loop {
            let Instruction { opcode, registers: pair, offset, immediate } = program[at];
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            let jump = |yes: bool| if yes { usize::try_from(offset).unwrap() } else { 0 };
            at += 1;
            match opcode {
                LOAD_WORD => registers[to] = context[usize::try_from(offset).unwrap() / 4].into(),
                MOVE => registers[to] = immediate.into(),
                MOVE_REGISTER => registers[to] = registers[from],
                AND => registers[to] &= u64::from(immediate),
                SHIFT_RIGHT => registers[to] >>= immediate,
                JUMP_IF_EQUAL => at += jump(registers[to] == u64::from(immediate)),
                JUMP_UNLESS_EQUAL => at += jump(registers[to] != u64::from(immediate)),
                JUMP_UNLESS_EQUAL_REGISTER => at += jump(registers[to] != registers[from]),
                EXIT => return registers[0],
                other => panic!("opcode {other:#x}"),
            }
        }
    }

    /// The v1 controller's rule, said once more and plainly (devcgroup_legacy_check_permission).
    fn allowed(policy: &Policy, kind: Kind, access: Access, major: u32, minor: u32) -> bool {
        let matches = |devices: &Devices| {
            let number = |own: Option<u32>, other| own.is_none_or(|own| own == other);
            devices.kind == kind && number(devices.major, major) && number(devices.minor, minor)
        };
        let mut held = policy.exceptions.iter().filter(|(devices, _)| matches(devices)).map(|(_, held)| *held);
        match policy.default {
            Verdict::Deny => held.any(|held| held.contains(access)),
            Verdict::Allow => !held.any(|held| held.intersects(access)),
        }
    }

    fn check(rules: &str) {
        let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(rules).unwrap();
        let policy = Policy::of_container(&rules).unwrap();
        let program = assemble(&policy);
        for kind in [Kind::Block, Kind::Char] {
            for access in 1..8 {
                for (major, minor) in [(1, 3), (1, 4), (5, 2), (136, 77), (8, 0), (8, 1), (10, 200), (259, 1 << 19)] {
                    let number = if kind == Kind::Block { 1 } else { 2 };
                    let expected = allowed(&policy, kind, Access::from_bits_truncate(access), major, minor);
                    let found = run(&program, number, access, major, minor) == 1;
                    assert_eq!(found, expected, "{kind:?} {major}:{minor} access {access}");
                }
            }
        }
    }

    #[test]
    fn programs_decide_as_the_v1_controller_does() {
        check("[]");
        check(r#"[{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "major": 8, "access": "r"}]"#);
        check(r#"[{"allow": true, "access": "rwm"}]"#);
        check(r#"[{"allow": true}, {"allow": false, "type": "b", "major": 8, "minor": 0, "access": "w"}]"#);
        check(r#"[{"allow": true, "type": "b", "major": 8, "minor": -1, "access": "rwm"}]"#);
    }
}
