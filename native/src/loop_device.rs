//! Loop devices (loop(4)) for kernels whose EROFS cannot mount a file: they free themselves at the last close.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use crate::sys::loop_ioctl::{configure, free_device};

/// A read-only loop device over a file; gone once neither a mount nor this value uses it.
pub(crate) struct LoopDevice {
    path: String,
    _device: File,
}

impl LoopDevice {
    /// Finds a free device and attaches the file. Another process may take the free one first; then the next is tried.
    pub(crate) fn attach(file: &File) -> io::Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        loop {
            let path = format!("/dev/loop{}", free_device(control.as_raw_fd())?);
            let device = File::open(&path)?;
            match configure(device.as_raw_fd(), file.as_raw_fd()) {
                Ok(()) => return Ok(Self { path, _device: device }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The device's path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
