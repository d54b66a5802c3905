//! eventfd(2) and eventfd2(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use crate::Errno;
use crate::eventfd::{EventFd, Taking};
use crate::task::Task;
use crate::vfs::OpenFlags;
use crate::wait::Stop;

/// eventfd(2)
pub fn eventfd(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    create(task, call.uint(0), 0)
}

/// eventfd2(2)
pub fn eventfd2(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    create(task, call.uint(0), call.uint(1))
}

fn create(task: &Arc<Task>, count: u32, flags: u32) -> Result<u64, Stop> {
    if flags & !(abi::EFD_SEMAPHORE | abi::O_CLOEXEC | abi::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let taking = if flags & abi::EFD_SEMAPHORE != 0 { Taking::One } else { Taking::All };
    let flags = OpenFlags::from_bits_truncate(flags & !abi::EFD_SEMAPHORE) | OpenFlags::READ_WRITE;
    let ids = &task.kernel().vfs().hooks().counters;
    let object = Arc::new(EventFd::new(count.into(), taking, ids));
    let file = task.kernel().vfs().open_anonymous("[eventfd]", object, flags, &task.credentials())?;
    Ok(super::new_file::install(task, file, flags)?)
}
