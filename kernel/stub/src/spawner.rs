//! The spawner: the first thread of a stub, which makes threads and copies of the process when the monitor says so.
//! It has no listener, because clone(2) would hand it on and the host allows one per thread.

use core::mem::size_of;

use crate::abi::{self, Command, Message, Slot, Token};
use crate::sys::{self, syscall, syscall3};
use crate::thread::{self, Made};

const EINTR: i64 = -4;
const SIGKILL: u64 = 9;
const PR_SET_PDEATHSIG: u64 = 1;
const SCM_RIGHTS: u64 = 1;
const SOL_SOCKET: u64 = 1;
const MSG_NOSIGNAL: u64 = 0x4000;

/// `siginfo_t`, as rt_tgsigqueueinfo(2) fills it.
#[repr(C)]
#[derive(Default)]
struct QueuedSignal {
    head: [u64; 3],
    payload: u64,
    rest: [u64; 12],
}

/// Serves commands for ever.
pub(crate) fn serve() -> ! {
    loop {
        match Command::decode(next_payload()) {
            Some(Command::Thread(slot)) => make_thread(slot),
            Some(Command::Fork(slot, token)) => fork(slot, token),
            Some(Command::Exchange) => exchange(),
            None => sys::die(),
        }
    }
}

fn next_payload() -> u64 {
    let mask = 1_u64 << (abi::COMMAND_SIGNAL - 1);
    let mut signal = QueuedSignal::default();
    let (mask_at, signal_at) = ((&raw const mask).addr() as u64, (&raw mut signal).addr() as u64);
    loop {
        // SAFETY: both pointers are valid during the call.
        match unsafe { syscall(sys::RT_SIGTIMEDWAIT, mask_at, signal_at, 0, 8, 0, 0) } {
            EINTR => continue,
            number if number == i64::from(abi::COMMAND_SIGNAL) => return signal.payload,
            _ => sys::die(),
        }
    }
}

fn make_thread(slot: u32) {
    // SAFETY: the monitor gives free slots.
    let Made { listener, thread } = unsafe { thread::make(slot) };
    send(Message { kind: abi::SAID_THREAD, slot, value: listener, thread }, listener);
    close(listener);
}

/// The copy speaks for itself; its parent only when there is none.
fn fork(slot: u32, token: Token) {
    // SAFETY: the copy has this thread only, and goes on as a spawner.
    match unsafe { syscall(sys::CLONE, abi::FORK_FLAGS, 0, 0, 0, 0, 0) } {
        0 => begin_copy(slot, token),
        error if error < 0 => send(Message { kind: abi::SAID_STILLBORN, slot, value: error, thread: 0 }, -1),
        _ => {}
    }
}

fn begin_copy(slot: u32, token: Token) {
    die_with_parent();
    // SAFETY: the monitor gives free slots.
    let Made { listener, thread } = if slot == 0 { Made::NOTHING } else { unsafe { thread::make(slot) } };
    send(Message { kind: abi::SAID_BORN, slot, value: token.value(), thread }, listener);
    close(listener);
}

/// The arguments that the monitor left in slot 0.
fn order() -> [u64; 6] {
    let slot: *const Slot = core::ptr::with_exposed_provenance(abi::slot_address(0) as usize);
    // SAFETY: slot 0 is the spawner's, and mapped.
    unsafe { (&raw const (*slot).orders.calls[0].arguments).read_volatile() }
}

fn close(descriptor: i64) {
    if descriptor >= 0 {
        // SAFETY: only the spawner uses the descriptor.
        unsafe { syscall3(sys::CLOSE, descriptor.cast_unsigned(), 0, 0) };
    }
}

/// The host clears this at each fork. A parent that is already gone shows in the boot socket.
pub(crate) fn die_with_parent() {
    // SAFETY: changes nothing in memory.
    unsafe { syscall3(sys::PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0) };
}

fn exchange() {
    let [address, expected, new, ..] = order();
    // SAFETY: the monitor gives an address of the application's.
    let value = unsafe { sys::exchange(address, expected as u32, new as u32) };
    send(Message { kind: abi::SAID_WORD, slot: 0, value, thread: 0 }, -1);
}

/// `struct cmsghdr` with one descriptor.
#[repr(C)]
struct Control {
    len: u64,
    level_and_kind: u64,
    descriptor: i64,
}

/// `struct msghdr`.
#[repr(C)]
struct Header {
    name: u64,
    name_len: u64,
    parts: u64,
    part_count: u64,
    control: u64,
    control_len: u64,
    flags: u64,
}

/// Sends a message, with a descriptor when it is not negative. A monitor that is gone ends the process.
fn send(message: Message, descriptor: i64) {
    let part = [(&raw const message).addr() as u64, size_of::<Message>() as u64];
    let control = Control { len: 20, level_and_kind: SOL_SOCKET | SCM_RIGHTS << 32, descriptor };
    let (control_at, control_len) =
        if descriptor >= 0 { ((&raw const control).addr() as u64, size_of::<Control>() as u64) } else { (0, 0) };
    let header = Header {
        name: 0,
        name_len: 0,
        parts: (&raw const part).addr() as u64,
        part_count: 1,
        control: control_at,
        control_len,
        flags: 0,
    };
    let header_at = (&raw const header).addr() as u64;
    loop {
        // SAFETY: all that the header points to lives during the call.
        match unsafe { syscall3(sys::SENDMSG, abi::BOOT_FD, header_at, MSG_NOSIGNAL) } {
            EINTR => continue,
            sent if sent < 0 => sys::die(),
            _ => return,
        }
    }
}
