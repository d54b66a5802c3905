//! How the zygote begins: it lays out its address space, tells the monitor what it found, and takes the base filter.

use core::mem::size_of;

use crate::abi::{self, Context, Hello, Welcome};
use crate::handler::{self, SignalInfo};
use crate::spawner;
use crate::sys::{self, syscall, syscall3};
use crate::thread::{Instruction, Program};

const AT_SYSINFO_EHDR: u64 = 33;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
const SET_MODE_FILTER: u64 = 1;
/// SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART
const ACTION_FLAGS: u64 = 0x1c00_0004;
const ALL_SIGNALS: u64 = !0;
static NO_SIGNALS: u64 = 0;
/// All but SIGBUS and SIGSEGV, which the spawner may take in its exchange of a word.
static SPAWNER_SIGNALS: u64 = !(1 << (SIGBUS - 1) | 1 << (SIGSEGV - 1));
const SIG_SETMASK: u64 = 2;
const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;
const SIGSYS: i32 = 31;
const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
const XFEATURE_XTILEDATA: u64 = 18;
/// SS_DISABLE: the spawner, and so its copies, take signals on their own stack.
static NO_STACK: [u64; 3] = [0, 2, 0];
const MADV_DONTNEED: u64 = 4;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FXSAVE_BYTES: u64 = 512;
const FP_SOFTWARE_OFFSET: usize = 464;
const FP_MXCSR_MASK_OFFSET: usize = 28;

type Handler = unsafe extern "C" fn(i32, *const SignalInfo, *mut Context);

/// `struct sigaction` of the kernel.
#[repr(C)]
struct Action {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

/// What the monitor sends.
#[repr(C)]
struct Packet {
    welcome: Welcome,
    filter: [u64; abi::MAX_FILTER],
}

/// The program.
///
/// # Safety
/// `stack` is what the host gave at the first instruction.
pub unsafe extern "C" fn start(stack: *const u64) -> ! {
    // SAFETY: the process is new and has one thread; each step is in the order that the next one needs.
    unsafe {
        close_inherited();
        map_slots();
        let vdso = clear_user_range(auxiliary(stack, AT_SYSINFO_EHDR));
        set_mask(&NO_SIGNALS);
        let mut hello = probe();
        (hello.syscall_ip, hello.sigreturn_ip, hello.vdso) = (sys::syscall_ip(), sys::sigreturn_ip(), vdso);
        set_mask(&SPAWNER_SIGNALS);
        for signal in [SIGILL, SIGTRAP, SIGBUS, SIGFPE, abi::KICK_SIGNAL, SIGSEGV, SIGSYS] {
            handle(signal, handler::on_signal);
        }
        spawner::die_with_parent();
        demand(syscall3(sys::WRITE, abi::BOOT_FD, (&raw const hello).addr() as u64, size_of::<Hello>() as u64));
        take_filter();
    }
    spawner::serve()
}

/// Whether user space can read the segment bases.
pub(crate) fn has_fsgsbase() -> bool {
    // SAFETY: slot 0 is mapped, and any bytes make a `Welcome`.
    unsafe { (*welcome()).has_fsgsbase != 0 }
}

/// Flags of a thread's listener.
pub(crate) fn listener_flags() -> u64 {
    // SAFETY: as above.
    unsafe { (*welcome()).listener_flags }
}

/// Where the zygote keeps what it was told: the context of slot 0, which no thread uses.
fn welcome() -> *mut Welcome {
    core::ptr::with_exposed_provenance_mut((abi::slot_address(0) + abi::CONTEXT_OFFSET) as usize)
}

fn demand(result: i64) -> u64 {
    u64::try_from(result).unwrap_or_else(|_| sys::die())
}

unsafe fn set_mask(mask: &'static u64) {
    // SAFETY: the mask lives for ever.
    unsafe { syscall(sys::RT_SIGPROCMASK, SIG_SETMASK, core::ptr::from_ref(mask).addr() as u64, 0, 8, 0, 0) };
}

unsafe fn close_inherited() {
    // SAFETY: nothing is open that the stub uses, but the boot socket.
    unsafe {
        syscall3(sys::CLOSE_RANGE, 0, abi::BOOT_FD - 1, 0);
        syscall3(sys::CLOSE_RANGE, abi::BOOT_FD + 1, u32::MAX.into(), 0);
    }
}

unsafe fn map_slots() {
    let len = u64::from(abi::SLOTS) * abi::SLOT_BYTES;
    // SAFETY: nothing is there.
    demand(unsafe { syscall(sys::MMAP, abi::RESERVED_START, len, abi::READ_WRITE, abi::ZEROS, abi::NO_FILE, 0) });
}

/// The value of an entry of the auxiliary vector, 0 when there is none.
unsafe fn auxiliary(stack: *const u64, key: u64) -> u64 {
    // SAFETY: argc, arguments, null, environment, null, pairs (x86-64 psABI 3.4.1).
    unsafe {
        let mut at = stack.add(*stack as usize + 2);
        while *at != 0 {
            at = at.add(1);
        }
        at = at.add(1);
        while *at != 0 && *at != key {
            at = at.add(2);
        }
        if *at == key { *at.add(1) } else { 0 }
    }
}

/// Unmaps all that applications may have. A vDSO that the host put there is lost.
unsafe fn clear_user_range(vdso: u64) -> u64 {
    // SAFETY: program, stack and slots lie above.
    demand(unsafe { syscall3(sys::MUNMAP, 0, abi::RESERVED_START, 0) });
    if vdso >= abi::RESERVED_START { vdso } else { 0 }
}

unsafe fn handle(signal: i32, handler: Handler) {
    let action = Action {
        handler: (handler as *const ()).addr() as u64,
        flags: ACTION_FLAGS,
        restorer: (sys::restore as *const ()).addr() as u64,
        mask: ALL_SIGNALS,
    };
    let (signal, action) = (u64::from(signal.cast_unsigned()), (&raw const action).addr() as u64);
    // SAFETY: the action is valid during the call.
    demand(unsafe { syscall(sys::RT_SIGACTION, signal, action, 0, 8, 0, 0) });
}

/// Takes one signal on the stack of slot 1, to see how the host lays out its frames here.
unsafe fn probe() -> Hello {
    let base = abi::slot_address(1);
    let stack = [base + abi::STACK_OFFSET, 0, abi::SLOT_BYTES - abi::STACK_OFFSET];
    // SAFETY: the slot is free, and emptied afterwards.
    unsafe {
        syscall3(sys::ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA, 0);
        demand(syscall3(sys::SIGALTSTACK, (&raw const stack).addr() as u64, 0, 0));
        handle(abi::KICK_SIGNAL, on_probe);
        let me = demand(syscall3(sys::GETPID, 0, 0, 0));
        demand(syscall3(sys::KILL, me, abi::KICK_SIGNAL as u64, 0));
        let hello = probed().read();
        demand(syscall3(sys::SIGALTSTACK, (&raw const NO_STACK).addr() as u64, 0, 0));
        demand(syscall3(sys::MADVISE, base, abi::SLOT_BYTES, MADV_DONTNEED));
        hello
    }
}

fn probed() -> *mut Hello {
    core::ptr::with_exposed_provenance_mut((abi::slot_address(1) + abi::CONTEXT_OFFSET) as usize)
}

unsafe extern "C" fn on_probe(_signal: i32, _info: *const SignalInfo, context: *mut Context) {
    let top = abi::slot_address(2);
    // SAFETY: the host gives a valid context, whose FP state has its software-reserved bytes (fpu/signal.c).
    unsafe {
        let fp_address = (*context).fp_state;
        let fp: *const u32 = core::ptr::with_exposed_provenance(fp_address as usize);
        let software = fp.byte_add(FP_SOFTWARE_OFFSET);
        let has_xstate = *software == FP_XSTATE_MAGIC1;
        let mxcsr_mask = *fp.byte_add(FP_MXCSR_MASK_OFFSET);
        probed().write(Hello {
            context_depth: top - context.addr() as u64,
            fp_depth: top - fp_address,
            fp_bytes: if has_xstate { u64::from(*software.add(1)) } else { FXSAVE_BYTES },
            fp_features: if has_xstate { software.add(2).cast::<u64>().read_unaligned() } else { 3 },
            mxcsr_mask: if mxcsr_mask == 0 { 0xffbf } else { mxcsr_mask.into() },
            ..Hello::default()
        });
    }
}

/// Takes what the monitor sends, and puts the base filter on.
unsafe fn take_filter() {
    let mut packet = Packet { welcome: Welcome::default(), filter: [0; abi::MAX_FILTER] };
    let (at, room) = ((&raw mut packet).addr() as u64, size_of::<Packet>() as u64);
    // SAFETY: the packet has room; any bytes make one.
    unsafe {
        let bytes = demand(syscall3(sys::READ, abi::BOOT_FD, at, room)) as usize;
        let instructions = bytes.saturating_sub(size_of::<Welcome>()) / size_of::<Instruction>();
        *welcome() = packet.welcome;
        let program = Program { len: instructions as u16, instructions: (&raw const packet.filter).cast() };
        demand(syscall(sys::PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
        demand(syscall3(sys::SECCOMP, SET_MODE_FILTER, 0, (&raw const program).addr() as u64));
    }
}
