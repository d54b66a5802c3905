//! The base filter: what a stub may ask of the host at all, whatever runs in it.
//!
//! It decides by where a call comes from. At the stub's one system call instruction it allows what the spawner needs,
//! with flags and descriptors pinned; anywhere else, what touches only the caller. The calls on the kernel's list are
//! trapped into the stub's handler, and all else ends in RET_TRACE: without a tracer that is ENOSYS, but an
//! application thread's own USER_NOTIF filter outranks it (seccomp(2)), and so do none of the ALLOWs here.

use stockade_kernel_stub::abi::{BOOT_FD, FORK_FLAGS, Hello, THREAD_FLAGS};

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

const CLOSE: u32 = 3;
const RT_SIGRETURN: u32 = 15;
const SCHED_YIELD: u32 = 24;
const SENDMSG: u32 = 46;
const CLONE: u32 = 56;
const EXIT: u32 = 60;
const RT_SIGTIMEDWAIT: u32 = 128;
const PRCTL: u32 = 157;
const ARCH_PRCTL: u32 = 158;
const FUTEX: u32 = 202;
const RESTART_SYSCALL: u32 = 219;
const EXIT_GROUP: u32 = 231;
const SECCOMP: u32 = 317;

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

/// The filter's instructions. `trapped`: numbers that go through the handler.
pub(crate) fn base(hello: &Hello, trapped: &[u32]) -> Vec<u64> {
    let foreign = Block::default().end(NO_SUCH_CALL);
    let checked = Block::default().load(ARCH);
    let mut filter = checked.0;
    filter.push(instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64));
    filter.extend(&foreign.0);
    filter.extend(Block::default().load(NUMBER).0);
    filter.push(instruction(JUMP_AT_LEAST, 0, 1, X32_BIT));
    filter.extend(foreign.0);
    filter.extend(at(hello.syscall_ip, from_stub()).0);
    filter.extend(from_application(hello.sigreturn_ip, trapped).0);
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

fn from_application(sigreturn_ip: u64, trapped: &[u32]) -> Block {
    let sigreturn = at_or_trap(sigreturn_ip);
    let own = Block::default()
        .load(NUMBER)
        .when(RT_SIGRETURN, sigreturn)
        .when(FUTEX, futex())
        .when_end(SCHED_YIELD, ALLOW)
        .when_end(RESTART_SYSCALL, ALLOW)
        .when(ARCH_PRCTL, segments(ARCH_SET_GS + 1));
    trapped.iter().fold(own, |block, number| block.when_end(*number, TRAP)).end(TRACE)
}

fn at_or_trap(ip: u64) -> Block {
    let (low, high) = halves(ip);
    let high = Block::default().load(IP_HIGH).when_end(high, ALLOW).end(TRAP);
    Block::default().load(IP_LOW).when(low, high).end(TRAP)
}
