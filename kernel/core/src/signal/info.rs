//! What comes with a signal: `siginfo_t` (sigaction(2)).

use super::Signal;
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::task::Pid;

/// Who sent a signal, as `si_code` says.
pub mod code {
    #![allow(missing_docs, reason = "the names of sigaction(2)")]
    pub const SI_USER: i32 = 0;
    pub const SI_KERNEL: i32 = 0x80;
    pub const SI_QUEUE: i32 = -1;
    pub const SI_TIMER: i32 = -2;
    pub const SI_MESGQ: i32 = -3;
    pub const SI_ASYNCIO: i32 = -4;
    pub const SI_SIGIO: i32 = -5;
    pub const SI_TKILL: i32 = -6;
    pub const CLD_EXITED: i32 = 1;
    pub const CLD_KILLED: i32 = 2;
    pub const CLD_DUMPED: i32 = 3;
    pub const CLD_STOPPED: i32 = 5;
    pub const CLD_CONTINUED: i32 = 6;
    pub const SYS_SECCOMP: i32 = 1;
}

/// The part of `siginfo_t` that depends on `si_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// kill(2), tgkill(2): who.
    Sender {
        /// `si_pid`
        pid: Pid,
        /// `si_uid`
        uid: u32,
    },
    /// A child changed.
    Child {
        /// `si_pid`
        pid: Pid,
        /// `si_uid`
        uid: u32,
        /// `si_status`: exit status or signal.
        status: i32,
        /// `si_utime` in clock ticks.
        user: i64,
        /// `si_stime` in clock ticks.
        system: i64,
    },
    /// A POSIX timer.
    Timer {
        /// `si_timerid`
        id: i32,
        /// `si_overrun`
        overrun: i32,
        /// `si_value`
        value: u64,
    },
    /// A fault of the processor.
    Fault {
        /// `si_addr`
        address: u64,
    },
    /// Input or output is possible.
    Poll {
        /// `si_band`
        band: i64,
        /// `si_fd`
        fd: i32,
    },
    /// rt_sigqueueinfo(2): as the application gave it, from byte 16 on.
    Raw([u8; SignalInfo::LEN - 16]),
}

/// One signal on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// `si_signo`
    pub signal: Signal,
    /// `si_errno`
    pub errno: i32,
    /// `si_code`
    pub code: i32,
    /// The rest.
    pub detail: Detail,
}

impl SignalInfo {
    /// Bytes of `siginfo_t`.
    pub const LEN: usize = 128;

    /// Sent by the kernel.
    pub fn kernel(signal: Signal) -> Self {
        Self { signal, errno: 0, code: code::SI_KERNEL, detail: Detail::None }
    }

    /// Sent by a process with kill(2).
    pub fn user(signal: Signal, pid: Pid, uid: u32) -> Self {
        Self { signal, errno: 0, code: code::SI_USER, detail: Detail::Sender { pid, uid } }
    }

    /// Sent by a process with tkill(2) or tgkill(2).
    pub fn thread(signal: Signal, pid: Pid, uid: u32) -> Self {
        Self { code: code::SI_TKILL, ..Self::user(signal, pid, uid) }
    }

    /// Of a fault.
    pub fn fault(signal: Signal, code: i32, address: u64) -> Self {
        Self { signal, errno: 0, code, detail: Detail::Fault { address } }
    }

    /// What an application passed to rt_sigqueueinfo(2); its `si_signo` is replaced, as on Linux.
    pub fn from_user(signal: Signal, bytes: &[u8; Self::LEN]) -> Self {
        let mut from = Decoder::new(bytes);
        from.skip(4);
        let (errno, code) = (from.take(), from.take());
        let mut rest = [0; Self::LEN - 16];
        rest.copy_from_slice(&bytes[16..]);
        Self { signal, errno, code, detail: Detail::Raw(rest) }
    }

    /// Whether a process sent it, and not the kernel (`SI_FROMUSER`).
    pub fn is_from_user(&self) -> bool {
        self.code <= 0
    }

    /// As `siginfo_t`.
    pub fn to_abi(&self) -> [u8; Self::LEN] {
        let mut to = Encoder::with_capacity(Self::LEN);
        to.put(self.signal.raw()).put(self.errno).put(self.code).zeros(4);
        self.detail.encode(&mut to);
        let mut bytes = [0; Self::LEN];
        bytes[..to.len()].copy_from_slice(&to.finish());
        bytes
    }

    /// The sender of kill(2) and its like, or the child: (`si_pid`, `si_uid`).
    pub fn sender(&self) -> (u32, u32) {
        match &self.detail {
            Detail::Sender { pid, uid } | Detail::Child { pid, uid, .. } => (pid.raw(), *uid),
            Detail::Raw(rest) => <[u32; 2]>::from_bytes(rest).into(),
            _ => (0, 0),
        }
    }

    /// `si_value` of a queued signal or timer.
    pub fn value(&self) -> u64 {
        match &self.detail {
            Detail::Timer { value, .. } => *value,
            Detail::Raw(rest) => u64::from_bytes(&rest[8..]),
            _ => 0,
        }
    }
}

impl Detail {
    fn encode(&self, to: &mut Encoder) {
        match *self {
            Detail::None => {}
            Detail::Sender { pid, uid } => {
                to.put(pid.raw()).put(uid);
            }
            Detail::Child { pid, uid, status, user, system } => {
                to.put(pid.raw()).put(uid).put(status).zeros(4).put(user).put(system);
            }
            Detail::Timer { id, overrun, value } => {
                to.put(id).put(overrun).put(value);
            }
            Detail::Fault { address } => {
                to.put(address);
            }
            Detail::Poll { band, fd } => {
                to.put(band).put(fd);
            }
            Detail::Raw(rest) => {
                to.bytes(&rest);
            }
        }
    }
}

impl SignalInfo {
    /// `EPERM` unless an application may claim this `si_code` to others (rt_sigqueueinfo(2)).
    pub fn check_forgery(&self) -> Result<(), Errno> {
        if self.code >= 0 || self.code == code::SI_TKILL { Err(Errno::EPERM) } else { Ok(()) }
    }
}
