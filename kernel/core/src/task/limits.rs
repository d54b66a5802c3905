//! Resource limits (getrlimit(2)).

use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};

/// What can be limited; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of getrlimit(2)")]
pub enum Resource {
    Cpu,
    FileSize,
    Data,
    Stack,
    Core,
    Resident,
    Processes,
    Files,
    LockedMemory,
    AddressSpace,
    Locks,
    PendingSignals,
    MessageQueues,
    Nice,
    RealTimePriority,
    RealTime,
}

impl Resource {
    /// All, in the ABI's order, with their names in /proc/PID/limits and the units there.
    pub const ALL: [(Resource, &'static str, &'static str); 16] = [
        (Resource::Cpu, "Max cpu time", "seconds"),
        (Resource::FileSize, "Max file size", "bytes"),
        (Resource::Data, "Max data size", "bytes"),
        (Resource::Stack, "Max stack size", "bytes"),
        (Resource::Core, "Max core file size", "bytes"),
        (Resource::Resident, "Max resident set", "bytes"),
        (Resource::Processes, "Max processes", "processes"),
        (Resource::Files, "Max open files", "files"),
        (Resource::LockedMemory, "Max locked memory", "bytes"),
        (Resource::AddressSpace, "Max address space", "bytes"),
        (Resource::Locks, "Max file locks", "locks"),
        (Resource::PendingSignals, "Max pending signals", "signals"),
        (Resource::MessageQueues, "Max msgqueue size", "bytes"),
        (Resource::Nice, "Max nice priority", ""),
        (Resource::RealTimePriority, "Max realtime priority", ""),
        (Resource::RealTime, "Max realtime timeout", "us"),
    ];

    /// `EINVAL` unless there is such a limit.
    pub fn new(number: u32) -> Result<Self, Errno> {
        let index = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
        Self::ALL.get(index).map(|entry| entry.0).ok_or(Errno::EINVAL)
    }
}

/// One limit: `struct rlimit64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// How far an ordinary process can raise it.
    pub hard: u64,
}

/// RLIM_INFINITY
pub const INFINITY: u64 = u64::MAX;

impl Limit {
    /// No limit.
    pub const NONE: Limit = Limit { soft: INFINITY, hard: INFINITY };

    const fn both(value: u64) -> Self {
        Self { soft: value, hard: value }
    }
}

impl Abi for Limit {
    const LEN: usize = 16;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { soft: from.take(), hard: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.soft).put(self.hard);
    }
}

/// All limits of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([Limit; 16]);

impl Default for Limits {
    /// Those of a container under common engines.
    fn default() -> Self {
        let mut limits = Self([Limit::NONE; 16]);
        limits.set(Resource::Stack, Limit { soft: 8 << 20, hard: INFINITY });
        limits.set(Resource::Core, Limit { soft: 0, hard: INFINITY });
        limits.set(Resource::Files, Limit { soft: 1024, hard: 1 << 20 });
        limits.set(Resource::LockedMemory, Limit::both(8 << 20));
        limits.set(Resource::PendingSignals, Limit::both(95_000));
        limits.set(Resource::MessageQueues, Limit::both(819_200));
        limits.set(Resource::Nice, Limit::both(0));
        limits.set(Resource::RealTimePriority, Limit::both(0));
        limits
    }
}

impl Limits {
    /// One limit.
    pub fn get(&self, resource: Resource) -> Limit {
        self.0[resource as usize]
    }

    /// Replaces a limit; who may is the caller's to check.
    pub fn set(&mut self, resource: Resource, limit: Limit) {
        self.0[resource as usize] = limit;
    }
}
