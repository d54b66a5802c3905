//! The first steps of an application thread.

use core::arch::naked_asm;
use core::mem::size_of;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::abi::{self, Context, HELLO, Saved, Slot};
use crate::sys::{self, syscall3};
use crate::{boot, handler};

const SET_MODE_FILTER: u64 = 1;
const FUTEX_WAIT_PRIVATE: u64 = 128;
const FUTEX_WAKE_PRIVATE: u64 = 129;

/// `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
pub(crate) struct Program {
    pub len: u16,
    pub instructions: *const Instruction,
}

const fn instruction(code: u16, jump_true: u8, value: u32) -> Instruction {
    Instruction { code, jump_true, jump_false: 0, value }
}

const LOAD_NUMBER: Instruction = load(0);
const fn if_number(number: u32, jump: u8) -> Instruction {
    instruction(0x15, jump, number)
}
const fn load(offset: u32) -> Instruction {
    instruction(0x20, 0, offset)
}
const fn and(mask: u32) -> Instruction {
    instruction(0x54, 0, mask)
}
const fn if_zero(jump: u8) -> Instruction {
    if_number(0, jump)
}
const fn end(value: u32) -> Instruction {
    instruction(0x06, 0, value)
}

const TO_MONITOR: Instruction = end(0x7fc0_0000);
const TO_BASE_FILTER: Instruction = end(0x7fff_0000);
const FUTEX_COMMAND_MASK: u32 = 0x7f;
/// Where `struct seccomp_data` has the second and the fourth argument.
const OPERATION: u32 = 24;
const TIMEOUT: u32 = 40;

/// futex, sched_yield, restart_syscall, rt_sigreturn and arch_prctl are left to the base filter; the rest goes to the
/// monitor, and so does FUTEX_WAIT with a timeout. Short, because the host compiles it for each thread.
static FILTER: [Instruction; 19] = [
    LOAD_NUMBER,
    if_number(202, 6),
    if_number(24, 4),
    if_number(219, 3),
    if_number(15, 2),
    if_number(158, 1),
    TO_MONITOR,
    TO_BASE_FILTER,
    load(OPERATION),
    and(FUTEX_COMMAND_MASK),
    if_zero(1),
    TO_BASE_FILTER,
    load(TIMEOUT),
    if_zero(1),
    TO_MONITOR,
    load(TIMEOUT + 4),
    if_zero(1),
    TO_MONITOR,
    TO_BASE_FILTER,
];

/// Where clone(2) leaves a new thread: on the top of its slot's stack.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn entry() -> ! {
    naked_asm!("xor ebp, ebp", "call {main}", "ud2", main = sym main)
}

unsafe extern "C" fn main() -> ! {
    let Some(slot) = handler::own_slot() else { sys::die() };
    // SAFETY: the slot is this thread's.
    unsafe {
        (*slot).listener = listen();
        ready(slot).store(1, Ordering::Release);
        wake(ready(slot));
        live(slot, (*slot).orders.begin)
    }
}

/// Begins again on the top of the slot's stack, for another application thread.
///
/// # Safety
/// The slot is this thread's.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn park(_slot: *mut Slot) -> ! {
    naked_asm!("lea rsp, [rdi + {top}]", "xor ebp, ebp", "xor esi, esi", "call {live}", "ud2", top = const abi::SLOT_BYTES - 64, live = sym live)
}

/// Becomes an application thread, whose first reply is known or waited for.
unsafe extern "C" fn live(slot: *mut Slot, begin: i64) -> ! {
    let context: *mut Context = slot.cast::<u8>().wrapping_add(abi::CONTEXT_OFFSET as usize).cast();
    // SAFETY: the slot is this thread's; the monitor has written the context when it replies.
    unsafe {
        let reply = if begin == 0 { syscall3(HELLO.into(), 0, 0, 0) } else { begin };
        let (fs_base, gs_base) = ((*slot).orders.fs_base, (*slot).orders.gs_base);
        (*slot).saved = Saved { context: context.addr() as u64, fs_base, gs_base, heap: 0 };
        handler::obey(slot, context, reply);
        sys::resume(context)
    }
}

/// Puts the thread's filter on and gives its listener. From here on the monitor answers.
unsafe fn listen() -> i32 {
    let program = Program { len: FILTER.len() as u16, instructions: FILTER.as_ptr() };
    // SAFETY: the program is valid during the call.
    let listener =
        unsafe { syscall3(sys::SECCOMP, SET_MODE_FILTER, boot::listener_flags(), (&raw const program).addr() as u64) };
    listener as i32
}

unsafe fn ready<'a>(slot: *mut Slot) -> &'a AtomicU32 {
    // SAFETY: slots are mapped as long as the process lives, and the word is only used as an atomic.
    unsafe { AtomicU32::from_ptr(&raw mut (*slot).ready) }
}

unsafe fn wake(word: &AtomicU32) {
    // SAFETY: wakes waiters and reads nothing.
    unsafe { syscall3(sys::FUTEX, word.as_ptr().addr() as u64, FUTEX_WAKE_PRIVATE, 1) };
}

/// A thread that was made: its listener or an error, and its host's id.
pub(crate) struct Made {
    pub listener: i64,
    pub thread: i64,
}

impl Made {
    /// None.
    pub const NOTHING: Self = Self { listener: -1, thread: 0 };
}

/// Makes a thread in `slot`. Called by the spawner.
///
/// # Safety
/// No thread is in the slot.
pub(crate) unsafe fn make(slot: u32) -> Made {
    let address = abi::slot_address(slot);
    let slot: *mut Slot = core::ptr::with_exposed_provenance_mut(address as usize);
    // The thread returns from the system call to what lies on its stack.
    let top = address + abi::SLOT_BYTES - 64 - size_of::<u64>() as u64;
    // SAFETY: the slot is free; the thread's stack is its own.
    unsafe {
        core::ptr::with_exposed_provenance_mut::<u64>(top as usize).write((entry as *const ()).addr() as u64);
        ready(slot).store(0, Ordering::Relaxed);
        let id = sys::syscall(sys::CLONE, abi::THREAD_FLAGS, top, 0, 0, 0, 0);
        if id < 0 {
            return Made { listener: id, thread: 0 };
        }
        while ready(slot).load(Ordering::Acquire) == 0 {
            syscall3(sys::FUTEX, ready(slot).as_ptr().addr() as u64, FUTEX_WAIT_PRIVATE, 0);
        }
        Made { listener: i64::from((*slot).listener), thread: id }
    }
}
