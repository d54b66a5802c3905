//! signalfd(2), signalfd4(2).

use alloc::sync::Arc;

use super::Call;
use crate::Errno;
use crate::signal::{SignalFd, SignalSet};
use crate::task::Task;
use crate::vfs::OpenFlags;
use crate::wait::Stop;

/// signalfd(2)
pub fn signalfd(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    make(task, call, OpenFlags::empty())
}

/// signalfd4(2)
pub fn signalfd4(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    make(task, call, OpenFlags::from_bits_retain(call.uint(3)))
}

fn make(task: &Arc<Task>, call: &Call, flags: OpenFlags) -> Result<u64, Stop> {
    if call.arg(2) != 8 || !(OpenFlags::CLOSE_ON_EXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let wanted = SignalSet::mask(task.memory().read_struct(call.arg(1))?);
    if call.int(0) == -1 {
        let object = SignalFd::new(task, wanted);
        let flags = flags | OpenFlags::READ_WRITE;
        let file = task.kernel().vfs().open_anonymous("[signalfd]", object, flags, &task.credentials())?;
        return Ok(super::new_file::install(task, file, flags)?);
    }
    let file = task.files().get(call.int(0))?;
    file.downcast::<SignalFd>().ok_or(Errno::EINVAL)?.set_wanted(wanted);
    Ok(u64::from(call.int(0).unsigned_abs()))
}
