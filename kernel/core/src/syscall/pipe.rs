//! pipe(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::new_file::install;
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
    let ends = open_pipe(task.kernel().vfs(), &task.credentials(), flags);
    let mut numbers = [0_i32; 2];
    for (end, number) in ends.into_iter().zip(&mut numbers) {
        let fd = install(task, end, flags)?;
        *number = i32::try_from(fd).unwrap_or(i32::MAX);
    }
    if let Err(errno) = task.memory().write_struct(address, &numbers) {
        for number in numbers {
            task.files().remove(number)?;
        }
        return Err(errno.into());
    }
    Ok(())
}
