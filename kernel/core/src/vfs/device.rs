//! Drivers behind device nodes.

use alloc::sync::Arc;
use core::fmt::Debug;

use super::{Device, FileKind, FileObject, Opening, Vfs};
use crate::Errno;

/// What a device number stands for.
pub trait Driver: Debug + Send + Sync {
    /// Opens a node with this minor number.
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno>;
}

impl Vfs {
    /// Makes a driver serve the character devices with a major number.
    pub fn add_driver(&self, major: u32, driver: Arc<dyn Driver>) {
        self.drivers.lock().insert(major, driver);
    }

    /// Opens a device node. There are no block devices.
    pub(super) fn open_device(&self, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        let stat = opening.path.stat()?;
        if FileKind::from_mode(stat.mode) != Some(FileKind::Character) {
            return Err(Errno::ENXIO);
        }
        let Device { major, minor } = stat.rdev;
        let driver = self.drivers.lock().get(&major).cloned().ok_or(Errno::ENXIO)?;
        driver.open(minor, opening)
    }
}
