//! A device's interrupt: reasons that the driver reads and acknowledges, and the line.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use vmm_sys_util::eventfd::EventFd;

use super::Error;

const USED_BUFFER: u32 = 1;
const CONFIG_CHANGED: u32 = 2;

/// Shared by the device's thread, which raises it, and processors, which acknowledge it.
pub struct Interrupt {
    status: AtomicU32,
    /// Reasons that always hold, because another process raises the line for them.
    standing: u32,
    line: EventFd,
}

impl Interrupt {
    /// A quiet interrupt with an event for its line.
    pub fn new() -> io::Result<Self> {
        let line = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Interrupt { status: AtomicU32::new(0), standing: 0, line })
    }

    /// One whose line is raised by another process, for used buffers.
    pub fn raised_elsewhere() -> io::Result<Self> {
        Ok(Interrupt { standing: USED_BUFFER, ..Self::new()? })
    }

    /// The event that the hypervisor turns into an edge.
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    /// The driver shall look at the used rings.
    pub fn used(&self) -> Result<(), Error> {
        self.raise(USED_BUFFER)
    }

    /// The driver shall read the configuration, or the status.
    pub fn config_changed(&self) -> Result<(), Error> {
        self.raise(CONFIG_CHANGED)
    }

    /// What the driver has not acknowledged.
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire) | self.standing
    }

    /// The driver saw these.
    pub fn acknowledge(&self, seen: u32) {
        self.status.fetch_and(!seen, Ordering::AcqRel);
    }

    /// As if new.
    pub fn reset(&self) {
        self.status.store(0, Ordering::Release);
    }

    /// A snapshot's reasons, whose edge may have been lost on the way.
    pub fn restore(&self, status: u32) {
        self.status.store(status & (USED_BUFFER | CONFIG_CHANGED), Ordering::Release);
    }

    /// Raises the line again if the driver has not acknowledged everything.
    pub fn repeat(&self) -> Result<(), Error> {
        if self.status() == 0 { Ok(()) } else { self.raise(0) }
    }

    fn raise(&self, reason: u32) -> Result<(), Error> {
        self.status.fetch_or(reason, Ordering::AcqRel);
        self.line.write(1).map_err(|error| Error::Interrupt(error.to_string()))
    }
}
