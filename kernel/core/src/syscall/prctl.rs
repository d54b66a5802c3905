//! prctl(2), arch_prctl(2), personality(2).

use alloc::sync::Arc;

use linux_raw_sys::prctl as abi;

use super::Call;
use crate::Errno;
use crate::signal::Signal;
use crate::task::{Capabilities, Credentials, HugePages, Task};
use crate::wait::Stop;

/// prctl(2)
pub fn prctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let rest = [call.arg(2), call.arg(3), call.arg(4)];
    let unused = |count: usize| if rest[3 - count..].iter().all(|arg| *arg == 0) { Ok(()) } else { Err(Errno::EINVAL) };
    match call.uint(0) {
        abi::PR_SET_NAME => set_name(task, call.arg(1)),
        abi::PR_GET_NAME => get_name(task, call.arg(1)),
        abi::PR_SET_PDEATHSIG => set_parent_death_signal(task, call.arg(1)),
        abi::PR_GET_PDEATHSIG => {
            let signal = task.settings.lock().parent_death_signal.map_or(0, Signal::raw);
            store(task, call.arg(1), signal)
        }
        abi::PR_GET_DUMPABLE => Ok(task.settings.lock().dumpable.into()),
        abi::PR_SET_DUMPABLE => set_dumpable(task, call.arg(1)),
        abi::PR_SET_NO_NEW_PRIVS => {
            unused(3)?;
            set_no_new_privs(task, call.arg(1))
        }
        abi::PR_GET_NO_NEW_PRIVS => {
            unused(3)?;
            if call.arg(1) != 0 {
                return Err(Errno::EINVAL.into());
            }
            Ok(task.credentials().no_new_privs.into())
        }
        abi::PR_SET_CHILD_SUBREAPER => set_subreaper(task, call.arg(1)),
        abi::PR_GET_CHILD_SUBREAPER => {
            let process = task.process();
            let subreaper = process.pids().tree().node(process.pid()).is_some_and(|node| node.subreaper);
            store(task, call.arg(1), subreaper.into())
        }
        abi::PR_GET_KEEPCAPS => Ok(task.credentials().keep_capabilities.into()),
        abi::PR_SET_KEEPCAPS => set_keep_capabilities(task, call.arg(1)),
        abi::PR_GET_SECUREBITS => Ok(securebits(&task.credentials()).into()),
        abi::PR_SET_SECUREBITS => set_securebits(task, call.arg(1)),
        abi::PR_CAPBSET_READ => {
            let capability = capability(call.arg(1))?;
            Ok(task.credentials().bounding.contains(capability).into())
        }
        abi::PR_CAPBSET_DROP => drop_bounding(task, call.arg(1)),
        abi::PR_CAP_AMBIENT => {
            unused(2)?;
            ambient(task, call.arg(1), call.arg(2))
        }
        abi::PR_GET_TIMERSLACK => Ok(task.settings.lock().scheduling.timer_slack),
        abi::PR_SET_TIMERSLACK => {
            let slack = if call.arg(1).cast_signed() <= 0 { DEFAULT_TIMER_SLACK } else { call.arg(1) };
            task.settings.lock().scheduling.timer_slack = slack;
            Ok(0)
        }
        abi::PR_GET_TIMING => Ok(0),
        abi::PR_SET_TIMING if call.arg(1) == 0 => Ok(0),
        abi::PR_GET_TSC => store(task, call.arg(1), abi::PR_TSC_ENABLE.cast_signed()),
        abi::PR_SET_TSC if call.arg(1) == u64::from(abi::PR_TSC_ENABLE) => Ok(0),
        abi::PR_GET_SECCOMP => Ok(0),
        abi::PR_GET_TID_ADDRESS => {
            let address = task.settings.lock().clear_child_tid;
            task.memory().write_struct(call.arg(1), &address)?;
            Ok(0)
        }
        abi::PR_SET_THP_DISABLE => {
            unused(2)?;
            set_huge_pages(task, if call.arg(1) == 0 { HugePages::Allowed } else { HugePages::Disabled })
        }
        abi::PR_GET_THP_DISABLE => {
            unused(3)?;
            if call.arg(1) != 0 {
                return Err(Errno::EINVAL.into());
            }
            Ok(u64::from(task.settings.lock().huge_pages == HugePages::Disabled))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// For the whole process, as on Linux, where it is the address space's.
fn set_huge_pages(task: &Task, huge_pages: HugePages) -> Result<u64, Stop> {
    for other in task.process().tasks() {
        other.settings.lock().huge_pages = huge_pages;
    }
    Ok(0)
}

/// Nanoseconds.
const DEFAULT_TIMER_SLACK: u64 = 50_000;

fn store(task: &Task, address: u64, value: i32) -> Result<u64, Stop> {
    task.memory().write_struct(address, &value)?;
    Ok(0)
}

fn set_name(task: &Task, address: u64) -> Result<u64, Stop> {
    let name = match task.memory().read_string(address, 15, Errno::E2BIG) {
        Err(Errno::E2BIG) => task.memory().read_vec(address, 15)?,
        name => name?,
    };
    task.set_name(&name);
    Ok(0)
}

fn get_name(task: &Task, address: u64) -> Result<u64, Stop> {
    let name = task.settings.lock().name;
    task.memory().write_bytes(address, &name)?;
    Ok(0)
}

fn set_parent_death_signal(task: &Task, number: u64) -> Result<u64, Stop> {
    let signal = Signal::optional(i32::try_from(number).map_err(|_| Errno::EINVAL)?)?;
    task.settings.lock().parent_death_signal = signal;
    Ok(0)
}

fn set_dumpable(task: &Task, value: u64) -> Result<u64, Stop> {
    let value = u8::try_from(value).ok().filter(|value| *value <= 1).ok_or(Errno::EINVAL)?;
    task.settings.lock().dumpable = value;
    Ok(0)
}

fn set_no_new_privs(task: &Task, value: u64) -> Result<u64, Stop> {
    if value != 1 {
        return Err(Errno::EINVAL.into());
    }
    change(task, |credentials| {
        credentials.no_new_privs = true;
        Ok(())
    })
}

fn change(task: &Task, change: impl FnOnce(&mut Credentials) -> Result<(), Errno>) -> Result<u64, Stop> {
    task.change_credentials(change)?;
    Ok(0)
}

fn set_subreaper(task: &Task, value: u64) -> Result<u64, Stop> {
    let process = task.process();
    if let Some(node) = process.pids().tree().node_mut(process.pid()) {
        node.subreaper = value != 0;
    }
    Ok(0)
}

/// SECBIT_KEEP_CAPS, kept apart in [`Credentials::keep_capabilities`].
const KEEP_CAPS: u32 = 1 << 4;
const KEEP_CAPS_LOCKED: u32 = 1 << 5;
/// All bits of capabilities(7), "securebits flags"; each second one locks the one before.
const KNOWN_SECUREBITS: u32 = 0xff;
const LOCKS: u32 = 0xaa;

fn securebits(credentials: &Credentials) -> u32 {
    credentials.securebits | if credentials.keep_capabilities { KEEP_CAPS } else { 0 }
}

fn set_keep_capabilities(task: &Task, value: u64) -> Result<u64, Stop> {
    if value > 1 {
        return Err(Errno::EINVAL.into());
    }
    change(task, |credentials| {
        if credentials.securebits & KEEP_CAPS_LOCKED != 0 {
            return Err(Errno::EPERM);
        }
        credentials.keep_capabilities = value == 1;
        Ok(())
    })
}

fn set_securebits(task: &Task, value: u64) -> Result<u64, Stop> {
    let new = u32::try_from(value).ok().filter(|new| new & !KNOWN_SECUREBITS == 0).ok_or(Errno::EPERM)?;
    change(task, |credentials| {
        let old = securebits(credentials);
        let locked = old & LOCKS;
        let changes_locked = locked >> 1 & (old ^ new) != 0 || locked & !new != 0;
        if changes_locked || !credentials.has(Capabilities::SETPCAP) {
            return Err(Errno::EPERM);
        }
        credentials.securebits = new & !KEEP_CAPS;
        credentials.keep_capabilities = new & KEEP_CAPS != 0;
        Ok(())
    })
}

fn capability(number: u64) -> Result<Capabilities, Errno> {
    let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number)).ok_or(Errno::EINVAL)?;
    Capabilities::from_bits(bit).ok_or(Errno::EINVAL)
}

fn drop_bounding(task: &Task, number: u64) -> Result<u64, Stop> {
    change(task, |credentials| {
        if !credentials.has(Capabilities::SETPCAP) {
            return Err(Errno::EPERM);
        }
        credentials.bounding -= capability(number)?;
        Ok(())
    })
}

/// SECBIT_NO_CAP_AMBIENT_RAISE
const NO_AMBIENT_RAISE: u32 = 1 << 6;

fn ambient(task: &Task, operation: u64, number: u64) -> Result<u64, Stop> {
    if operation == u64::from(abi::PR_CAP_AMBIENT_CLEAR_ALL) {
        if number != 0 {
            return Err(Errno::EINVAL.into());
        }
        return change(task, |credentials| {
            credentials.ambient = Capabilities::empty();
            Ok(())
        });
    }
    let capability = capability(number)?;
    match u32::try_from(operation) {
        Ok(abi::PR_CAP_AMBIENT_IS_SET) => Ok(task.credentials().ambient.contains(capability).into()),
        Ok(abi::PR_CAP_AMBIENT_LOWER) => change(task, |credentials| {
            credentials.ambient -= capability;
            Ok(())
        }),
        Ok(abi::PR_CAP_AMBIENT_RAISE) => change(task, |credentials| {
            let allowed = (credentials.permitted & credentials.inheritable).contains(capability);
            if !allowed || credentials.securebits & NO_AMBIENT_RAISE != 0 {
                return Err(Errno::EPERM);
            }
            credentials.ambient |= capability;
            Ok(())
        }),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// What personality(2) only asks with.
const ASK: u32 = 0xffff_ffff;

/// Codes of arch_prctl(2).
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;
const ARCH_GET_CPUID: u32 = 0x1011;
const ARCH_SET_CPUID: u32 = 0x1012;

/// arch_prctl(2); setting FS and GS is native.
pub fn arch_prctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    match call.uint(0) {
        code @ (ARCH_GET_FS | ARCH_GET_GS) => {
            let frame = task.thread().ok_or(Errno::ESRCH)?.frame()?;
            let base = if code == ARCH_GET_FS { frame.registers.fs_base } else { frame.registers.gs_base };
            task.memory().write_struct(call.arg(1), &base)?;
            Ok(0)
        }
        ARCH_GET_CPUID => Ok(1),
        ARCH_SET_CPUID => Err(Errno::ENODEV.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// personality(2)
pub fn personality(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let mut settings = task.settings.lock();
    let old = settings.personality;
    if call.uint(0) != ASK {
        settings.personality = call.uint(0);
    }
    Ok(old.into())
}
