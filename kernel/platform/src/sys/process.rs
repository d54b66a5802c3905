//! Signals to threads, commands to spawners, and the end of stubs.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::process::Pid;
use stockade_kernel::platform::ThreadUsage;
use stockade_kernel_stub::abi::{COMMAND_SIGNAL, Command, KICK_SIGNAL};

use super::checked;

const CPUCLOCK_PROF: i32 = 0;
const CPUCLOCK_VIRT: i32 = 1;
const CPUCLOCK_SCHED: i32 = 2;
/// The host takes no sample more often: of what is shorter it knows nothing else.
const SAMPLED_MIN: Duration = Duration::from_millis(1);

/// `siginfo_t`, as a queued signal fills it.
#[repr(C)]
struct QueuedSignal {
    number: i32,
    error: i32,
    code: i32,
    pad: i32,
    pid: i32,
    uid: u32,
    payload: u64,
    rest: [u64; 12],
}

/// Makes one thread of a stub raise an event.
pub(crate) fn kick(pid: Pid, tid: i32) {
    // SAFETY: numbers only. A thread that is gone needs no kick.
    unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw_nonzero().get(), tid, KICK_SIGNAL) };
}

/// Gives a stub's spawner, its first thread, something to do.
pub(crate) fn command(pid: Pid, command: Command) -> io::Result<()> {
    let pid = pid.as_raw_nonzero().get();
    let signal = QueuedSignal {
        number: COMMAND_SIGNAL,
        error: 0,
        code: libc::SI_QUEUE,
        pad: 0,
        pid: 0,
        uid: 0,
        payload: command.encode(),
        rest: [0; 12],
    };
    // SAFETY: the host reads a `siginfo_t`, 128 bytes.
    let result = unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, pid, COMMAND_SIGNAL, &raw const signal) };
    checked(result).map(drop)
}

/// The host counts pages in batches, one for each processor, and may have none of a small process.
const LEAST_PEAK_KIB: i64 = 4;

/// Takes a dead child's status off the host, and says what faults it had, and how much memory at most. Children without
/// an exit signal are seen with __WALL only.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> ThreadUsage {
    let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    let mut used = MaybeUninit::<libc::rusage>::zeroed();
    let nowhere = std::ptr::null_mut::<libc::siginfo_t>();
    // The C library's function lacks the last argument.
    // SAFETY: a null `siginfo_t` is allowed, and the host writes to `used`.
    unsafe {
        libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd.as_raw_fd(), nowhere, options, used.as_mut_ptr());
    }
    // SAFETY: zeroed, so initialised; it has numbers only.
    let used = unsafe { used.assume_init() };
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    ThreadUsage {
        minor_faults: number(used.ru_minflt),
        major_faults: number(used.ru_majflt),
        resident_bytes: number(used.ru_maxrss.max(LEAST_PEAK_KIB)) << 10,
        ..ThreadUsage::default()
    }
}

/// User and system time of a process (the clock ids of clock_getcpuclockid(3)): how much it was is exact, which part of
/// it was which comes from samples.
pub(crate) fn cpu_time(pid: Pid) -> (Duration, Duration) {
    let total = cpu_total(pid);
    if total < SAMPLED_MIN {
        return (total, Duration::ZERO);
    }
    let (user, both) = (clock(pid, CPUCLOCK_VIRT), clock(pid, CPUCLOCK_PROF));
    parts_of(total, (user, both.saturating_sub(user)))
}

/// The sum of both.
pub(crate) fn cpu_total(pid: Pid) -> Duration {
    clock(pid, CPUCLOCK_SCHED)
}

/// Parts a time in the ratio of samples; what no sample met is the application's.
pub(crate) fn parts_of(total: Duration, (user, system): (Duration, Duration)) -> (Duration, Duration) {
    let share = (total.as_nanos() * user.as_nanos()).checked_div((user + system).as_nanos());
    let user = share.and_then(|share| u64::try_from(share).ok()).map_or(total, Duration::from_nanos);
    (user, total.saturating_sub(user))
}

fn clock(pid: Pid, kind: i32) -> Duration {
    let id = (!pid.as_raw_nonzero().get() << 3) | kind;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the host writes to `time`.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_parted_as_the_samples_say() {
        let ms = Duration::from_millis;
        assert_eq!(parts_of(ms(9), (ms(20), ms(10))), (ms(6), ms(3)));
        assert_eq!(parts_of(ms(9), (ms(0), ms(10))), (ms(0), ms(9)));
        assert_eq!(parts_of(ms(9), (ms(0), ms(0))), (ms(9), ms(0)));
    }
}
