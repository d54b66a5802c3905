//! The serial port: a 16550 whose output goes to a writer and whose input comes from whoever calls [`Port::input`].

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use vm_superio::serial::{NoEvents, SerialState as UartState};
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::EventFd;

use crate::memory::layout;

/// Input that the guest has not taken is kept up to here; what comes after is dropped, as a real line does.
const BACKLOG_MAX: usize = 64 << 10;

const INTERRUPT_ENABLE: u8 = 1;
const INTERRUPT_IDENTIFICATION: u8 = 2;
const LINE_CONTROL: u8 = 3;
const LINE_STATUS: u8 = 5;
/// Of the interrupt identification.
const NONE_PENDING: u8 = 1;
/// Of the line control: the first two registers are the divisor.
const DIVISOR_LATCH: u8 = 1 << 7;
/// Of the line status.
const DATA_READY: u8 = 1;

/// Raises the port's line.
pub struct Line(pub EventFd);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

struct State {
    uart: Serial<Line, NoEvents, Box<dyn Write + Send>>,
    backlog: VecDeque<u8>,
}

/// The port as a snapshot keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialState {
    /// Divisor (two), interrupt enable, interrupt identification, line control, line status, modem control, modem
    /// status, scratch.
    registers: [u8; 9],
    /// In the receiver's FIFO.
    received: Vec<u8>,
    backlog: Vec<u8>,
}

/// The state has more input than a port holds.
#[derive(Debug, thiserror::Error)]
#[error("the serial port holds more than it can")]
pub struct TooMuchInput;

/// COM1.
pub struct Port {
    state: Mutex<State>,
}

impl Port {
    /// A port that raises `line` and prints to `output`.
    pub fn new(line: Line, output: Box<dyn Write + Send>) -> Self {
        Port { state: Mutex::new(State { uart: Serial::new(line, output), backlog: VecDeque::new() }) }
    }

    /// A port that goes on where another stopped.
    pub fn restore(line: Line, output: Box<dyn Write + Send>, state: &SerialState) -> Result<Self, TooMuchInput> {
        if state.backlog.len() > BACKLOG_MAX {
            return Err(TooMuchInput);
        }
        let uart = Serial::from_state(&state.uart(), line, NoEvents, output).map_err(|_| TooMuchInput)?;
        Ok(Port { state: Mutex::new(State { uart, backlog: state.backlog.clone().into() }) })
    }

    /// What it is, for a snapshot.
    pub fn state(&self) -> SerialState {
        let state = self.lock();
        SerialState::of(&state.uart.state(), state.backlog.iter().copied().collect())
    }

    /// Raises the line again if the guest has not looked why it was raised last.
    pub fn repeat(&self) {
        let state = self.lock();
        if state.uart.state().interrupt_identification & NONE_PENDING != 0 {
            return;
        }
        if let Err(error) = state.uart.interrupt_evt().trigger() {
            tracing::debug!("serial port: {error}");
        }
    }

    /// Makes up for an interrupt that was under way when the snapshot was taken.
    pub fn wake(&self) {
        if let Err(error) = self.lock().uart.interrupt_evt().trigger() {
            tracing::debug!("serial port: {error}");
        }
    }

    /// The register behind a port number, if it is one of this device's.
    pub fn register(port: u16) -> Option<u8> {
        let offset = port.checked_sub(layout::SERIAL_PORT)?;
        u8::try_from(offset).ok().filter(|offset| *offset < 8)
    }

    /// The guest reads a register.
    pub fn read(&self, register: u8) -> u8 {
        let mut state = self.lock();
        if register == INTERRUPT_IDENTIFICATION {
            state.announce_rest();
        }
        let value = state.uart.read(register);
        state.refill();
        value
    }

    /// The guest writes a register. A writer that fails loses the byte: nobody listens.
    pub fn write(&self, register: u8, value: u8) {
        let mut state = self.lock();
        if let Err(error) = state.uart.write(register, value) {
            tracing::trace!("serial port: {error}");
        }
        state.refill();
    }

    /// Bytes for the guest.
    pub fn input(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let room = BACKLOG_MAX.saturating_sub(state.backlog.len());
        state.backlog.extend(bytes.iter().take(room));
        state.refill();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SerialState {
    fn of(uart: &UartState, backlog: Vec<u8>) -> Self {
        let registers = [
            uart.baud_divisor_low,
            uart.baud_divisor_high,
            uart.interrupt_enable,
            uart.interrupt_identification,
            uart.line_control,
            uart.line_status,
            uart.modem_control,
            uart.modem_status,
            uart.scratch,
        ];
        SerialState { registers, received: uart.in_buffer.clone(), backlog }
    }

    fn uart(&self) -> UartState {
        let [low, high, enable, identification, line_control, line_status, modem_control, modem_status, scratch] =
            self.registers;
        UartState {
            baud_divisor_low: low,
            baud_divisor_high: high,
            interrupt_enable: enable,
            interrupt_identification: identification,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
            in_buffer: self.received.clone(),
        }
    }
}

impl State {
    /// The UART takes its announcement of data back with the first byte that is read; a 16550 keeps it up while there
    /// is more. Linux reads 256 bytes at most before it asks again, and what is left would wait for an interrupt that
    /// never comes.
    fn announce_rest(&mut self) {
        let latched = self.uart.read(LINE_CONTROL) & DIVISOR_LATCH != 0;
        if latched || self.uart.read(LINE_STATUS) & DATA_READY == 0 {
            return;
        }
        // To enable what is enabled announces what is pending.
        let enabled = self.uart.read(INTERRUPT_ENABLE);
        if let Err(error) = self.uart.write(INTERRUPT_ENABLE, enabled) {
            tracing::debug!("serial port: {error}");
        }
    }

    /// Moves waiting input into the UART as far as it takes any.
    fn refill(&mut self) {
        if self.backlog.is_empty() || self.uart.fifo_capacity() == 0 {
            return;
        }
        let (bytes, _) = self.backlog.as_slices();
        let taken = self.uart.enqueue_raw_bytes(bytes).unwrap_or(0);
        self.backlog.drain(..taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("screen").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn port() -> (Port, Screen) {
        let screen = Screen::default();
        let line = Line(EventFd::new(libc::EFD_NONBLOCK).expect("event"));
        (Port::new(line, Box::new(screen.clone())), screen)
    }

    #[test]
    fn output_is_printed() {
        let (port, screen) = port();
        for byte in b"hello" {
            port.write(0, *byte);
        }
        assert_eq!(*screen.0.lock().expect("screen"), b"hello");
    }

    #[test]
    fn input_beyond_the_fifo_waits_and_beyond_the_backlog_is_lost() {
        let (port, _) = port();
        port.input(&vec![7; BACKLOG_MAX + 1000]);
        let data_ready = |port: &Port| port.read(5) & 1 == 1;
        let mut count = 0;
        while data_ready(&port) {
            assert_eq!(port.read(0), 7);
            count += 1;
        }
        assert_eq!(count, BACKLOG_MAX);
    }

    /// As Linux's driver serves an interrupt: until none is pending, and no more than 256 bytes for each.
    fn serve_interrupt(port: &Port) -> usize {
        let mut served = 0;
        while port.read(INTERRUPT_IDENTIFICATION) & 1 == 0 {
            for _ in (0..256).take_while(|_| port.read(LINE_STATUS) & DATA_READY != 0) {
                port.read(0);
                served += 1;
            }
        }
        served
    }

    #[test]
    fn a_driver_that_reads_in_pieces_gets_all() {
        for len in [1, 64, 256, 257, 300, 320, 321, 1000] {
            let (port, _) = port();
            port.write(INTERRUPT_ENABLE, 1);
            port.input(&vec![7; len]);
            assert_eq!(serve_interrupt(&port), len);
            port.input(b"more");
            assert_eq!(serve_interrupt(&port), 4);
        }
    }

    #[test]
    fn a_divisor_is_no_interrupt() {
        let (port, _) = port();
        port.input(b"waits");
        port.write(LINE_CONTROL, DIVISOR_LATCH);
        port.write(INTERRUPT_ENABLE, 3);
        assert_eq!(port.read(INTERRUPT_IDENTIFICATION) & 1, 1, "nothing is enabled");
        assert_eq!(port.read(INTERRUPT_ENABLE), 3);
    }

    #[test]
    fn only_eight_ports_are_its_own() {
        assert_eq!([0x3f7, 0x3f8, 0x3ff, 0x400].map(Port::register), [None, Some(0), Some(7), None]);
    }
}
