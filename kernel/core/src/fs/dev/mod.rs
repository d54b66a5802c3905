//! Device files: the drivers of memory(4) devices (null, zero, full, random, urandom), and what /dev holds.

mod memory;

use alloc::sync::Arc;

use crate::Errno;
use crate::tty::{PtsDriver, SLAVES, TtyDriver};
use crate::vfs::{Device, Inode, NewInode, NewKind, Vfs};

use memory::MemoryDriver;

/// Major number of the memory devices.
const MEMORY: u32 = 1;
/// Major number of /dev/tty, /dev/console and /dev/ptmx.
const TERMINALS: u32 = 5;

/// Makes the kernel serve its devices.
pub fn add_drivers(vfs: &Vfs) {
    vfs.add_driver(MEMORY, Arc::new(MemoryDriver::new(vfs.machine())));
    vfs.add_driver(TERMINALS, Arc::new(TtyDriver));
    vfs.add_driver(SLAVES, Arc::new(PtsDriver));
}

const NODES: &[(&str, Device)] = &[
    ("null", Device::new(MEMORY, 3)),
    ("zero", Device::new(MEMORY, 5)),
    ("full", Device::new(MEMORY, 7)),
    ("random", Device::new(MEMORY, 8)),
    ("urandom", Device::new(MEMORY, 9)),
    ("tty", Device::new(TERMINALS, 0)),
];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Puts what every container finds in /dev into a directory (the runtime specification's default devices and links).
/// Names that are there already stay.
pub fn populate(directory: &Arc<dyn Inode>) -> Result<(), Errno> {
    let new = |kind, permissions| NewInode { kind, permissions, uid: 0, gid: 0 };
    for (name, device) in NODES {
        add(directory, name, &new(NewKind::Character(*device), 0o666))?;
    }
    for (name, target) in LINKS {
        add(directory, name, &new(NewKind::Symlink(target.as_bytes()), 0o777))?;
    }
    Ok(())
}

fn add(directory: &Arc<dyn Inode>, name: &str, new: &NewInode<'_>) -> Result<(), Errno> {
    match directory.lookup(name.as_bytes()) {
        Err(Errno::ENOENT) => directory.create(name.as_bytes(), new).map(drop),
        there => there.map(drop),
    }
}
