//! The guest's devices. Each is plain state behind a lock; none knows the hypervisor or another device.

mod boot_timer;
mod keyboard;
mod pci;
mod power;
pub mod serial;
pub mod virtio;

pub use self::boot_timer::{Announce, BootTimer};
pub use self::keyboard::{Keyboard, PressError};
pub use self::pci::AddressPort;
pub use self::power::{KEYBOARD_RESET, POWER_OFF_TYPE, PowerRequest, power_request};
