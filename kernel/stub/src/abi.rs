//! The words between stub and monitor, and where things lie in a stub's address space.
//!
//! Everything of the stub's own lies in `RESERVED_START..RESERVED_END`, where the application can change nothing.

/// The first address that applications cannot have. The slots begin here.
pub const RESERVED_START: u64 = 0x7fe0_0000_0000;
/// The end of user space, with the host's guard page.
pub const RESERVED_END: u64 = 0x7fff_ffff_f000;

/// Bytes of one slot: orders, entry frame, FP state, signal stack.
pub const SLOT_BYTES: u64 = 64 << 10;
/// Slots of one stub. Slot 0 is the spawner's. Only what is touched costs memory.
pub const SLOTS: u32 = 16384;
/// Where the entry frame lies in a slot.
pub const CONTEXT_OFFSET: u64 = 3072;
/// Where the monitor puts FP state in a slot.
pub const FP_OFFSET: u64 = 4096;
/// Bytes for FP state: AVX-512 needs 2.7 KiB, AMX 11.
pub const FP_BYTES: u64 = 16 << 10;
/// Where the signal stack begins in a slot; it ends with the slot.
pub const STACK_OFFSET: u64 = FP_OFFSET + FP_BYTES;

/// The stub's end of the boot socket.
pub const BOOT_FD: u64 = 3;
/// Where the monitor puts the pool when a stub first maps it.
pub const POOL_FD: u32 = 8;
/// Where the monitor puts the first blobs: this and the blob's number. The host makes a process's table of descriptors
/// larger for numbers from 64 on, and waits milliseconds for that where threads share it.
pub const FIRST_BLOB_FD: u32 = 16;

/// Where the monitor puts what else a thread in one of the first slots maps of the host: this and the slot. The next
/// one that the thread maps takes its place.
pub const FIRST_FILE_FD: u32 = 40;

/// The same for more blobs: this and the blob's number.
pub const FIRST_HIGH_BLOB_FD: u32 = 64;

/// The same for threads in more slots.
pub const FIRST_HIGH_FILE_FD: u32 = 512;

/// Host signal that makes a thread raise an event.
pub const KICK_SIGNAL: i32 = 10;
/// Host signal that carries a command to the spawner.
pub const COMMAND_SIGNAL: i32 = 40;

/// Flags of clone(2) for a thread: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM.
pub const THREAD_FLAGS: u64 = 0x5_0f00;
/// Flags of clone(2) for a process: PARENT, so that every stub is a child of the monitor.
pub const FORK_FLAGS: u64 = 0x8000;

/// A system call that came through the signal handler has this added to its number.
pub const TRAP_BASE: u32 = 0x1000;
/// Above the last [`TRAP_BASE`] number.
pub const TRAP_END: u32 = 0x2000;
/// The handler's call for a signal: number, code, address, error code, trap number.
pub const EVENT: u32 = 0x2000;
/// The handler's call after a batch: how many calls succeeded, and the result of the one that failed or 0.
pub const DONE: u32 = 0x2001;
/// A new thread's first call, unless it begins at once.
pub const HELLO: u32 = 0x2002;

/// Reply: make the host calls in the slot, then take `then` as the reply.
pub const RUN: i64 = i64::MIN + 1;
/// Reply: go on with the registers as they are.
pub const LEAVE: i64 = i64::MIN + 2;
/// Reply: the same, after the segment bases were set from the slot.
pub const LEAVE_SEGMENTS: i64 = i64::MIN + 3;
/// Reply: run the trapped call again.
pub const RESTART: i64 = i64::MIN + 4;
/// Reply: end the thread.
pub const EXIT: i64 = i64::MIN + 5;
/// As `then`: say that the batch is done.
pub const REPORT: i64 = i64::MIN + 6;
/// Reply: the application's thread is over; say hello again and wait for another.
pub const PARK: i64 = i64::MIN + 7;
/// The greatest of these.
pub const LAST_MARKER: i64 = PARK;

/// Most host calls of one batch.
pub const MAX_CALLS: usize = 32;

/// Flags of mmap(2) for private zeros as the monitor orders them: PRIVATE, FIXED, ANONYMOUS, NORESERVE.
pub const ZEROS: u64 = 0x4032;
/// What stands for their file.
pub const NO_FILE: u64 = u64::MAX;
/// The protection of a heap: READ, WRITE.
pub const READ_WRITE: u64 = 3;
/// The same flags as applications ask for them at a place.
pub const FIXED_ZEROS: u64 = 0x32;

/// Number of a call that is none of the host's: copy to an address so many bytes from another, in the slot.
pub const FILL: u64 = 0x3000;
/// The same: so many zeros to an address.
pub const ZERO: u64 = 0x3001;

/// One host call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RawCall {
    /// Its number.
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What the handler leaves for the monitor.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Saved {
    /// Address of the thread's [`Context`].
    pub context: u64,
    /// The application's FS base.
    pub fs_base: u64,
    /// The application's GS base.
    pub gs_base: u64,
    /// Its break, when this thread last heard of it.
    pub heap: u64,
}

/// What the monitor leaves for the handler.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Orders {
    /// For [`LEAVE_SEGMENTS`].
    pub fs_base: u64,
    /// For [`LEAVE_SEGMENTS`].
    pub gs_base: u64,
    /// The reply that a new thread takes without a word; 0 for one that says hello.
    pub begin: i64,
    /// The reply to take after the batch.
    pub then: i64,
    /// How many of `calls` there are.
    pub count: u64,
    /// The batch.
    pub calls: [RawCall; MAX_CALLS],
}

/// The head of a slot.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slot {
    /// Written by the stub.
    pub saved: Saved,
    /// Written by the monitor.
    pub orders: Orders,
    /// Between a new thread and the spawner: its listener, or an error.
    pub listener: i32,
    /// 1 when `listener` is there.
    pub ready: u32,
}

/// Where the segment bases lie in a slot.
pub const SEGMENTS_OFFSET: u64 = core::mem::offset_of!(Slot, orders) as u64;
/// Where the batch lies in a slot, `then` first.
pub const BATCH_OFFSET: u64 = SEGMENTS_OFFSET + core::mem::offset_of!(Orders, then) as u64;
/// Where the first call of the batch lies in a slot.
pub const CALLS_OFFSET: u64 = SEGMENTS_OFFSET + core::mem::offset_of!(Orders, calls) as u64;
/// Bytes of a batch's calls and of what they fill memory with, which lies behind the last of them.
pub const BATCH_BYTES_MAX: u64 = CONTEXT_OFFSET - CALLS_OFFSET;

/// Address of a slot.
pub const fn slot_address(slot: u32) -> u64 {
    RESERVED_START + slot as u64 * SLOT_BYTES
}

/// `struct ucontext` of the x86-64 kernel ABI (arch/x86/include/uapi/asm/ucontext.h, sigcontext.h).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "the names of registers")]
pub struct Context {
    pub flags: u64,
    pub link: u64,
    pub stack_base: u64,
    pub stack_flags: u64,
    pub stack_bytes: u64,
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
    pub segments: u64,
    pub error_code: u64,
    pub trap_number: u64,
    pub old_mask: u64,
    pub cr2: u64,
    pub fp_state: u64,
    pub reserved: [u64; 8],
    pub mask: u64,
}

/// User code and stack segments: `cs` in the low word, `ss` in the high one.
pub const USER_SEGMENTS: u64 = 0x002b_0000_0000_0033;
/// UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
pub const CONTEXT_FLAGS: u64 = 6;
/// UC_FP_XSTATE.
pub const CONTEXT_HAS_XSTATE: u64 = 1;

/// What the zygote says about itself before it takes the base filter.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Hello {
    /// Behind the one instruction that makes system calls.
    pub syscall_ip: u64,
    /// Behind the one that makes rt_sigreturn(2).
    pub sigreturn_ip: u64,
    /// Where the vDSO lies; 0 when it is gone.
    pub vdso: u64,
    /// From the top of a signal stack down to the context.
    pub context_depth: u64,
    /// From the top of a signal stack down to the FP state.
    pub fp_depth: u64,
    /// Bytes of FP state in a signal frame.
    pub fp_bytes: u64,
    /// Its features, as in XCR0.
    pub fp_features: u64,
    /// Which bits of MXCSR exist.
    pub mxcsr_mask: u64,
}

/// What the monitor sends back, before the instructions of the base filter.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Welcome {
    /// Flags of seccomp(2) for a thread's listener.
    pub listener_flags: u64,
    /// 1 when user space can read the segment bases.
    pub has_fsgsbase: u64,
}

/// Most instructions of the base filter.
pub const MAX_FILTER: usize = 256;

/// What a spawner says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Message {
    /// One of the `SAID_` numbers.
    pub kind: u32,
    /// For [`SAID_THREAD`]: which slot.
    pub slot: u32,
    /// An id, a value or an error.
    pub value: i64,
    /// The host's id of the thread that was made; 0 when there is none.
    pub thread: i64,
}

/// A thread waits in the slot; its listener comes along.
pub const SAID_THREAD: u32 = 1;
/// A copy is ready, and its thread waits or has begun, if one was asked for; sent by the copy. The value is the order's
/// token, which only who shares the parent's memory knows.
pub const SAID_BORN: u32 = 2;
/// There is no copy; the value is the error.
pub const SAID_STILLBORN: u32 = 3;
/// What the word held.
pub const SAID_WORD: u32 = 4;

/// A command to the spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a thread in this slot.
    Thread(u32),
    /// Copy the process, and make a thread in this slot of the copy when it is not 0. The copy says the token.
    Fork(u32, Token),
    /// Compare and exchange: address, expected and new are the first three arguments in slot 0.
    Exchange,
}

impl Command {
    /// As the payload of a signal: kind, slot, token.
    pub const fn encode(self) -> u64 {
        match self {
            Command::Thread(slot) => 1 | (slot as u64) << KIND_BITS,
            Command::Fork(slot, Token(token)) => 2 | (slot as u64) << KIND_BITS | token << TOKEN_SHIFT,
            Command::Exchange => 3,
        }
    }

    /// Back; `None` for what `encode` does not make.
    pub const fn decode(payload: u64) -> Option<Self> {
        let slot = (payload >> KIND_BITS) as u32 % SLOTS;
        match payload & ((1 << KIND_BITS) - 1) {
            1 => Some(Command::Thread(slot)),
            2 => Some(Command::Fork(slot, Token(payload >> TOKEN_SHIFT))),
            3 => Some(Command::Exchange),
            _ => None,
        }
    }
}

/// What only a copy of whom it was given to knows: 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// As many of these bits as it has.
    pub const fn new(bits: u64) -> Self {
        Self(bits << TOKEN_SHIFT >> TOKEN_SHIFT)
    }

    /// As [`Message::value`].
    pub const fn value(self) -> i64 {
        self.0.cast_signed()
    }
}

const KIND_BITS: u32 = 2;
const TOKEN_SHIFT: u32 = KIND_BITS + SLOTS.ilog2();
