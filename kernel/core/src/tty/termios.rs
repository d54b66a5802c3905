//! `struct termios` (termios(3)), and the older and newer forms of it (ioctl_tty(2)).

use core::array;

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
    /// Bits per second of what comes, and of what goes.
    speeds: [u32; 2],
}

/// Bits per second by number; those beyond the 16th have [`abi::CBAUDEX`] in `c_cflag`.
const SPEEDS: [u32; 31] = [
    0, 50, 75, 110, 134, 150, 200, 300, 600, 1_200, 1_800, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200,
    230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000,
    3_500_000, 4_000_000,
];

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
            speeds: [38_400; 2],
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

    /// Nothing set: what is locked of a terminal at first.
    pub fn zero() -> Self {
        Self::from_bytes(&[0; Self::LEN])
    }

    /// As it becomes when these modes are asked for and some of the old ones are locked.
    pub fn changed_to(&self, asked: &Self, locked: &Self) -> Self {
        let mix = |old: u32, asked: u32, locked: u32| asked & !locked | old & locked;
        let keep = |old: u8, asked: u8, locked: u8| if locked == 0 { asked } else { old };
        let control = mix(self.control, asked.control, locked.control);
        Self {
            input: Input::from_bits_retain(mix(self.input.bits(), asked.input.bits(), locked.input.bits())),
            output: Output::from_bits_retain(mix(self.output.bits(), asked.output.bits(), locked.output.bits())),
            // A pseudo-terminal has bytes of eight bits without parity.
            control: control & !(abi::CSIZE | abi::PARENB) | abi::CS8 | abi::CREAD,
            local: Local::from_bits_retain(mix(self.local.bits(), asked.local.bits(), locked.local.bits())),
            line: keep(self.line, asked.line, locked.line),
            special: array::from_fn(|i| keep(self.special[i], asked.special[i], locked.special[i])),
            speeds: asked.named_speeds(),
        }
    }

    /// The speeds that `c_cflag` names, which may be those given beside it.
    fn named_speeds(&self) -> [u32; 2] {
        let [input, output] = self.speeds;
        let output = speed(self.control & abi::CBAUD, output);
        let named = self.control >> abi::IBSHIFT & abi::CBAUD;
        [if named == 0 { output } else { speed(named, input) }, output]
    }
}

fn speed(named: u32, other: u32) -> u32 {
    match named {
        abi::BOTHER => other,
        named if named & abi::CBAUDEX != 0 => speed_at((named & !abi::CBAUDEX) + 15),
        named => speed_at(named),
    }
}

fn speed_at(number: u32) -> u32 {
    usize::try_from(number).ok().and_then(|number| SPEEDS.get(number)).copied().unwrap_or_default()
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
            speeds: [0; 2],
        }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.input.bits()).put(self.output.bits()).put(self.control).put(self.local.bits());
        to.put(self.line).put(self.special);
    }
}

/// `struct termios2`: with its speeds.
#[derive(Clone, Copy, Debug)]
pub struct WithSpeeds(pub Termios);

impl Abi for WithSpeeds {
    const LEN: usize = Termios::LEN + 8;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let termios: Termios = from.take();
        Self(Termios { speeds: from.take(), ..termios })
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.0).put(self.0.speeds);
    }
}

/// `struct termio`: the low halves, and the first special characters.
#[derive(Clone, Copy, Debug)]
pub struct Halves {
    modes: [u16; 4],
    line: u8,
    special: [u8; abi::NCC as usize],
}

impl Halves {
    /// Those of a terminal's modes.
    pub fn of(termios: &Termios) -> Self {
        let modes = [termios.input.bits(), termios.output.bits(), termios.control, termios.local.bits()];
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _] = termios.special;
        Self { modes: modes.map(low), line: termios.line, special: first }
    }

    /// The modes with these halves in place of theirs.
    pub fn put_into(&self, termios: &Termios) -> Termios {
        let [input, output, control, local] = self.modes;
        let with = |whole: u32, half: u16| whole & 0xffff_0000 | u32::from(half);
        let mut special = termios.special;
        special[..self.special.len()].copy_from_slice(&self.special);
        Termios {
            input: Input::from_bits_retain(with(termios.input.bits(), input)),
            output: Output::from_bits_retain(with(termios.output.bits(), output)),
            control: with(termios.control, control),
            local: Local::from_bits_retain(with(termios.local.bits(), local)),
            line: self.line,
            special,
            speeds: termios.speeds,
        }
    }
}

fn low(whole: u32) -> u16 {
    let [first, second, ..] = whole.to_le_bytes();
    u16::from_le_bytes([first, second])
}

impl Abi for Halves {
    const LEN: usize = 18;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let halves = Self { modes: from.take(), line: from.take(), special: from.take() };
        from.skip(1);
        halves
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.modes).put(self.line).put(self.special).zeros(1);
    }
}
