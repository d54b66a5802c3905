//! `struct termios` (termios(3)).

use linux_raw_sys::general as abi;

use crate::abi::{Abi, Decoder, Encoder};

bitflags::bitflags! {
    /// `c_iflag`: only those with an effect are named.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Input: u32 {
        const STRIP = abi::ISTRIP;
        const NL_TO_CR = abi::INLCR;
        const IGNORE_CR = abi::IGNCR;
        const CR_TO_NL = abi::ICRNL;
        const FLOW_CONTROL = abi::IXON;
        const FLOW_ANY = abi::IXANY;
        const BELL = abi::IMAXBEL;
        const UTF8 = abi::IUTF8;
        const _ = !0;
    }

    /// `c_oflag`
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Output: u32 {
        const PROCESS = abi::OPOST;
        const NL_TO_CR_NL = abi::ONLCR;
        const CR_TO_NL = abi::OCRNL;
        const NO_CR_AT_0 = abi::ONOCR;
        const NL_RETURNS = abi::ONLRET;
        const EXPAND_TABS = abi::XTABS;
        const _ = !0;
    }

    /// `c_lflag`
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Local: u32 {
        const SIGNALS = abi::ISIG;
        const CANONICAL = abi::ICANON;
        const ECHO = abi::ECHO;
        const ECHO_ERASE = abi::ECHOE;
        const ECHO_KILL = abi::ECHOK;
        const ECHO_NL = abi::ECHONL;
        const NO_FLUSH = abi::NOFLSH;
        const STOP_WRITERS = abi::TOSTOP;
        const ECHO_CONTROL = abi::ECHOCTL;
        const ECHO_KILL_ERASE = abi::ECHOKE;
        const EXTENDED = abi::IEXTEN;
        const _ = !0;
    }
}

/// Index into `c_cc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of termios(3)")]
pub enum Special {
    Interrupt = 0,
    Quit = 1,
    Erase = 2,
    Kill = 3,
    EndOfFile = 4,
    Time = 5,
    Least = 6,
    Start = 8,
    Stop = 9,
    Suspend = 10,
    EndOfLine = 11,
    Reprint = 12,
    WordErase = 14,
    LiteralNext = 15,
    EndOfLine2 = 16,
}

/// How a terminal behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    /// Input modes.
    pub input: Input,
    /// Output modes.
    pub output: Output,
    /// Control modes, which are kept.
    pub control: u32,
    /// Local modes.
    pub local: Local,
    line: u8,
    special: [u8; 19],
}

impl Default for Termios {
    /// As Linux starts a terminal (`tty_std_termios`).
    fn default() -> Self {
        let local = Local::SIGNALS | Local::CANONICAL | Local::ECHO | Local::ECHO_ERASE | Local::ECHO_KILL;
        Self {
            input: Input::CR_TO_NL | Input::FLOW_CONTROL,
            output: Output::PROCESS | Output::NL_TO_CR_NL,
            control: abi::B38400 | abi::CS8 | abi::CREAD,
            local: local | Local::ECHO_CONTROL | Local::ECHO_KILL_ERASE | Local::EXTENDED,
            line: 0,
            special: [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
        }
    }
}

impl Termios {
    /// A special character.
    pub fn special(&self, which: Special) -> u8 {
        self.special[which as usize]
    }

    /// Whether a byte is this special character; 0 disables one.
    pub fn is(&self, byte: u8, which: Special) -> bool {
        byte != 0 && self.special(which) == byte
    }

    /// Whether lines are edited.
    pub fn is_canonical(&self) -> bool {
        self.local.contains(Local::CANONICAL)
    }
}

impl Abi for Termios {
    const LEN: usize = 36;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self {
            input: Input::from_bits_retain(from.take()),
            output: Output::from_bits_retain(from.take()),
            control: from.take(),
            local: Local::from_bits_retain(from.take()),
            line: from.take(),
            special: from.take(),
        }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.input.bits()).put(self.output.bits()).put(self.control).put(self.local.bits());
        to.put(self.line).put(self.special);
    }
}
