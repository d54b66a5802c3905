//! The I/O APIC (Intel 82093AA), with as many pins as the machine has interrupt lines: Linux saves and restores each
//! pin at boot, eight exits a pin, and KVM's own has 24.
//!
//! An unmasked pin is a route of its line in the hypervisor, to the message that its entry describes; a masked one has
//! none. All lines are edges, and a pin that the guest programs as a level is one, too: nothing is to be acknowledged
//! here. As on hardware an edge at a masked pin is lost, so who unmasks a pin has its device repeat what still holds
//! ([`super::platform`]). None gets lost between the two: a device notes its reason before it raises the line, and the
//! route is there before the reason is looked at.
//!
//! One lock guards the registers and the order of routes; nothing else is locked under it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::hypervisor::{Error, Message};
use crate::memory::layout;

const SELECT: u64 = 0;
const WINDOW: u64 = 0x10;

const ID: u8 = 0;
const VERSION: u8 = 1;
const ARBITRATION: u8 = 2;
const FIRST_ENTRY: u8 = 0x10;
/// Without a register for ends of interrupts, which would be version 0x20.
const VERSION_NUMBER: u32 = 0x11;
const ID_BITS: u32 = 0xf << 24;

const VECTOR: u32 = 0xff;
const DELIVERY_MODE: u32 = 7 << 8;
const LOGICAL: u32 = 1 << 11;
const POLARITY: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
/// What the guest sets; delivery status and remote IRR are always 0 here.
const LOW_BITS: u32 = VECTOR | DELIVERY_MODE | LOGICAL | POLARITY | LEVEL | MASKED;
const DESTINATION_SHIFT: u32 = 24;
const DESTINATION: u32 = 0xff << DESTINATION_SHIFT;

/// Of a message's address (Intel SDM 3A, 11.11.1).
const MESSAGE_LOGICAL: u32 = 1 << 2;
const MESSAGE_DESTINATION_SHIFT: u32 = 12;

/// Sets the routes of all lines.
pub type Route = Box<dyn Fn(&[(u32, Message)]) -> Result<(), Error> + Send + Sync>;

/// A redirection entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    low: u32,
    high: u32,
}

/// The registers as a snapshot keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoApicState {
    select: u8,
    id: u32,
    entries: Vec<Entry>,
}

/// The state has another number of pins.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its I/O APIC had {saved} pins, and has {here}")]
pub struct WrongPins {
    saved: usize,
    here: usize,
}

/// The controller; its registers are those of a snapshot.
pub struct IoApic {
    route: Route,
    state: Mutex<IoApicState>,
}

impl Entry {
    const RESET: Entry = Entry { low: MASKED, high: 0 };

    fn message(self) -> Option<Message> {
        let destination = self.high >> DESTINATION_SHIFT << MESSAGE_DESTINATION_SHIFT;
        let mode = if self.low & LOGICAL == 0 { 0 } else { MESSAGE_LOGICAL };
        let message =
            Message { address: layout::LOCAL_APIC | destination | mode, data: self.low & (VECTOR | DELIVERY_MODE) };
        (self.low & MASKED == 0).then_some(message)
    }

    fn checked(self) -> Self {
        Entry { low: self.low & LOW_BITS, high: self.high & DESTINATION }
    }
}

impl IoApic {
    /// With a pin for each of so many lines, all masked.
    pub fn new(lines: u32, route: Route) -> Self {
        let entries = (0..lines.min(layout::GSI_END)).map(|_| Entry::RESET).collect();
        IoApic { route, state: Mutex::new(IoApicState { select: 0, id: 0, entries }) }
    }

    /// A load from its page. Registers are read as words only; anything else reads as 0.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let Ok(word) = <&mut [u8; 4]>::try_from(data) else { return };
        let state = self.lock();
        let value = match offset {
            SELECT => u32::from(state.select),
            WINDOW => state.register(),
            _ => 0,
        };
        *word = value.to_le_bytes();
    }

    /// A store to its page. The line whose pin this unmasked, if it did: its device has to repeat what still holds.
    ///
    /// # Errors
    /// The hypervisor does not set a route. The guest cannot go on then.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<Option<u32>, Error> {
        let Ok(word) = data.try_into().map(u32::from_le_bytes) else { return Ok(None) };
        let mut state = self.lock();
        match offset {
            SELECT => state.select = word.to_le_bytes()[0],
            WINDOW => return self.set_register(&mut state, word),
            _ => {}
        }
        Ok(None)
    }

    /// What a snapshot keeps.
    pub fn state(&self) -> IoApicState {
        self.lock().clone()
    }

    /// Whether a machine with this one can have that state.
    pub fn check(&self, state: &IoApicState) -> Result<(), WrongPins> {
        let (saved, here) = (state.entries.len(), self.lock().entries.len());
        if saved == here { Ok(()) } else { Err(WrongPins { saved, here }) }
    }

    /// Puts a new one into a state that was checked.
    pub fn restore(&self, state: &IoApicState) -> Result<(), Error> {
        let mut own = self.lock();
        own.select = state.select;
        own.id = state.id & ID_BITS;
        for (entry, saved) in own.entries.iter_mut().zip(&state.entries) {
            *entry = saved.checked();
        }
        (self.route)(&own.messages())
    }

    fn set_register(&self, state: &mut IoApicState, value: u32) -> Result<Option<u32>, Error> {
        if state.select == ID {
            state.id = value & ID_BITS;
        }
        let Some((line, is_high)) = state.selected() else { return Ok(None) };
        let Some(entry) = usize::try_from(line).ok().and_then(|line| state.entries.get_mut(line)) else {
            return Ok(None);
        };
        let before = entry.message();
        *if is_high { &mut entry.high } else { &mut entry.low } = value;
        *entry = entry.checked();
        let after = entry.message();
        if before == after {
            return Ok(None);
        }
        (self.route)(&state.messages())?;
        Ok(before.is_none().then_some(line))
    }

    fn lock(&self) -> MutexGuard<'_, IoApicState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IoApicState {
    /// Which pin's entry is selected, and whether its upper half is.
    fn selected(&self) -> Option<(u32, bool)> {
        let index = self.select.checked_sub(FIRST_ENTRY)?;
        Some((u32::from(index / 2), index % 2 == 1))
    }

    fn register(&self) -> u32 {
        match self.select {
            ID | ARBITRATION => self.id,
            VERSION => {
                let last = self.entries.len().saturating_sub(1);
                u32::try_from(last).unwrap_or(0) << 16 | VERSION_NUMBER
            }
            _ => self.entry_register().unwrap_or(0),
        }
    }

    fn entry_register(&self) -> Option<u32> {
        let (line, is_high) = self.selected()?;
        let entry = self.entries.get(usize::try_from(line).ok()?)?;
        Some(if is_high { entry.high } else { entry.low })
    }

    fn messages(&self) -> Vec<(u32, Message)> {
        (0..).zip(&self.entries).filter_map(|(line, entry)| Some((line, entry.message()?))).collect()
    }
}

#[cfg(test)]
#[path = "io_apic_tests.rs"]
mod tests;
