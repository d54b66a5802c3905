//! File systems by name, as mount(2) and /proc/filesystems know them.

use alloc::sync::Arc;

use super::{Tmpfs, TmpfsOptions, dev};
use crate::Errno;
use crate::task::Task;
use crate::vfs::Filesystem;

/// Names, and whether they need no device.
pub const TYPES: &[&str] = &["tmpfs", "ramfs", "devtmpfs"];

/// Makes a file system for mount(2): `ENODEV` for a name that is not known.
pub fn make(task: &Arc<Task>, name: &[u8], data: &[u8]) -> Result<Arc<dyn Filesystem>, Errno> {
    let machine = task.kernel().shared_machine();
    match name {
        b"tmpfs" | b"ramfs" => Ok(Tmpfs::new(machine, TmpfsOptions::parse(data)?)?),
        b"devtmpfs" => {
            let devices = Tmpfs::new(machine, TmpfsOptions { permissions: 0o755, ..TmpfsOptions::parse(data)? })?;
            dev::populate(&devices.root())?;
            Ok(devices)
        }
        _ => Err(Errno::ENODEV),
    }
}
