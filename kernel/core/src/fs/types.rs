//! File systems by name, as mount(2) and /proc/filesystems know them.

use alloc::sync::Arc;

use super::{Cgroup2, DevPts, Proc, ProcOptions, Sysfs, Tmpfs, TmpfsOptions, dev, parameters};
use crate::mqueue::Mqueue;
use crate::task::Namespaces;
use crate::vfs::Filesystem;
use crate::{Errno, Kernel};

/// Names that need no device.
pub const TYPES: &[&str] = &["sysfs", "tmpfs", "proc", "cgroup2", "devtmpfs", "devpts", "mqueue", "ramfs"];

/// Makes a file system of a container for mount(2): `ENODEV` for a name that is not known.
pub fn make(
    kernel: &Arc<Kernel>,
    namespaces: &Arc<Namespaces>,
    name: &[u8],
    data: &[u8],
) -> Result<Arc<dyn Filesystem>, Errno> {
    let machine = kernel.shared_machine();
    let known = TYPES.iter().find(|known| known.as_bytes() == name).ok_or(Errno::ENODEV)?;
    parameters::check(known, data)?;
    match name {
        b"tmpfs" => Ok(Tmpfs::new(machine, TmpfsOptions::parse(data)?)?),
        b"ramfs" => Ok(Tmpfs::called("ramfs", machine, TmpfsOptions::parse(data)?)?),
        b"devtmpfs" => {
            let options = TmpfsOptions { permissions: 0o755, ..TmpfsOptions::parse(data)? };
            let devices = Tmpfs::called("devtmpfs", machine, options)?;
            dev::populate(&devices.root())?;
            Ok(devices)
        }
        b"proc" => Ok(Proc::new(kernel, namespaces, ProcOptions::parse(data)?)),
        b"sysfs" => Ok(Sysfs::new(kernel, namespaces)),
        b"cgroup2" => Ok(Cgroup2::new(kernel, namespaces)),
        b"mqueue" => Ok(Arc::new(Mqueue(namespaces.ipc.queues.directory(kernel)))),
        b"devpts" => Ok(DevPts::new(&namespaces.terminals, data)?),
        _ => Err(Errno::ENODEV),
    }
}
