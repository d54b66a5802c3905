//! Signal numbers and sets of them.

use core::fmt;

use crate::Errno;

/// A signal: 1..=64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident $number:literal)*) => {
        #[allow(missing_docs, reason = "the names of signal(7)")]
        impl Signal {
            $(pub const $name: Signal = Signal($number);)*

            fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    HUP 1 INT 2 QUIT 3 ILL 4 TRAP 5 ABRT 6 BUS 7 FPE 8 KILL 9 USR1 10 SEGV 11 USR2 12 PIPE 13 ALRM 14 TERM 15 STKFLT 16
    CHLD 17 CONT 18 STOP 19 TSTP 20 TTIN 21 TTOU 22 URG 23 XCPU 24 XFSZ 25 VTALRM 26 PROF 27 WINCH 28 IO 29 PWR 30
    SYS 31
}

impl Signal {
    /// The first real-time signal of the kernel (libraries keep the first few for themselves).
    pub const RT_MIN: Signal = Signal(32);
    /// How many there are.
    pub const COUNT: usize = 64;

    /// `EINVAL` unless it is a signal.
    pub fn new(number: i32) -> Result<Self, Errno> {
        u8::try_from(number).ok().filter(|number| (1..=64).contains(number)).map(Self).ok_or(Errno::EINVAL)
    }

    /// A signal, or none for 0 (kill(2)'s test for existence).
    pub fn optional(number: i32) -> Result<Option<Self>, Errno> {
        if number == 0 { Ok(None) } else { Self::new(number).map(Some) }
    }

    /// The number.
    pub fn raw(self) -> i32 {
        self.0.into()
    }

    /// The place in a table of all signals.
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    /// Whether it is queued each time it is sent.
    pub fn is_realtime(self) -> bool {
        self >= Self::RT_MIN
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(out, "SIG{name}"),
            None => write!(out, "signal {}", self.0),
        }
    }
}

/// A set of signals, as in the ABI: bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// What cannot be blocked, caught or ignored.
    pub const UNBLOCKABLE: SignalSet = SignalSet::of(&[Signal::KILL, Signal::STOP]);
    /// What stops a process by default.
    pub const STOPPING: SignalSet = SignalSet::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    /// What the processor raises; delivered before all others.
    pub const SYNCHRONOUS: SignalSet =
        SignalSet::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);

    /// These signals.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < signals.len() {
            bits |= 1 << (signals[at].0 - 1);
            at += 1;
        }
        Self(bits)
    }

    /// From the ABI.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// A mask of blocked signals from the ABI: SIGKILL and SIGSTOP are left out, as sigprocmask(2) does.
    pub fn mask(bits: u64) -> Self {
        Self(bits).without(Self::UNBLOCKABLE)
    }

    /// For the ABI.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a signal is in it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & Self::of(&[signal]).0 != 0
    }

    /// With a signal.
    pub fn insert(&mut self, signal: Signal) {
        *self = self.union(Self::of(&[signal]));
    }

    /// Without a signal.
    pub fn remove(&mut self, signal: Signal) {
        *self = self.without(Self::of(&[signal]));
    }

    /// What is in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one only.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// All that are not in it.
    pub fn complement(self) -> Self {
        Self(!self.0)
    }

    /// The signal to deliver next: the processor's own first, then by number (signal(7)).
    pub fn first(self) -> Option<Signal> {
        let urgent = self.intersection(Self::SYNCHRONOUS);
        let bits = if urgent.is_empty() { self.0 } else { urgent.0 };
        u8::try_from(bits.trailing_zeros()).ok().filter(|bit| *bit < 64).map(|bit| Signal(bit + 1))
    }
}
