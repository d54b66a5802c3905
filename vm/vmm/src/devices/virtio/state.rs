//! What a snapshot keeps of a device: registers and queues of every one, and of some what only they have.
//!
//! All of it is hostile when it comes back: a device takes what its driver could have brought about, and nothing else.

use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueState};

/// One queue as its driver set it up, and how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingState {
    max_size: u16,
    size: u16,
    ready: bool,
    event_index: bool,
    next_avail: u16,
    next_used: u16,
    desc_table: u64,
    avail_ring: u64,
    used_ring: u64,
}

impl RingState {
    /// What a queue is.
    pub fn of(queue: &Queue) -> Self {
        let state = queue.state();
        RingState {
            max_size: state.max_size,
            size: state.size,
            ready: state.ready,
            event_index: state.event_idx_enabled,
            next_avail: state.next_avail,
            next_used: state.next_used,
            desc_table: state.desc_table,
            avail_ring: state.avail_ring,
            used_ring: state.used_ring,
        }
    }

    /// The queue, if it could be one of a device whose queue has this largest size.
    pub fn queue(&self, max_size: u16) -> Result<Queue, Invalid> {
        if self.max_size != max_size {
            return Err(Invalid::Queues);
        }
        let state = QueueState {
            max_size: self.max_size,
            size: self.size,
            ready: self.ready,
            event_idx_enabled: self.event_index,
            next_avail: self.next_avail,
            next_used: self.next_used,
            desc_table: self.desc_table,
            avail_ring: self.avail_ring,
            used_ring: self.used_ring,
        };
        Queue::try_from(state).map_err(|_| Invalid::Queues)
    }
}

/// A device's registers, its queues and itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportState {
    pub(super) status: u32,
    pub(super) interrupt: u32,
    pub(super) device_features_select: u32,
    pub(super) driver_features_select: u32,
    pub(super) driver_features: u64,
    pub(super) queue_select: u32,
    pub(super) config_generation: u32,
    pub(super) queues: Vec<RingState>,
    pub(super) device: DeviceState,
}

/// What only one kind of device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceState {
    /// Nothing beside its configuration.
    Plain,
    /// A disk.
    Block {
        /// Its size, which the guest knows.
        sectors: u64,
    },
    /// A balloon.
    Balloon {
        /// Pages that the driver says to have given.
        actual: u32,
        /// The chain that waits to ask for statistics.
        stats_chain: Option<u16>,
    },
}

/// Why a device cannot be put into a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Another kind of device.
    #[error("it was another kind of device")]
    Kind,
    /// Queues that the device does not have.
    #[error("its queues are not those of this device")]
    Queues,
    /// Features that were never offered.
    #[error("its driver uses features {0:#x} that this device does not offer")]
    Features(u64),
    /// Rings that a driver could not have set.
    #[error("its rings lie outside of memory")]
    Rings,
    /// Another disk.
    #[error("its disk had {saved} sectors, and has {here}")]
    Disk {
        /// The snapshot's.
        saved: u64,
        /// This machine's.
        here: u64,
    },
    /// The device cannot go on.
    #[error(transparent)]
    Device(#[from] super::Error),
}
