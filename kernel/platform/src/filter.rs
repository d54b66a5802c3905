//! The base filter: what a stub may ask of the host at all, whatever runs in it.
//!
//! It decides by where a call comes from. At the stub's one system call instruction it allows what the spawner needs,
//! with flags and descriptors pinned; anywhere else, what touches only the caller. The calls on the kernel's list are
//! trapped into the stub's handler, and all else ends in RET_TRACE: without a tracer that is ENOSYS, but an
//! application thread's own USER_NOTIF filter outranks it (seccomp(2)), and so do none of the ALLOWs here.

use stockade_kernel_stub::abi::{BOOT_FD, FORK_FLAGS, Hello, THREAD_FLAGS};

use crate::host_calls::{
    ARCH_PRCTL, CLONE, CLOSE, EXIT, EXIT_GROUP, FUTEX, PRCTL, RESTART_SYSCALL, RT_SIGRETURN, RT_SIGTIMEDWAIT,
    SCHED_YIELD, SECCOMP, SENDMSG,
};

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ALWAYS: u16 = 0x05;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const IP_LOW: u32 = 8;
const IP_HIGH: u32 = 12;

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;
const TRAP: u32 = 0x0003_0000;
const NO_SUCH_CALL: u32 = 0x0005_0000 | 38;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const X32_BIT: u32 = 0x4000_0000;
const ARCH_SET_GS: u32 = 0x1001;
const ARCH_GET_GS: u32 = 0x1004;
const PR_SET_PDEATHSIG: u32 = 1;
const FUTEX_COMMAND_MASK: u32 = 0x7f;
/// WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET: not the priority-inheriting ones, which write
/// thread ids of the host into the application's memory.
const FUTEX_COMMANDS: [u32; 7] = [0, 1, 3, 4, 5, 9, 10];

/// `struct sock_filter`, as one number.
fn instruction(code: u16, jump_true: u8, jump_false: u8, value: u32) -> u64 {
    u64::from(code) | u64::from(jump_true) << 16 | u64::from(jump_false) << 24 | u64::from(value) << 32
}

/// A filter in the making. Every jump goes forward over a block that is already known.
#[derive(Debug, Default)]
struct Block(Vec<u64>);

impl Block {
    fn load(mut self, offset: u32) -> Self {
        self.0.push(instruction(LOAD, 0, 0, offset));
        self
    }

    fn and(mut self, mask: u32) -> Self {
        self.0.push(instruction(AND, 0, 0, mask));
        self
    }

    fn end(mut self, verdict: u32) -> Self {
        self.0.push(instruction(RETURN, 0, 0, verdict));
        self
    }

    /// Runs `then` when the loaded word equals `value`. `then` must end.
    fn when(mut self, value: u32, then: Block) -> Self {
        self.0.push(instruction(JUMP_EQUAL, 1, 0, value));
        self.0.push(instruction(JUMP_ALWAYS, 0, 0, then.len()));
        self.0.extend(then.0);
        self
    }

    /// Ends with `verdict` when the loaded word equals `value`.
    fn when_end(mut self, value: u32, verdict: u32) -> Self {
        self.0.push(instruction(JUMP_EQUAL, 0, 1, value));
        self.end(verdict)
    }

    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

/// Where an argument's low word lies; its high word follows.
fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The filter's instructions. `trapped`: numbers that go through the handler; `absent`: those that nobody need be asked
/// about.
pub(crate) fn base(hello: &Hello, trapped: &[u32], absent: &[u32]) -> Vec<u64> {
    let foreign = Block::default().end(NO_SUCH_CALL);
    let checked = Block::default().load(ARCH);
    let mut filter = checked.0;
    filter.push(instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64));
    filter.extend(&foreign.0);
    filter.extend(Block::default().load(NUMBER).0);
    filter.push(instruction(JUMP_AT_LEAST, 0, 1, X32_BIT));
    filter.extend(foreign.0);
    filter.extend(at(hello.syscall_ip, from_stub()).0);
    filter.extend(from_application(hello.sigreturn_ip, trapped, absent).0);
    filter
}

/// Runs `then`, which must end, when the call comes from `ip`.
fn at(ip: u64, then: Block) -> Block {
    let (low, high) = halves(ip);
    Block::default().load(IP_LOW).when(low, Block::default().load(IP_HIGH).when(high, then).end(TRACE))
}

fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

/// The argument is one of these; its high half is zero.
fn pinned(index: u32, values: &[u64]) -> Block {
    let low = values
        .iter()
        .fold(Block::default().load(argument(index)), |block, value| block.when_end(halves(*value).0, ALLOW));
    Block::default().load(argument(index) + 4).when(0, low.end(TRACE)).end(TRACE)
}

fn futex() -> Block {
    let command = Block::default().load(argument(1)).and(FUTEX_COMMAND_MASK);
    FUTEX_COMMANDS.iter().fold(command, |block, command| block.when_end(*command, ALLOW)).end(TRAP)
}

/// SET_GS, SET_FS, GET_FS and GET_GS are 0x1001 to 0x1004.
fn segments(last: u32) -> Block {
    let code = Block::default().load(argument(0));
    (ARCH_SET_GS..=last).fold(code, |block, code| block.when_end(code, ALLOW)).end(TRAP)
}

fn from_stub() -> Block {
    Block::default()
        .load(NUMBER)
        .when(FUTEX, futex())
        .when(ARCH_PRCTL, segments(ARCH_GET_GS))
        .when_end(SCHED_YIELD, ALLOW)
        .when_end(RESTART_SYSCALL, ALLOW)
        .when_end(RT_SIGTIMEDWAIT, ALLOW)
        .when(CLONE, pinned(0, &[THREAD_FLAGS, FORK_FLAGS]))
        .when(SENDMSG, pinned(0, &[BOOT_FD]))
        .when_end(CLOSE, ALLOW)
        .when(SECCOMP, pinned(0, &[1]))
        .when(PRCTL, pinned(0, &[PR_SET_PDEATHSIG.into()]))
        .when_end(EXIT, ALLOW)
        .when_end(EXIT_GROUP, ALLOW)
        .end(TRACE)
}

fn from_application(sigreturn_ip: u64, trapped: &[u32], absent: &[u32]) -> Block {
    let sigreturn = at_or_trap(sigreturn_ip);
    let own = Block::default()
        .load(NUMBER)
        .when(RT_SIGRETURN, sigreturn)
        .when(FUTEX, futex())
        .when_end(SCHED_YIELD, ALLOW)
        .when_end(RESTART_SYSCALL, ALLOW)
        .when(ARCH_PRCTL, segments(ARCH_SET_GS + 1));
    let own = trapped.iter().fold(own, |block, number| block.when_end(*number, TRAP));
    absent.iter().fold(own, |block, number| block.when_end(*number, NO_SUCH_CALL)).end(TRACE)
}

fn at_or_trap(ip: u64) -> Block {
    let (low, high) = halves(ip);
    let high = Block::default().load(IP_HIGH).when_end(high, ALLOW).end(TRAP);
    Block::default().load(IP_LOW).when(low, high).end(TRAP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_calls::{Gate, OF_STUBS};

    const STUB_IP: u64 = 0x7ff0_0000_1000;
    const SIGRETURN_IP: u64 = 0x7ff0_0000_2000;

    /// `struct seccomp_data` as words.
    fn data(number: u32, arch: u32, ip: u64, arguments: [u64; 6]) -> Vec<u32> {
        let long = |value| <[u32; 2]>::from(halves(value));
        [vec![number, arch], long(ip).to_vec(), arguments.map(long).concat()].concat()
    }

    /// What the host's interpreter would say.
    fn verdict(filter: &[u64], data: &[u32]) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let (head, value) = halves(filter[at]);
            let (code, jumps) = (head & 0xffff, head >> 16);
            at += 1;
            let mut jump = |taken: bool| at += usize::try_from(if taken { jumps & 0xff } else { jumps >> 8 }).unwrap();
            match u16::try_from(code).unwrap() {
                LOAD => word = data[usize::try_from(value / 4).unwrap()],
                AND => word &= value,
                JUMP_EQUAL => jump(word == value),
                JUMP_AT_LEAST => jump(word >= value),
                JUMP_ALWAYS => at += usize::try_from(value).unwrap(),
                RETURN => return value,
                code => panic!("no such instruction: {code:#x}"),
            }
        }
    }

    /// Arguments that pinned calls are allowed with; and all others have, too.
    const FRIENDLY: [[u64; 6]; 5] = [
        [THREAD_FLAGS, 0, 0, 0, 0, 0],
        [FORK_FLAGS, 0, 0, 0, 0, 0],
        [BOOT_FD, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0x1002, 0, 0, 0, 0, 0],
    ];

    fn allowed(ip: u64) -> Vec<u32> {
        let hello = Hello { syscall_ip: STUB_IP, sigreturn_ip: SIGRETURN_IP, ..Hello::default() };
        let filter = base(&hello, &[1, 9, 59], &[334]);
        let allows = |number: &u32, arch| {
            FRIENDLY.iter().any(|arguments| verdict(&filter, &data(*number, arch, ip, *arguments)) == ALLOW)
        };
        let numbers = || (0..600).chain([X32_BIT, X32_BIT | 39, u32::MAX, 0x1000, 0x2000]);
        assert!(!numbers().any(|number| allows(&number, 0x4000_0003)), "i386 at {ip:#x}");
        numbers().filter(|number| allows(number, AUDIT_ARCH_X86_64)).collect()
    }

    #[track_caller]
    fn check(ip: u64, gates: &[Gate]) {
        let rows = OF_STUBS.iter().filter(|row| gates.contains(&row.gate));
        let mut listed: Vec<u32> = rows.flat_map(|row| row.calls).map(|(_, number, _)| *number).collect();
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(allowed(ip), listed);
    }

    #[test]
    fn what_is_listed_is_allowed_and_nothing_else() {
        check(0x40_0000, &[Gate::Anywhere]);
        check(SIGRETURN_IP, &[Gate::Anywhere, Gate::Sigreturn]);
        check(STUB_IP, &[Gate::Stub]);
        // Half of the right address is not enough.
        assert_eq!(allowed(STUB_IP & 0xffff_ffff), []);
    }

    #[test]
    fn absent_calls_are_refused_to_applications() {
        let hello = Hello { syscall_ip: STUB_IP, sigreturn_ip: SIGRETURN_IP, ..Hello::default() };
        let filter = base(&hello, &[9], &[334]);
        let verdict = |number, ip| verdict(&filter, &data(number, AUDIT_ARCH_X86_64, ip, [0; 6]));
        assert_eq!(verdict(334, 0x40_0000), NO_SUCH_CALL);
        assert_eq!(verdict(334, STUB_IP), TRACE);
        assert_eq!(verdict(335, 0x40_0000), TRACE);
        assert_eq!(verdict(9, 0x40_0000), TRAP);
    }

    #[test]
    fn other_arguments_are_not_allowed() {
        let hello = Hello { syscall_ip: STUB_IP, sigreturn_ip: SIGRETURN_IP, ..Hello::default() };
        let filter = base(&hello, &[], &[]);
        let verdict =
            |number, first| verdict(&filter, &data(number, AUDIT_ARCH_X86_64, STUB_IP, [first, 11, 0, 0, 0, 0]));
        for (number, first) in [
            (CLONE, THREAD_FLAGS | 0x1000_0000),
            (CLONE, FORK_FLAGS | 1 << 32),
            (CLONE, 17),
            (SENDMSG, 4),
            (SENDMSG, BOOT_FD | 1 << 32),
            (SECCOMP, 0),
            (SECCOMP, 3),
            (PRCTL, 15),
            (PRCTL, 4),
            (ARCH_PRCTL, 0x1011),
            // FUTEX_LOCK_PI2
            (FUTEX, 0),
        ] {
            assert_ne!(verdict(number, first), ALLOW, "call {number} with {first:#x}");
        }
    }
}
