//! The stub as a program: its first instruction, and what the compiler wants of a program without a library. Built by
//! the build script of `kernel/platform`.
#![no_std]
#![no_main]

use core::arch::naked_asm;
use core::panic::PanicInfo;

/// Where the host enters: the stack pointer is the only argument.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {start}", "ud2", start = sym stockade_kernel_stub::start)
}

/// The compiler makes calls of these.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(_to: *mut u8, _from: *const u8, _len: usize) -> *mut u8 {
    naked_asm!("mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret")
}

#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(_to: *mut u8, _byte: i32, _len: usize) -> *mut u8 {
    naked_asm!("mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret")
}

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    stockade_kernel_stub::die()
}
