//! How a guest asks to be reset or switched off.

use crate::memory::layout;

/// The keyboard controller's command that pulses the processor's reset line.
pub const KEYBOARD_RESET: u8 = 0xfe;
/// The sleep type that the ACPI tables give for power off.
pub const POWER_OFF_TYPE: u8 = 5;
/// `SLP_EN` and the place of `SLP_TYPx` in the sleep control register (ACPI 6.5, 4.8.3.7).
const SLEEP_ENABLE: u8 = 1 << 5;
const SLEEP_TYPE_SHIFT: u8 = 2;

/// What a guest wants of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerRequest {
    /// To be started again; the machine ends, its owner decides.
    Reset,
    /// To be switched off.
    Off,
}

/// What a write to a port asks for, if it is one of these.
pub fn power_request(port: u16, data: &[u8]) -> Option<PowerRequest> {
    let &[value] = data else { return None };
    match (port, value) {
        (layout::KEYBOARD_COMMAND_PORT, KEYBOARD_RESET) => Some(PowerRequest::Reset),
        (layout::SLEEP_PORT, value) if value == SLEEP_ENABLE | POWER_OFF_TYPE << SLEEP_TYPE_SHIFT => {
            Some(PowerRequest::Off)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_words_count() {
        assert_eq!(power_request(0x64, &[0xfe]), Some(PowerRequest::Reset));
        assert_eq!(power_request(0x600, &[0x34]), Some(PowerRequest::Off));
        for (port, data) in [(0x64, &[0xff][..]), (0x64, &[0xfe, 0]), (0x600, &[0x14]), (0x60, &[0xfe])] {
            assert_eq!(power_request(port, data), None, "{port:#x} {data:?}");
        }
    }
}
