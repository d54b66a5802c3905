//! pipe(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::new_file::install_both;
use crate::Errno;
use crate::pipe::open_pipe;
use crate::task::Task;
use crate::vfs::OpenFlags;
use crate::wait::Stop;

/// pipe(2)
pub fn pipe(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    make(task, call.arg(0), OpenFlags::empty())
}

/// pipe2(2)
pub fn pipe2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = call.uint(1);
    if flags & !(abi::O_CLOEXEC | abi::O_NONBLOCK | abi::O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    make(task, call.arg(0), OpenFlags::from_bits_truncate(flags))
}

fn make(task: &Arc<Task>, address: u64, flags: OpenFlags) -> Result<(), Stop> {
    let ends = open_pipe(task.kernel().vfs(), &task.credentials(), flags)?;
    Ok(install_both(task, ends, flags, address)?)
}
