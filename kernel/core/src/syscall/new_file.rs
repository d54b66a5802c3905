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

/// Gives two new files a descriptor each and stores the numbers, `int[2]`. Neither is left when that fails.
pub(super) fn install_both(task: &Task, both: [Arc<File>; 2], flags: OpenFlags, address: u64) -> Result<(), Errno> {
    let [first, second] = both;
    let first = number(install(task, first, flags)?);
    let given = install(task, second, flags).map(number);
    let numbers = [first, given.unwrap_or(-1)];
    let result = given.and_then(|_| task.memory().write_struct(address, &numbers));
    if result.is_err() {
        let closed = numbers.map(|number| task.files().remove(number));
        drop(closed);
    }
    result
}

fn number(fd: u64) -> i32 {
    i32::try_from(fd).unwrap_or(-1)
}
