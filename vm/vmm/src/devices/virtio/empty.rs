//! What is in a slot that has no device: number 0, which a driver leaves alone (virtio 1.2, 4.2.2: `DeviceID`).

use super::queue::Queues;
use super::{Device, Error, Served};

/// Doorbells for any device of ours that may come into the slot.
const QUEUES: [u16; 2] = [256; 2];

/// No device.
#[derive(Debug, Clone, Copy)]
pub struct Empty {
    served: Served,
}

impl Empty {
    /// Its number.
    pub const ID: u32 = 0;

    /// Kept for a device whose queues are served like this.
    pub fn kept_for(served: Served) -> Self {
        Empty { served }
    }
}

impl Device for Empty {
    fn id(&self) -> u32 {
        Self::ID
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn served(&self) -> Served {
        self.served
    }

    fn read_config(&self, _: usize, _: &mut [u8]) {}

    fn notified(&mut self, _: usize, _: &mut Queues) -> Result<(), Error> {
        Ok(())
    }
}
