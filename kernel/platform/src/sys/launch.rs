//! Starting the zygote: clone(2) without an exit signal, so that no SIGCHLD and no wait of the monitor's own children
//! meets a stub, and execveat(2) of the embedded program.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::process::Pid;
use stockade_kernel_stub::abi::BOOT_FD;

use super::checked;

const ADDR_NO_RANDOMIZE: u64 = 0x004_0000;
const STACK_LIMIT: u64 = 8 << 20;
const NAME: &CStr = c"stub";

/// Starts `program` in these control groups, with `boot` as its only descriptor. Both are above [`BOOT_FD`].
pub(crate) fn launch(program: BorrowedFd<'_>, boot: BorrowedFd<'_>, groups: &[OwnedFd]) -> io::Result<Pid> {
    let (program, boot) = (program.as_raw_fd(), boot.as_raw_fd());
    // SAFETY: as fork(2); the child calls nothing but system calls until it executes another program.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    if pid == 0 {
        become_zygote(program, boot, groups);
    }
    let pid = checked(pid)?;
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Runs in the child of a process with many threads: no allocation, no lock.
fn become_zygote(program: RawFd, boot: RawFd, groups: &[OwnedFd]) -> ! {
    let boot_at = i32::try_from(BOOT_FD).unwrap_or(-1);
    let arguments = [NAME.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: system calls with numbers and constants; exec takes null-ended lists.
    unsafe {
        // A group of its own, to be killed as one, but no session: calls that go to and fro between two scheduling
        // groups (sched(7), autogroup) keep the host from running a third one for seconds.
        libc::setpgid(0, 0);
        for group in groups {
            if libc::write(group.as_raw_fd(), c"0".as_ptr().cast(), 1) != 1 {
                libc::_exit(126);
            }
        }
        libc::personality(ADDR_NO_RANDOMIZE);
        limit(libc::RLIMIT_CORE, 0);
        limit(libc::RLIMIT_STACK, STACK_LIMIT);
        libc::dup2(boot, boot_at);
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        libc::_exit(127)
    }
}

/// # Safety
/// In the child only: it changes the process.
unsafe fn limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives during both calls.
    unsafe {
        libc::getrlimit(resource, &raw mut limit);
        limit.rlim_cur = soft.min(limit.rlim_max);
        libc::setrlimit(resource, &raw const limit);
    }
}
