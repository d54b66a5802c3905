//! Facts about the machine that applications see.

use std::io;

use rustix::process::Pid;
use stockade_kernel::platform::{MachineInfo, UserRange};
use stockade_kernel_stub::abi::{Hello, RESERVED_START};

use crate::procfs::Proc;
use crate::range::USER_START;

/// XSAVE bytes that every processor has, when the host says nothing.
const MIN_SIGNAL_STACK_BYTES: u64 = 2048;

/// Collects them, while the zygote waits for its filter.
pub(crate) fn machine_info(hello: &Hello, zygote: Pid, proc: &Proc) -> io::Result<MachineInfo> {
    let (hwcap, hwcap2) = rustix::param::linux_hwcap();
    let fp_state_bytes = usize::try_from(hello.fp_bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(MachineInfo {
        user_range: UserRange { start: USER_START, end: RESERVED_START },
        vdso_address: hello.vdso,
        vdso_range: proc.vdso_range(zygote)?,
        hwcap: [hwcap as u64, hwcap2 as u64],
        min_signal_stack_bytes: signal_stack_bytes(hello),
        fp_state_bytes,
        cpuinfo: proc.cpuinfo()?,
        cpus: rustix::thread::sched_getaffinity(None)?.count(),
        memory_bytes: memory_bytes(),
    })
}

/// A frame, its red zone and what aligning takes.
fn signal_stack_bytes(hello: &Hello) -> u64 {
    (hello.context_depth + 256).max(MIN_SIGNAL_STACK_BYTES)
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}
