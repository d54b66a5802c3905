//! The signal handler of application threads: trapped system calls, faults and kicks, and the monitor's replies.

use core::arch::asm;

use crate::abi::{self, Context, DONE, EVENT, MAX_CALLS, NO_FILE, READ_WRITE, RawCall, Saved, Slot, TRAP_BASE};
use crate::sys::{self, syscall, syscall3};
use crate::thread;

const SIGSYS: i32 = 31;
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;
const INSTRUCTION_BYTES: u64 = 2;
const BRK: u64 = 12;
const PAGE_BYTES: u64 = 4096;

/// The head of `siginfo_t`, as faults fill it.
#[repr(C)]
pub(crate) struct SignalInfo {
    _number: i32,
    _error: i32,
    code: i32,
    _pad: i32,
    address: u64,
}

/// Entered by the host on the slot's signal stack, with every signal blocked.
pub(crate) unsafe extern "C" fn on_signal(signal: i32, info: *const SignalInfo, context: *mut Context) {
    // SAFETY: the host gives valid pointers; the slot is this thread's.
    unsafe {
        let Some(slot) = own_slot() else { return spare_spawner(&mut *context) };
        save(slot, context);
        let is_brk = signal == SIGSYS && number_of(&*context) == BRK;
        let proposed = if signal == SIGSYS { propose(&(*slot).saved, &*context) } else { None };
        let reply = proposed.unwrap_or_else(|| report(signal, &*info, &*context));
        obey(slot, context, reply);
        if is_brk {
            (*slot).saved.heap = (*context).rax;
        }
    }
}

fn number_of(context: &Context) -> u64 {
    context.rax & 0xffff_ffff
}

/// Makes the host call that the monitor will order, most likely, without waiting for the order; gives the reply. It
/// lets the call through if it is right.
unsafe fn propose(saved: &Saved, context: &Context) -> Option<i64> {
    let (from, len, protection, file) = match number_of(context) {
        BRK if saved.heap != 0 => {
            let (from, end) = (page_up(saved.heap)?, page_up(context.rdi)?);
            (from, end.checked_sub(from)?, READ_WRITE, context.rdi)
        }
        sys::MMAP if context.r10 == abi::FIXED_ZEROS => (context.rdi, page_up(context.rsi)?, context.rdx, NO_FILE),
        _ => return None,
    };
    if len == 0 {
        return None;
    }
    // SAFETY: the monitor lets it through only if it leaves the stub alone.
    let result = unsafe { syscall(sys::MMAP, from, len, protection, abi::ZEROS, file, 0) };
    Some(match result {
        // SAFETY: the monitor answers it.
        -4095..0 => unsafe { syscall3(DONE.into(), 0, result.cast_unsigned(), 0) },
        // Either call returns its first argument.
        result if result == from.cast_signed() => context.rdi.cast_signed(),
        reply => reply,
    })
}

fn page_up(address: u64) -> Option<u64> {
    Some(address.checked_add(PAGE_BYTES - 1)? & !(PAGE_BYTES - 1))
}

/// The spawner may fault in one place only.
fn spare_spawner(context: &mut Context) {
    let (at, failed) = sys::exchange_fault();
    match context.rip == at {
        true => context.rip = failed,
        false => sys::die(),
    }
}

/// The slot whose stack this runs on; `None` for the spawner, which has no business here.
pub(crate) fn own_slot() -> Option<*mut Slot> {
    let stack: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) stack, options(nomem, nostack, preserves_flags)) };
    let address = stack & !(abi::SLOT_BYTES - 1);
    let slots = abi::slot_address(1)..abi::slot_address(abi::SLOTS);
    slots.contains(&address).then(|| core::ptr::with_exposed_provenance_mut(address as usize))
}

unsafe fn save(slot: *mut Slot, context: *const Context) {
    // SAFETY: the slot is this thread's, and mapped.
    unsafe {
        (*slot).saved.context = context.addr() as u64;
        (*slot).saved.fs_base = segment_base(ARCH_GET_FS);
        (*slot).saved.gs_base = segment_base(ARCH_GET_GS);
    }
}

/// FS or GS base of the application, which the stub leaves alone.
fn segment_base(which: u64) -> u64 {
    let mut base = 0_u64;
    // SAFETY: the instructions read a register where the processor has them; the call writes to `base`.
    unsafe {
        match (crate::boot::has_fsgsbase(), which) {
            (false, _) => {
                syscall3(sys::ARCH_PRCTL, which, (&raw mut base).addr() as u64, 0);
            }
            (true, ARCH_GET_FS) => asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)),
            (true, _) => asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)),
        }
    }
    base
}

unsafe fn report(signal: i32, info: &SignalInfo, context: &Context) -> i64 {
    let trapped = u64::from(TRAP_BASE) + number_of(context);
    // SAFETY: the monitor answers these, and the host does none of them.
    unsafe {
        if signal == SIGSYS {
            return syscall(trapped, context.rdi, context.rsi, context.rdx, context.r10, context.r8, context.r9);
        }
        let (number, code) = (u64::from(signal.cast_unsigned()), u64::from(info.code.cast_unsigned()));
        syscall(EVENT.into(), number, code, info.address, context.error_code, context.trap_number, 0)
    }
}

/// Does what the monitor replied.
///
/// # Safety
/// `slot` is this thread's, and `context` is what it will be resumed with.
pub(crate) unsafe fn obey(slot: *mut Slot, context: *mut Context, mut reply: i64) {
    // SAFETY: the caller's.
    unsafe {
        loop {
            match reply {
                abi::RUN => reply = run(slot),
                abi::REPORT => reply = syscall3(DONE.into(), (*slot).orders.count, 0, 0),
                abi::LEAVE => return,
                abi::LEAVE_SEGMENTS => return set_segments(slot),
                abi::RESTART => return (*context).rip = (*context).rip.wrapping_sub(INSTRUCTION_BYTES),
                abi::PARK => thread::park(slot),
                abi::EXIT => reply = syscall3(sys::EXIT, 0, 0, 0),
                value => return (*context).rax = value.cast_unsigned(),
            }
        }
    }
}

/// Makes the calls of the batch; gives the next reply.
unsafe fn run(slot: *mut Slot) -> i64 {
    // SAFETY: the slot is this thread's; the monitor chose the calls so that they leave the stub alone.
    unsafe {
        let count = (*slot).orders.count;
        let calls: *const RawCall = (&raw const (*slot).orders.calls).cast();
        for index in 0..count.min(MAX_CALLS as u64) {
            let RawCall { number, arguments: [a, b, c, d, e, f] } = calls.add(index as usize).read_volatile();
            let result = match number {
                abi::FILL => fill(a, b, c),
                abi::ZERO => zero(a, b),
                _ => syscall(number, a, b, c, d, e, f),
            };
            if (-4095..0).contains(&result) {
                return syscall3(DONE.into(), index, result.cast_unsigned(), 0);
            }
        }
        (*slot).orders.then
    }
}

/// Without a library, copies are instructions.
unsafe fn fill(to: u64, len: u64, from: u64) -> i64 {
    // SAFETY: the monitor chose ranges that are mapped; the application could write there itself.
    unsafe { asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _, options(nostack)) };
    0
}

unsafe fn zero(to: u64, len: u64) -> i64 {
    // SAFETY: as above.
    unsafe { asm!("rep stosb", inout("rdi") to => _, inout("rcx") len => _, in("al") 0_u8, options(nostack)) };
    0
}

unsafe fn set_segments(slot: *mut Slot) {
    // SAFETY: the stub uses neither segment.
    unsafe {
        syscall3(sys::ARCH_PRCTL, ARCH_SET_FS, (*slot).orders.fs_base, 0);
        syscall3(sys::ARCH_PRCTL, ARCH_SET_GS, (*slot).orders.gs_base, 0);
    }
}
