//! The line discipline (termios(3)): what becomes of bytes between a terminal's two ends.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::termios::{Input, Local, Output, Special, Termios};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::signal::Signal;

/// Bytes that are kept for readers (N_TTY_BUF_SIZE).
const INPUT_BYTES_MAX: usize = 4096;
/// Bytes that are kept for the far end.
const OUTPUT_BYTES_MAX: usize = 8192;

/// What is on its way in either direction.
#[derive(Debug, Default)]
pub struct Discipline {
    termios: Termios,
    /// The line that is edited.
    line: Vec<u8>,
    ready: VecDeque<u8>,
    /// Bytes ever read.
    taken: u64,
    /// Where lines end, in bytes ever read.
    ends: VecDeque<u64>,
    output: VecDeque<u8>,
    column: usize,
    literal: bool,
    stopped: bool,
}

impl Discipline {
    /// How the terminal behaves.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes that. What was typed stays readable.
    pub fn set_termios(&mut self, termios: Termios) {
        let was_canonical = self.termios.is_canonical();
        self.termios = termios;
        if was_canonical && !termios.is_canonical() {
            self.ready.extend(core::mem::take(&mut self.line));
            self.ends.clear();
        } else if !was_canonical && termios.is_canonical() && !self.ready.is_empty() {
            self.end_line();
        }
        if !termios.input.contains(Input::FLOW_CONTROL) {
            self.stopped = false;
        }
    }

    /// Bytes came from the far end: which signals they make.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Signal> {
        let signals = bytes.iter().filter_map(|byte| {
            let kept = self.output.len().max(OUTPUT_BYTES_MAX);
            let signal = self.receive_byte(*byte);
            // An echo that nobody has room for is lost, as on Linux.
            self.output.truncate(kept);
            signal
        });
        signals.collect()
    }

    fn receive_byte(&mut self, byte: u8) -> Option<Signal> {
        if core::mem::take(&mut self.literal) {
            self.add(byte);
            return None;
        }
        let byte = self.mapped(byte)?;
        if self.controls_flow(byte) {
            return None;
        }
        if let Some(signal) = self.signal(byte) {
            if !self.termios.local.contains(Local::NO_FLUSH) {
                // Output is with the far end already: a pseudo terminal's buffer is read at once.
                self.flush_input();
            }
            self.echo(byte);
            return Some(signal);
        }
        if !self.termios.is_canonical() || !self.edits(byte) {
            self.add(byte);
        }
        None
    }

    fn mapped(&self, byte: u8) -> Option<u8> {
        let input = self.termios.input;
        let byte = if input.contains(Input::STRIP) { byte & 0x7f } else { byte };
        match byte {
            b'\r' if input.contains(Input::IGNORE_CR) => None,
            b'\r' if input.contains(Input::CR_TO_NL) => Some(b'\n'),
            b'\n' if input.contains(Input::NL_TO_CR) => Some(b'\r'),
            byte => Some(byte),
        }
    }

    fn controls_flow(&mut self, byte: u8) -> bool {
        if !self.termios.input.contains(Input::FLOW_CONTROL) {
            return false;
        }
        if self.termios.is(byte, Special::Start) || self.termios.is(byte, Special::Stop) {
            self.stopped = self.termios.is(byte, Special::Stop);
            return true;
        }
        if self.termios.input.contains(Input::FLOW_ANY) {
            self.stopped = false;
        }
        false
    }

    fn signal(&self, byte: u8) -> Option<Signal> {
        let signals =
            [(Special::Interrupt, Signal::INT), (Special::Quit, Signal::QUIT), (Special::Suspend, Signal::TSTP)];
        let made = signals.into_iter().find(|(special, _)| self.termios.is(byte, *special));
        made.filter(|_| self.termios.local.contains(Local::SIGNALS)).map(|(_, signal)| signal)
    }

    /// Does what an editing character asks for; false when it is none.
    fn edits(&mut self, byte: u8) -> bool {
        let extended = self.termios.local.contains(Local::EXTENDED);
        let is = |special| self.termios.is(byte, special);
        if is(Special::Erase) {
            self.erase_character();
        } else if is(Special::Kill) {
            self.kill_line();
        } else if is(Special::EndOfFile) {
            self.end_line();
        } else if extended && is(Special::WordErase) {
            self.erase_word();
        } else if extended && is(Special::LiteralNext) {
            self.literal = true;
            if self.termios.local.contains(Local::ECHO | Local::ECHO_CONTROL) {
                self.output.extend(b"^\x08");
            }
        } else if extended && is(Special::Reprint) {
            self.reprint();
        } else if byte == b'\n' || is(Special::EndOfLine) || extended && is(Special::EndOfLine2) {
            self.line.push(byte);
            self.echo(byte);
            self.end_line();
        } else {
            return false;
        }
        true
    }

    fn add(&mut self, byte: u8) {
        // The last place is for the end of the line.
        if self.held() + 1 >= INPUT_BYTES_MAX {
            if self.termios.input.contains(Input::BELL) {
                self.output.push_back(7);
            }
            return;
        }
        self.echo(byte);
        if self.termios.is_canonical() { self.line.push(byte) } else { self.ready.push_back(byte) }
    }

    /// Places that are taken: by bytes, and by ends of lines without any.
    fn held(&self) -> usize {
        self.ready.len().max(self.ends.len()) + self.line.len()
    }

    fn end_line(&mut self) {
        self.ready.extend(core::mem::take(&mut self.line));
        self.ends.push_back(self.taken + self.ready.len() as u64);
    }

    fn echo(&mut self, byte: u8) {
        let local = self.termios.local;
        let nl = byte == b'\n' && local.contains(Local::ECHO_NL) && self.termios.is_canonical();
        if !local.contains(Local::ECHO) && !nl {
            return;
        }
        if local.contains(Local::ECHO_CONTROL) && is_control(byte) {
            self.output.extend([b'^', byte ^ 0x40]);
            self.column += 2;
        } else {
            self.put(byte);
        }
    }

    fn erase_character(&mut self) {
        let Some(byte) = self.line.pop() else { return };
        if self.termios.input.contains(Input::UTF8) && is_continuation(byte) {
            while self.line.pop().is_some_and(is_continuation) {}
        }
        self.unecho(byte);
    }

    /// Takes a character off the screen.
    fn unecho(&mut self, byte: u8) {
        let local = self.termios.local;
        if !local.contains(Local::ECHO) {
            return;
        }
        if !local.contains(Local::ECHO_ERASE) {
            return self.echo(self.termios.special(Special::Erase));
        }
        let width = if is_control(byte) && local.contains(Local::ECHO_CONTROL) { 2 } else { 1 };
        for _ in 0..width {
            self.output.extend(b"\x08 \x08");
        }
        self.column = self.column.saturating_sub(width);
    }

    fn erase_word(&mut self) {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
        while self.line.last().is_some_and(|byte| !is_word(byte)) {
            self.erase_character();
        }
        while self.line.last().is_some_and(is_word) {
            self.erase_character();
        }
    }

    fn kill_line(&mut self) {
        let local = self.termios.local;
        if local.contains(Local::ECHO_KILL | Local::ECHO_KILL_ERASE | Local::ECHO_ERASE) {
            while !self.line.is_empty() {
                self.erase_character();
            }
            return;
        }
        self.line.clear();
        self.echo(self.termios.special(Special::Kill));
        if local.contains(Local::ECHO_KILL) && local.contains(Local::ECHO) {
            self.put(b'\n');
        }
    }

    fn reprint(&mut self) {
        self.echo(self.termios.special(Special::Reprint));
        self.put(b'\n');
        for byte in self.line.clone() {
            self.echo(byte);
        }
    }

    /// Sends a byte to the far end, with what the output modes make of it.
    fn put(&mut self, byte: u8) {
        let output = self.termios.output;
        if !output.contains(Output::PROCESS) {
            return self.output.push_back(byte);
        }
        match byte {
            b'\n' if output.contains(Output::NL_TO_CR_NL) => {
                self.output.extend(b"\r\n");
                self.column = 0;
            }
            b'\n' if output.contains(Output::NL_RETURNS) => self.return_carriage(b'\n'),
            b'\r' if output.contains(Output::NO_CR_AT_0) && self.column == 0 => {}
            b'\r' if output.contains(Output::CR_TO_NL) => self.output.push_back(b'\n'),
            b'\r' => self.return_carriage(b'\r'),
            b'\t' => self.tabulate(output.contains(Output::EXPAND_TABS)),
            8 => {
                self.column = self.column.saturating_sub(1);
                self.output.push_back(byte);
            }
            byte => {
                self.column += usize::from(!is_control(byte) && !is_continuation(byte));
                self.output.push_back(byte);
            }
        }
    }

    fn return_carriage(&mut self, byte: u8) {
        self.output.push_back(byte);
        self.column = 0;
    }

    fn tabulate(&mut self, expands: bool) {
        let width = 8 - self.column % 8;
        self.column += width;
        if expands {
            self.output.extend(core::iter::repeat_n(b' ', width));
        } else {
            self.output.push_back(b'\t');
        }
    }

    /// The near end writes.
    pub fn write(&mut self, source: &mut dyn Source) -> Result<usize, Errno> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        let room = OUTPUT_BYTES_MAX.saturating_sub(self.output.len());
        if self.stopped || room == 0 {
            return Err(Errno::EAGAIN);
        }
        let mut bytes = [0; 2048];
        let step = bytes.len().min(room);
        let count = source.take(&mut bytes[..step])?;
        if self.termios.output.contains(Output::PROCESS) {
            bytes[..count].iter().for_each(|byte| self.put(*byte));
        } else {
            self.output.extend(&bytes[..count]);
        }
        Ok(count)
    }

    /// The near end reads: a line, or what there is.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.is_readable(sink.remaining()) {
            let (least, time) = self.timing();
            return if least == 0 && time == 0 && !self.termios.is_canonical() { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        self.read_now(sink)
    }

    /// The same, without waiting for more.
    pub fn read_now(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let line = self.ends.front().map(|end| usize::try_from(end - self.taken).unwrap_or(usize::MAX));
        let line = line.filter(|_| self.termios.is_canonical());
        let wanted = line.unwrap_or(self.ready.len()).min(sink.remaining());
        if wanted > 0 {
            let bytes = self.ready.make_contiguous();
            let count = sink.put(&bytes[..wanted])?;
            self.ready.drain(..count);
            self.taken += count as u64;
            if line != Some(count) {
                return Ok(count);
            }
            self.ends.pop_front();
            return Ok(count);
        }
        if line == Some(0) {
            self.ends.pop_front();
        }
        Ok(0)
    }

    /// Whether a read of so many bytes has enough.
    pub fn is_readable(&self, wanted: usize) -> bool {
        if self.termios.is_canonical() {
            return !self.ends.is_empty();
        }
        let least = usize::from(self.timing().0).clamp(1, wanted.max(1));
        self.ready.len() >= least
    }

    /// Whether poll(2) says so: with VTIME a read has enough with one byte (`n_tty_poll` of Linux).
    pub fn polls_readable(&self) -> bool {
        self.is_readable(if self.timing().1 == 0 { usize::MAX } else { 1 })
    }

    /// VMIN and VTIME.
    pub fn timing(&self) -> (u8, u8) {
        (self.termios.special(Special::Least), self.termios.special(Special::Time))
    }

    /// Whether anything was typed that is not read yet.
    pub fn has_input(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Bytes that a read gives now.
    pub fn readable_bytes(&self) -> usize {
        match self.ends.back() {
            Some(end) if self.termios.is_canonical() => usize::try_from(end - self.taken).unwrap_or(usize::MAX),
            None if self.termios.is_canonical() => 0,
            _ => self.ready.len(),
        }
    }

    /// Whether the far end may send more without loss.
    pub fn has_input_room(&self) -> bool {
        self.held() < INPUT_BYTES_MAX / 2 || self.termios.is_canonical() && self.ends.is_empty()
    }

    /// Whether the near end may write.
    pub fn is_writable(&self) -> bool {
        !self.stopped && self.output.len() < OUTPUT_BYTES_MAX / 2
    }

    /// What the far end gets next.
    pub fn output(&mut self) -> &mut VecDeque<u8> {
        &mut self.output
    }

    /// Whether the far end gets anything now.
    pub fn has_output(&self) -> bool {
        !self.stopped && !self.output.is_empty()
    }

    /// Stops or resumes output (tcflow(3)).
    pub fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Forgets what was typed.
    pub fn flush_input(&mut self) {
        self.taken += self.ready.len() as u64;
        self.ready.clear();
        self.line.clear();
        self.ends.clear();
    }
}

fn is_control(byte: u8) -> bool {
    (byte < 32 && byte != b'\t' && byte != b'\n') || byte == 127
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Collect;

    fn read(discipline: &mut Discipline) -> Result<Vec<u8>, Errno> {
        let mut sink = Collect::new(64);
        discipline.read(&mut sink)?;
        Ok(sink.bytes)
    }

    fn check(typed: &[u8], lines: &[&[u8]], echoed: &[u8]) {
        let mut discipline = Discipline::default();
        assert_eq!(discipline.receive(typed), []);
        for line in lines {
            assert_eq!(read(&mut discipline).unwrap(), *line);
        }
        assert_eq!(read(&mut discipline), Err(Errno::EAGAIN));
        let output: Vec<u8> = discipline.output().drain(..).collect();
        assert_eq!(output, echoed);
    }

    #[test]
    fn what_nobody_reads_does_not_grow() {
        let mut discipline = Discipline::default();
        for _ in 0..INPUT_BYTES_MAX {
            // An interrupt is echoed and leaves nothing; a bell is what a full line is answered with.
            assert_eq!(discipline.receive(b"\x03x"), [Signal::INT]);
            if discipline.has_input_room() {
                discipline.receive(&[4; 64]);
            }
        }
        assert!(discipline.output().len() <= OUTPUT_BYTES_MAX);
        assert!(discipline.ends.len() <= INPUT_BYTES_MAX);
        assert!(discipline.held() <= INPUT_BYTES_MAX);
    }

    #[test]
    fn lines_are_edited() {
        check(b"one\rtwo", &[b"one\n"], b"one\r\ntwo");
        check(b"ab\x7fc\n", &[b"ac\n"], b"ab\x08 \x08c\r\n");
        check(b"one two\x17x\n", &[b"one x\n"], b"one two\x08 \x08\x08 \x08\x08 \x08x\r\n");
        check(b"ab\x15c\n", &[b"c\n"], b"ab\x08 \x08\x08 \x08c\r\n");
        check(b"a\x16\x03b\n", &[b"a\x03b\n"], b"a^\x08^Cb\r\n");
        check(b"ab\x04\x04", &[b"ab", b""], b"ab");
    }

    #[test]
    fn signals_throw_away_what_was_typed() {
        let mut discipline = Discipline::default();
        assert_eq!(discipline.receive(b"half\x03"), [Signal::INT]);
        assert_eq!(discipline.receive(b"\x1a\x1c"), [Signal::TSTP, Signal::QUIT]);
        assert_eq!(discipline.receive(b"x\n"), []);
        assert_eq!(read(&mut discipline).unwrap(), b"x\n");
    }

    #[test]
    fn raw_bytes_pass() {
        let mut discipline = Discipline::default();
        let mut raw = *discipline.termios();
        raw.local = Local::empty();
        raw.input = Input::empty();
        raw.output = Output::empty();
        discipline.set_termios(raw);
        assert_eq!(discipline.receive(b"\x03\r\x7f"), []);
        assert_eq!(read(&mut discipline).unwrap(), b"\x03\r\x7f");
        discipline.write(&mut &b"a\nb"[..]).unwrap();
        assert_eq!(discipline.output().drain(..).collect::<Vec<_>>(), b"a\nb");
    }

    #[test]
    fn flow_is_controlled() {
        let mut discipline = Discipline::default();
        discipline.receive(b"\x13");
        assert_eq!(discipline.write(&mut &b"x"[..]), Err(Errno::EAGAIN));
        discipline.receive(b"\x11");
        assert_eq!(discipline.write(&mut &b"x\n"[..]), Ok(2));
        assert_eq!(discipline.output().drain(..).collect::<Vec<_>>(), b"x\r\n");
    }
}
