//! The address port of PCI's first configuration mechanism (PCI Local Bus 3.0, 3.2.2.3.2), before a bus without
//! devices.
//!
//! Linux with PCI looks whether the port keeps what is written to it; where it does not, a warning is printed even if
//! the command line says that there is no PCI, and that is two exits for each of its letters.

use std::sync::atomic::{AtomicU32, Ordering};

/// `CONFIG_ADDRESS`: only accesses of four bytes reach it.
#[derive(Debug, Default)]
pub struct AddressPort(AtomicU32);

impl AddressPort {
    /// Its port.
    pub const PORT: u16 = 0xcf8;

    /// The guest writes; false for what does not reach the register.
    pub fn write(&self, port: u16, data: &[u8]) -> bool {
        match (port, data.try_into()) {
            (Self::PORT, Ok(bytes)) => {
                self.0.store(u32::from_le_bytes(bytes), Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// What the guest reads, if it reads the register.
    pub fn read(&self, port: u16, len: usize) -> Option<[u8; 4]> {
        (port == Self::PORT && len == 4).then(|| self.0.load(Ordering::Relaxed).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_accesses_reach_the_register() {
        let port = AddressPort::default();
        assert!(port.write(AddressPort::PORT, &[0, 0, 0, 0x80]));
        assert!(!port.write(AddressPort::PORT, &[1]) && !port.write(AddressPort::PORT + 3, &[1]));
        assert_eq!(port.read(AddressPort::PORT, 4), Some([0, 0, 0, 0x80]));
        assert_eq!((port.read(AddressPort::PORT, 1), port.read(AddressPort::PORT + 4, 4)), (None, None));
    }
}
