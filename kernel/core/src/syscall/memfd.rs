//! memfd_create(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::new_file::install;
use crate::Errno;
use crate::task::Task;
use crate::vfs::{OpenFlags, Sealing};
use crate::wait::Stop;

/// What a name can have at most, `memfd:` taken off.
const NAME_BYTES_MAX: usize = 249;
/// MFD_NOEXEC_SEAL and MFD_EXEC say whether it may be executed.
const NO_EXEC_SEAL: u32 = 8;
const EXEC: u32 = 0x10;

/// memfd_create(2)
pub fn memfd_create(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = call.uint(1);
    let known = abi::MFD_CLOEXEC | abi::MFD_ALLOW_SEALING | NO_EXEC_SEAL | EXEC;
    if flags & !known != 0 || flags & (NO_EXEC_SEAL | EXEC) == NO_EXEC_SEAL | EXEC {
        return Err(Errno::EINVAL.into());
    }
    let name = task.memory().read_string(call.arg(0), NAME_BYTES_MAX + 1, Errno::EINVAL)?;
    let permissions = if flags & NO_EXEC_SEAL == 0 { 0o777 } else { 0o666 };
    let sealing = match (flags & NO_EXEC_SEAL, flags & abi::MFD_ALLOW_SEALING) {
        (0, 0) => Sealing::Refused,
        (0, _) => Sealing::Allowed,
        _ => Sealing::NeverExecuted,
    };
    let file = task.kernel().vfs().open_memory(&name, permissions, sealing, &task.credentials())?;
    let mut status = OpenFlags::empty();
    status.set(OpenFlags::CLOSE_ON_EXEC, flags & abi::MFD_CLOEXEC != 0);
    Ok(install(task, file, status)?)
}
