//! What every call does that makes a file.

use alloc::sync::Arc;

use crate::Errno;
use crate::task::{Resource, Task};
use crate::vfs::{FdFlags, File, OpenFlags};

/// Gives a new file the lowest descriptor.
pub(super) fn install(task: &Task, file: Arc<File>, flags: OpenFlags) -> Result<u64, Errno> {
    let mut fd_flags = FdFlags::empty();
    fd_flags.set(FdFlags::CLOSE_ON_EXEC, flags.contains(OpenFlags::CLOSE_ON_EXEC));
    let fd = task.files().insert(file, fd_flags, 0, task.process().limit(Resource::Files).soft)?;
    Ok(u64::from(fd.unsigned_abs()))
}
