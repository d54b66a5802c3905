//! What a process does about each signal (sigaction(2), signal(7)).
#![allow(missing_docs, reason = "the words of sigaction(2)")]

use super::{Signal, SignalSet};
use crate::abi::{Abi, Decoder, Encoder};

bitflags::bitflags! {
    /// `sa_flags`. Bits that Linux does not know are kept and given back, as it does.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ActionFlags: u64 {
        const NOCLDSTOP = 1;
        const NOCLDWAIT = 2;
        const SIGINFO = 4;
        const UNSUPPORTED = 0x400;
        const EXPOSE_TAGBITS = 0x800;
        const RESTORER = 0x0400_0000;
        const ONSTACK = 0x0800_0000;
        const RESTART = 0x1000_0000;
        const NODEFER = 0x4000_0000;
        const RESETHAND = 0x8000_0000;
    }
}

impl ActionFlags {
    /// What Linux keeps (UAPI_SA_FLAGS): the rest reads back as 0, so that programs can ask for support.
    fn kept(bits: u64) -> Self {
        Self::from_bits_truncate(bits).difference(Self::UNSUPPORTED)
    }
}

/// `SIG_DFL`
const DEFAULT: u64 = 0;
/// `SIG_IGN`
const IGNORE: u64 = 1;

/// The action for one signal: `struct kernel_sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// SIG_DFL, SIG_IGN or an address.
    pub handler: u64,
    /// How.
    pub flags: ActionFlags,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked too while the handler runs.
    pub mask: SignalSet,
}

impl Action {
    /// Whether it is SIG_DFL.
    pub fn is_default(&self) -> bool {
        self.handler == DEFAULT
    }

    /// Whether it is SIG_IGN.
    pub fn is_ignore(&self) -> bool {
        self.handler == IGNORE
    }

    /// Whether the application handles it.
    pub fn is_handler(&self) -> bool {
        self.handler > IGNORE
    }

    /// Whether a signal that is sent has no effect: SIG_IGN, or SIG_DFL where the default is to ignore it.
    pub fn ignores(&self, signal: Signal) -> bool {
        self.is_ignore() || self.is_default() && DefaultAction::of(signal) == DefaultAction::Ignore
    }
}

impl Abi for Action {
    const LEN: usize = 32;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let (handler, flags) = (from.take(), ActionFlags::kept(from.take()));
        Self { handler, flags, restorer: from.take(), mask: SignalSet::mask(from.take()) }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.handler).put(self.flags.bits()).put(self.restorer).put(self.mask.bits());
    }
}

/// What happens to a process that made no other arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// It ends.
    Terminate,
    /// It ends, and its status says that it would have dumped core.
    Core,
    /// Nothing.
    Ignore,
    /// It stops.
    Stop,
}

impl DefaultAction {
    /// By signal(7).
    pub fn of(signal: Signal) -> Self {
        match signal {
            Signal::CHLD | Signal::URG | Signal::WINCH | Signal::CONT => Self::Ignore,
            Signal::STOP | Signal::TSTP | Signal::TTIN | Signal::TTOU => Self::Stop,
            Signal::QUIT
            | Signal::ILL
            | Signal::TRAP
            | Signal::ABRT
            | Signal::BUS
            | Signal::FPE
            | Signal::SEGV
            | Signal::XCPU
            | Signal::XFSZ
            | Signal::SYS => Self::Core,
            _ => Self::Terminate,
        }
    }
}

/// The actions for all signals; what CLONE_SIGHAND shares.
#[derive(Clone, Debug)]
pub struct Actions([Action; Signal::COUNT]);

impl Default for Actions {
    fn default() -> Self {
        Self([Action::default(); Signal::COUNT])
    }
}

impl Actions {
    /// The action for a signal.
    pub fn get(&self, signal: Signal) -> Action {
        self.0[signal.index()]
    }

    /// Replaces an action and gives the old one.
    pub fn set(&mut self, signal: Signal, action: Action) -> Action {
        core::mem::replace(&mut self.0[signal.index()], action)
    }

    /// What exec(2) keeps: ignored signals stay ignored, all others get their default.
    pub fn keep_ignored(&mut self) {
        for action in &mut self.0 {
            let handler = if action.is_ignore() { IGNORE } else { DEFAULT };
            *action = Action { handler, ..Action::default() };
        }
    }

    /// Back to its default, with its flags (SA_RESETHAND).
    pub fn reset(&mut self, signal: Signal) {
        self.0[signal.index()].handler = DEFAULT;
    }

    /// The signals that have handlers, and those that are ignored (for /proc/PID/status).
    pub fn sets(&self) -> (SignalSet, SignalSet) {
        let mut sets = (SignalSet::EMPTY, SignalSet::EMPTY);
        for (index, action) in (0_u32..).zip(&self.0) {
            let bit = SignalSet::from_bits(1 << index);
            if action.is_handler() {
                sets.0 = sets.0.union(bit);
            } else if action.is_ignore() {
                sets.1 = sets.1.union(bit);
            }
        }
        sets
    }
}
