//! A driver that does whatever its input says, for the queues of one device.
#![forbid(unsafe_code)]

use stockade_vmm::devices::virtio::Device;
use stockade_vmm::devices::virtio::testing::{DATA, Driver};

/// More steps than a queue has entries.
const STEPS_MAX: usize = 600;
/// Memory of the driver.
const MEMORY: u64 = 2 << 20;

/// What is left of the input; it goes on with zeroes.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let len = self.0.len().min(N);
        bytes[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    /// Mostly an address inside of memory.
    fn address(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::from_le_bytes(self.bytes()),
            0xfe => MEMORY - u64::from(self.byte()),
            _ => u64::from(self.half()) << 5,
        }
    }

    /// Mostly a short length.
    fn len(&mut self) -> u32 {
        match self.byte() {
            0xff => u32::from_le_bytes(self.bytes()),
            len => u32::from(len) << (self.byte() % 9),
        }
    }
}

/// Drives `device` as the input says. Errors end it, as a device's error does in a machine; panics are findings.
pub fn drive(device: &mut dyn Device, bytes: &[u8]) {
    let sizes = device.queue_sizes().to_vec();
    let mut driver = Driver::new(&sizes);
    let mut input = Input(bytes);
    device.activate(u64::from_le_bytes(input.bytes()) & device.features());
    for _ in 0..STEPS_MAX {
        if input.0.is_empty() || step(device, &mut driver, &mut input, sizes.len()).is_err() {
            break;
        }
    }
    device.reset();
}

fn step(
    device: &mut dyn Device,
    driver: &mut Driver,
    input: &mut Input<'_>,
    queues: usize,
) -> Result<(), stockade_vmm::devices::virtio::Error> {
    let queue = usize::from(input.byte()) % queues;
    match input.byte() % 8 {
        0..=2 => {
            let (index, place) = (u16::from(input.byte()), (input.address(), input.len()));
            driver.descriptor(queue, index, place, u16::from(input.byte() % 8), u16::from(input.byte()));
        }
        3 => driver.offer(queue, u16::from(input.byte())),
        4 => driver.write(DATA + u64::from(input.half()), &input.bytes::<48>()),
        5 => {
            let mut data = [0; 8];
            device.read_config(usize::from(input.half()), &mut data);
            device.write_config(usize::from(input.byte()), &input.bytes::<4>());
        }
        6 => match input.byte() % 4 {
            3 => device.quiesce(&mut driver.queues)?,
            token => device.ready(u32::from(token), &mut driver.queues)?,
        },
        _ => device.notified(queue, &mut driver.queues)?,
    }
    Ok(())
}
