//! The system as a whole: uname(2), sethostname(2), setdomainname(2), sysinfo(2), getrandom(2), syslog(2), acct(2) and
//! what only an administrator of the host may do.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use crate::Errno;
use crate::abi::Encoder;
use crate::io::Sink as _;
use crate::platform::HostClock;
use crate::task::{Capabilities, Task, Uts};
use crate::wait::Stop;

/// personality(2): which system is played, and the one whose machine has 32 bits.
const PER_MASK: u32 = 0xff;
const PER_LINUX32: u32 = 8;

/// uname(2)
pub fn uname(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let uts = &task.process().namespaces().uts;
    let (host, domain) = (uts.hostname(), uts.domainname());
    let mut to = Encoder::new();
    let machine = if task.personality() & PER_MASK == PER_LINUX32 { b"i686" } else { Uts::MACHINE };
    for name in [Uts::SYSNAME, &host, Uts::RELEASE, Uts::VERSION, machine, &domain] {
        to.bytes(name).zeros(Uts::NAME_BYTES_MAX + 1 - name.len());
    }
    Ok(task.memory().write_bytes(call.arg(0), &to.finish())?)
}

fn new_name(task: &Task, call: &Call) -> Result<Vec<u8>, Errno> {
    if !task.credentials().has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(call.int(1)).ok().filter(|len| *len <= Uts::NAME_BYTES_MAX).ok_or(Errno::EINVAL)?;
    task.memory().read_vec(call.arg(0), len)
}

/// sethostname(2)
pub fn sethostname(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let name = new_name(task, call)?;
    task.process().namespaces().uts.set_hostname(name);
    Ok(())
}

/// setdomainname(2)
pub fn setdomainname(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let name = new_name(task, call)?;
    task.process().namespaces().uts.set_domainname(name);
    Ok(())
}

/// sysinfo(2)
pub fn sysinfo(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let kernel = task.kernel();
    let uptime = kernel.machine().now(HostClock::Boottime).as_secs();
    let (total, free) = kernel.memory_bytes();
    let shared = kernel.machine().pool().used_bytes();
    let tasks = u16::try_from(task.process().pids().usage().0).unwrap_or(u16::MAX);
    let mut to = Encoder::new();
    to.put(uptime).put(kernel.load_averages().for_sysinfo());
    to.put([total, free, shared, 0, 0, 0]).put(tasks).zeros(6);
    to.put([0_u64, 0]).put(1_u32).zeros(4);
    Ok(task.memory().write_bytes(call.arg(0), &to.finish())?)
}

/// GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE.
const RANDOM_FLAGS: u32 = 7;
/// GRND_RANDOM with GRND_INSECURE makes no sense.
const RANDOM_CONFLICT: u32 = 6;

/// getrandom(2)
pub fn getrandom(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = call.uint(2);
    if flags & !RANDOM_FLAGS != 0 || flags & RANDOM_CONFLICT == RANDOM_CONFLICT {
        return Err(Errno::EINVAL.into());
    }
    let memory = task.memory();
    let mut to = memory.buffer(call.arg(0), call.size(1));
    let mut chunk = [0; 256];
    let mut done = 0;
    while to.remaining() > 0 {
        let len = to.remaining().min(chunk.len());
        task.kernel().machine().random(&mut chunk[..len]);
        match to.put(&chunk[..len]) {
            Ok(count) if count == len => done += count as u64,
            Ok(count) => return Ok(done + count as u64),
            Err(_) if done > 0 => return Ok(done),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(done)
}

/// syslog(2): there is no log that processes may read.
pub fn syslog(_: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
    Err(Errno::EPERM.into())
}

macro_rules! absent {
    ($($name:ident)*) => {$(
        #[doc = concat!(stringify!($name), "(2): not there, as in a Linux that was built without.")]
        pub fn $name(_: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
            Err(Errno::ENOSYS.into())
        }
    )*};
}

absent! { fanotify_init fanotify_mark }

/// acct(2), swapon(2), reboot(2), init_module(2) and their like: the host's, in a container.
fn refused() -> Result<(), Stop> {
    Err(Errno::EPERM.into())
}

macro_rules! refused {
    ($($name:ident)*) => {$(
        #[doc = concat!(stringify!($name), "(2): refused, as to everybody in a container.")]
        pub fn $name(_: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
            refused()
        }
    )*};
}

refused! {
    acct swapon swapoff reboot init_module finit_module delete_module iopl ioperm settimeofday clock_settime vhangup
    quotactl lookup_dcookie kexec_load kexec_file_load perf_event_open bpf
}
