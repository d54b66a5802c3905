//! The keyboard controller of a PC (i8042) with a keyboard that only ever presses Ctrl, Alt and Delete, for an orderly
//! end that the host asks for. There is no mouse.
//!
//! Registers and commands: the IBM PS/2 Technical Reference; drivers/input/serio/i8042.c of Linux.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vmm_sys_util::eventfd::EventFd;

/// Of the status register: a byte waits, the controller passed its self-test, the keyboard is not locked.
const STATUS_FULL: u8 = 1;
const STATUS_TESTED: u8 = 1 << 2;
const STATUS_UNLOCKED: u8 = 1 << 4;

/// Of the control byte: a byte raises the interrupt; the self-test was passed; the keyboard's clock is off.
const CONTROL_INTERRUPT: u8 = 1;
const CONTROL_TESTED: u8 = 1 << 2;
const CONTROL_DISABLED: u8 = 1 << 4;

const ACKNOWLEDGE: u8 = 0xfa;
const SELF_TEST_PASSED: u8 = 0xaa;
/// Scan codes of set 2: both modifiers and Delete go down, and up again in the other order.
const CTRL_ALT_DELETE: [u8; 11] = [0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14];
/// A guest that takes no bytes loses what comes after.
const WAITING_MAX: usize = 64;

/// What the next byte to the data port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expected {
    /// A command for the keyboard.
    #[default]
    Command,
    /// What a command of the keyboard asked for, such as lamps.
    Argument,
    /// The control byte.
    Control,
    /// Something for a port that is not there.
    Nothing,
    /// A byte to be sent back as if the keyboard had sent it.
    Echo,
}

struct State {
    control: u8,
    expected: Expected,
    waiting: VecDeque<u8>,
    /// A driver looks at the keyboard, and has not let it speak yet.
    is_looked_at: bool,
}

/// The controller with its keyboard.
pub struct Keyboard {
    line: EventFd,
    state: Mutex<State>,
}

/// Why keys cannot be pressed.
#[derive(Debug, thiserror::Error)]
pub enum PressError {
    /// The machine was made without one.
    #[error("the machine has no keyboard")]
    Absent,
    /// No driver listens.
    #[error("the guest has no driver for its keyboard")]
    NoDriver,
    /// The driver would lose them.
    #[error("the guest is setting up its keyboard: try again in a second")]
    NotReady,
    /// The last keys were not taken.
    #[error("the guest has not taken the keys pressed before")]
    Busy,
    /// The interrupt cannot be raised.
    #[error("cannot raise the keyboard's interrupt: {0}")]
    Interrupt(#[from] io::Error),
}

impl Keyboard {
    /// A controller that raises `line`.
    pub fn new(line: EventFd) -> Self {
        let (expected, waiting) = Default::default();
        let state = State { control: CONTROL_TESTED, expected, waiting, is_looked_at: false };
        Keyboard { line, state: Mutex::new(state) }
    }

    /// Presses the three keys and lets go of them.
    pub fn press_ctrl_alt_delete(&self) -> Result<(), PressError> {
        let mut state = self.lock();
        if state.control & CONTROL_INTERRUPT == 0 || state.control & CONTROL_DISABLED != 0 {
            return Err(PressError::NoDriver);
        }
        if state.is_looked_at {
            return Err(PressError::NotReady);
        }
        if state.waiting.len() + CTRL_ALT_DELETE.len() > WAITING_MAX {
            return Err(PressError::Busy);
        }
        state.waiting.extend(CTRL_ALT_DELETE);
        Ok(self.line.write(1)?)
    }

    /// The control byte, which is all that a guest has set here for long.
    pub fn control(&self) -> u8 {
        self.lock().control
    }

    /// Sets the control byte, as the guest had it.
    pub fn set_control(&self, control: u8) {
        self.lock().control = control;
    }

    /// Raises the line again if a byte waits.
    pub fn repeat(&self) {
        self.announce(&self.lock());
    }

    /// The guest reads the status register.
    pub fn status(&self) -> u8 {
        let full = if self.lock().waiting.is_empty() { 0 } else { STATUS_FULL };
        full | STATUS_TESTED | STATUS_UNLOCKED
    }

    /// The guest takes a byte. If more wait, they are announced.
    pub fn data(&self) -> u8 {
        let mut state = self.lock();
        let byte = state.waiting.pop_front().unwrap_or(0);
        self.announce(&state);
        byte
    }

    /// The guest gives the controller a command; the one that resets the machine is not for here.
    pub fn command(&self, command: u8) {
        let mut state = self.lock();
        // There is one place for answers: an old one that nobody took is gone.
        state.waiting.clear();
        state.expected = Expected::default();
        match command {
            0x20 => {
                let control = state.control;
                state.answer(&[control]);
            }
            0x60 => state.expected = Expected::Control,
            // Self-test; the keyboard's clock and data lines are well, a mouse's are not there.
            0xaa => state.answer(&[0x55]),
            0xab => state.answer(&[0]),
            0xa9 => state.answer(&[1]),
            0xad => state.control |= CONTROL_DISABLED,
            0xae => state.control &= !CONTROL_DISABLED,
            0xd2 | 0xd3 => state.expected = Expected::Echo,
            0xd1 | 0xd4 => state.expected = Expected::Nothing,
            _ => {}
        }
        self.announce(&state);
    }

    /// The guest writes a byte to the data port.
    pub fn set_data(&self, byte: u8) {
        let mut state = self.lock();
        match std::mem::take(&mut state.expected) {
            Expected::Control => state.control = byte,
            Expected::Nothing => {}
            Expected::Echo => state.answer(&[byte]),
            Expected::Argument => state.answer(&[ACKNOWLEDGE]),
            Expected::Command => state.keyboard_command(byte),
        }
        self.announce(&state);
    }

    fn announce(&self, state: &State) {
        if state.waiting.is_empty() || state.control & CONTROL_INTERRUPT == 0 {
            return;
        }
        if let Err(error) = self.line.write(1) {
            tracing::debug!("keyboard: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, bytes: &[u8]) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(bytes.iter().take(room));
    }

    fn keyboard_command(&mut self, command: u8) {
        match command {
            0xee => self.answer(&[command]),
            // Without an identity, as Firecracker's: Linux gives it half a second and goes on booting meanwhile, where
            // an answer would be followed at once by 28 exits and 7 interrupts.
            0xf2 | 0xf5 => {
                self.is_looked_at = true;
                self.answer(&[ACKNOWLEDGE]);
            }
            0xf4 => {
                self.is_looked_at = false;
                self.answer(&[ACKNOWLEDGE]);
            }
            0xff => self.answer(&[ACKNOWLEDGE, SELF_TEST_PASSED]),
            // Lamps, the set of scan codes, the rate of repetition: an argument follows.
            0xed | 0xf0 | 0xf3 => {
                self.answer(&[ACKNOWLEDGE]);
                self.expected = Expected::Argument;
            }
            _ => self.answer(&[ACKNOWLEDGE]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Keyboard {
        Keyboard::new(EventFd::new(libc::EFD_NONBLOCK).expect("event"))
    }

    fn take_all(keyboard: &Keyboard) -> Vec<u8> {
        std::iter::from_fn(|| (keyboard.status() & STATUS_FULL != 0).then(|| keyboard.data())).collect()
    }

    fn check_command(command: u8, argument: Option<u8>, answer: &[u8]) {
        let keyboard = keyboard();
        keyboard.command(command);
        argument.into_iter().for_each(|byte| keyboard.set_data(byte));
        assert_eq!(take_all(&keyboard), answer, "{command:#x}");
    }

    #[test]
    fn a_driver_finds_a_keyboard_and_no_mouse() {
        check_command(0xaa, None, &[0x55]);
        check_command(0x20, None, &[CONTROL_TESTED]);
        check_command(0xab, None, &[0]);
        check_command(0xa9, None, &[1]);
        check_command(0xd3, Some(0x5a), &[0x5a]);
        check_command(0xd4, Some(0xff), &[]);
        let keyboard = keyboard();
        for byte in [0xf2, 0xed, 0x07, 0xee] {
            keyboard.set_data(byte);
        }
        assert_eq!(take_all(&keyboard), [ACKNOWLEDGE, ACKNOWLEDGE, ACKNOWLEDGE, 0xee]);
    }

    #[test]
    fn keys_reach_a_driver_and_are_refused_without_one() {
        let keyboard = keyboard();
        assert!(matches!(keyboard.press_ctrl_alt_delete(), Err(PressError::NoDriver)));
        keyboard.command(0x60);
        keyboard.set_data(CONTROL_INTERRUPT | CONTROL_TESTED);
        keyboard.press_ctrl_alt_delete().expect("pressed");
        assert_eq!(take_all(&keyboard), CTRL_ALT_DELETE);
        assert!(keyboard.line.read().is_ok_and(|count| count >= 11));
        for _ in 0..WAITING_MAX / CTRL_ALT_DELETE.len() {
            keyboard.press_ctrl_alt_delete().expect("pressed");
        }
        assert!(matches!(keyboard.press_ctrl_alt_delete(), Err(PressError::Busy)));
    }

    #[test]
    fn keys_are_refused_while_a_driver_looks() {
        let keyboard = keyboard();
        keyboard.command(0x60);
        keyboard.set_data(CONTROL_INTERRUPT | CONTROL_TESTED);
        keyboard.set_data(0xf2);
        assert!(matches!(keyboard.press_ctrl_alt_delete(), Err(PressError::NotReady)));
        keyboard.set_data(0xf4);
        keyboard.press_ctrl_alt_delete().expect("pressed");
    }

    #[test]
    fn a_guest_that_takes_nothing_costs_nothing() {
        let keyboard = keyboard();
        for _ in 0..10_000 {
            keyboard.set_data(0xff);
        }
        assert_eq!(take_all(&keyboard).len(), WAITING_MAX);
    }
}
