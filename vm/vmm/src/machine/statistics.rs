//! How often processors left the guest for a device, and how far the boot had come by then.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where an exit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The serial port.
    Serial,
    /// A virtio device's registers.
    Virtio,
    /// The I/O APIC.
    IoApic,
    /// A port that no device has.
    OtherPort,
    /// An address that no device has.
    OtherAddress,
}

/// Marks on the way to a running guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The machine is built and its kernel loaded.
    Built,
    /// First byte on the serial port.
    FirstOutput,
    /// First access to a virtio device.
    FirstDevice,
    /// The guest stored to the boot timer.
    Booted,
}

const PLACES: [Place; 5] = [Place::Serial, Place::Virtio, Place::IoApic, Place::OtherPort, Place::OtherAddress];

/// Counted from the machine's start.
pub struct Statistics {
    started: Instant,
    exits: [AtomicU64; PLACES.len()],
    /// Exits without a device: signals.
    interrupted: AtomicU64,
    phases: Mutex<Vec<Mark>>,
}

/// When a phase was reached.
#[derive(Debug, Clone, Copy)]
struct Mark {
    phase: Phase,
    at: Duration,
    exits: u64,
}

impl Statistics {
    /// All counts at 0.
    pub fn new(started: Instant) -> Self {
        let exits = [const { AtomicU64::new(0) }; PLACES.len()];
        Statistics { started, exits, interrupted: AtomicU64::new(0), phases: Mutex::new(Vec::new()) }
    }

    /// One more exit; true if it was the first there.
    pub fn count(&self, place: Place) -> bool {
        self.exits[place as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// One more exit by a signal.
    pub fn count_interrupted(&self) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
    }

    /// Exits that came from a place.
    pub fn exits_at(&self, place: Place) -> u64 {
        self.exits[place as usize].load(Ordering::Relaxed)
    }

    /// All exits to this process.
    pub fn exits(&self) -> u64 {
        PLACES.iter().map(|place| self.exits_at(*place)).sum::<u64>() + self.interrupted.load(Ordering::Relaxed)
    }

    /// A phase was reached.
    pub fn mark(&self, phase: Phase) {
        let mark = Mark { phase, at: self.started.elapsed(), exits: self.exits() };
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "phase            ms      exits")?;
        for mark in self.phases.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let phase = format!("{:?}", mark.phase);
            writeln!(f, "{phase:<12} {:>8.1} {:>8}", mark.at.as_secs_f64() * 1e3, mark.exits)?;
        }
        for place in PLACES {
            writeln!(f, "{:<21} {:>8}", format!("{place:?}"), self.exits_at(place))?;
        }
        write!(f, "{:<21} {:>8}", "Interrupted", self.interrupted.load(Ordering::Relaxed))
    }
}
