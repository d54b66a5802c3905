//! What the kernel asks of the machine below it. Everything from outside comes through these traits: address spaces,
//! threads, memory that can be shared, time, entropy, files of the host. Implementations: `kernel/platform` (host
//! processes driven by seccomp), a fake for unit tests, later KVM.
//!
//! Calls go down through [`Machine`], [`Space`] and [`UserThread`]; what applications do comes up through
//! [`ThreadEvents`]. No call down may wait for an application.

mod directory;
mod event;
mod host_call;
mod range_usage;
mod registers;
mod store;
mod stream;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use crate::Errno;

pub use directory::{FileAccess, FirstNames, HostDirectory, HostEntry, HostFacts, HostFile, HostName, NodeId};
pub use event::{Event, Fault, Form, Interruption, LayoutError, Reply, ThreadEvents, WaitLimit};
pub use host_call::{Advice, Backing, BlobId, FILL_BYTES_MAX, FileId, HostCall, Keep, Protection, Sharing};
pub use range_usage::RangeUsage;
pub use registers::{Frame, Registers};
pub use store::Store;
pub use stream::{Blob, HostStream, Readiness, Wake};

/// Addresses that applications can have: `MIN..END`. What lies outside is the platform's or the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// The lowest address that can be mapped.
    pub start: u64,
    /// The first address above.
    pub end: u64,
}

/// Clocks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostClock {
    /// Since the sandbox began, unless it was moved. Never goes back; stops while the machine is suspended.
    Monotonic,
    /// The same, and it does not stop.
    Boottime,
    /// Since 1970, as people set it.
    Realtime,
}

/// Facts about the machine that applications see.
#[derive(Clone, Debug)]
pub struct MachineInfo {
    /// Addresses that applications can have.
    pub user_range: UserRange,
    /// Where the vDSO lies in every new space, for AT_SYSINFO_EHDR; 0 when there is none.
    pub vdso_address: u64,
    /// Bytes of the vDSO's own mappings ([vvar] and [vdso]) below and from `vdso_address`, for /proc/PID/maps.
    pub vdso_range: UserRange,
    /// AT_HWCAP and AT_HWCAP2.
    pub hwcap: [u64; 2],
    /// AT_MINSIGSTKSZ: what a signal frame takes at most.
    pub min_signal_stack_bytes: u64,
    /// Bytes of FP state in a [`Frame`] (the uncompacted XSAVE area, FP_XSTATE_MAGIC2 included).
    pub fp_state_bytes: usize,
    /// The host's /proc/cpuinfo fields of one processor, to be repeated for each that the sandbox has.
    pub cpuinfo: alloc::string::String,
    /// How many processors the sandbox can run on.
    pub cpus: u32,
    /// Bytes of memory that the machine has.
    pub memory_bytes: u64,
}

/// The machine.
pub trait Machine: Debug + Send + Sync {
    /// Facts that never change.
    fn info(&self) -> &MachineInfo;

    /// Time on a clock.
    fn now(&self, clock: HostClock) -> Duration;

    /// Asks for one call of `Kernel::timer_expired` at this monotonic time, in place of the one asked for before.
    fn set_timer(&self, at: Option<Duration>);

    /// Fills `buffer` with entropy.
    fn random(&self, buffer: &mut [u8]);

    /// Makes an empty space (nothing mapped but the vDSO).
    fn create_space(&self) -> Result<Arc<dyn Space>, Errno>;

    /// Memory that spaces can share and that files live in.
    fn pool(&self) -> &dyn Pool;
}

/// One application address space. Dropping it ends the host process behind it.
pub trait Space: Debug + Send + Sync {
    /// Copies from the application; stops at the first address that is not there and says how many bytes came.
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;

    /// Copies to the application; stops at the first address that cannot be written and says how many bytes went.
    fn write(&self, address: u64, bytes: &[u8]) -> usize;

    /// [`Self::read`] of a few bytes that the kernel's map has in one mapping that may be read: whether it may need not
    /// be looked at again.
    fn read_mapped(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.read(address, buffer)
    }

    /// [`Self::write`] of a few bytes, in the same way.
    fn write_mapped(&self, address: u64, bytes: &[u8]) -> usize {
        self.write(address, bytes)
    }

    /// Copies from the pool to several ranges of the application, one after the other: out of memory without a buffer
    /// between. Says how many bytes went before an address that cannot be written; fails when the pool cannot be read.
    fn write_from_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno>;

    /// Copies from several ranges of the application, one after the other, to the pool, in the same way.
    fn read_into_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno>;

    /// [`Self::read`] from several ranges (address and length), one after the other: `buffer` has room for all.
    fn read_ranges(&self, ranges: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        in_turn(ranges, |address, done, len| self.read(address, &mut buffer[done..done + len]))
    }

    /// [`Self::write`] to several ranges, one after the other: `bytes` are as many as they hold.
    fn write_ranges(&self, ranges: &[(u64, usize)], bytes: &[u8]) -> usize {
        in_turn(ranges, |address, done, len| self.write(address, &bytes[done..done + len]))
    }

    /// Atomically replaces a 32-bit word that is in pool-backed or private memory, if it holds `expected`. Returns what
    /// it held. `EFAULT` when it is not there.
    fn compare_exchange_u32(&self, address: u64, expected: u32, new: u32) -> Result<u32, Errno>;

    /// Makes one more thread, whose events go to `events`. Once it is started ([`UserThread::start`]) it enters the
    /// application with `frame`. When there are `setup` calls it does them first and raises [`Event::LayoutDone`],
    /// upon which memory can be filled and the frame changed.
    fn spawn(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Arc<dyn UserThread>, Errno>;

    /// Copies the space as fork(2) does, with one thread in it, made as [`Space::spawn`] does. One that begins at once
    /// raises no [`Event::LayoutDone`], if the host has no part in its setup.
    fn fork(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        begin: Begin,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Forked, Errno>;

    /// A space for another program in the same host process (execve(2)), `None` when that must be a new one. It is this
    /// space's process until [`Space::begin`], and nothing may be asked of it before.
    fn succeed(&self) -> Option<Arc<dyn Space>> {
        None
    }

    /// Takes the host process over from the space that this one succeeds, which is over: its memory cannot be read any
    /// more, and dropping it ends nothing. Unmapping what it left is the caller's, by the waiting thread's next reply.
    fn begin(&self) {}

    /// Ends every thread at once; nothing more runs in it once this returns.
    fn kill(&self);

    /// Where memory is lacking, a space of about its size ends before it. Copies are not preferred.
    fn prefer(&self) {}

    /// The application unmaps so many bytes that it had mapped of [`Backing::Anonymous`].
    fn unmaps(&self, _bytes: u64) {}

    /// Bytes of host memory that it holds: (resident, of those shared).
    fn resident_bytes(&self) -> (u64, u64);

    /// The most that was in memory at once: since the host process began, whichever program it was.
    fn resident_peak_bytes(&self) -> u64 {
        self.resident_bytes().0
    }

    /// What of it is in memory, by the host's own ranges; nothing where the host does not tell.
    fn usage(&self) -> Vec<RangeUsage> {
        Vec::new()
    }

    /// What is known of each page from an address on, as words of /proc/PID/pagemap (proc_pid_pagemap(5)) without the
    /// numbers of pages; `ENOSYS` where the host does not tell.
    fn page_map(&self, _address: u64, _words: &mut [u64]) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// Forgets which pages were used or changed (proc_pid_clear_refs(5)).
    fn clear_references(&self, _which: References) -> Result<(), Errno> {
        Ok(())
    }

    /// CPU time that its threads have used in the application (user, system).
    fn cpu_time(&self) -> (Duration, Duration);
}

/// Copies range after range until one is not copied whole: `copy(address, done, len)` says how much it copied.
fn in_turn(ranges: &[(u64, usize)], mut copy: impl FnMut(u64, usize, usize) -> usize) -> usize {
    let mut done = 0;
    for (address, len) in ranges {
        let count = copy(*address, done, *len);
        done += count;
        if count < *len {
            break;
        }
    }
    done
}

/// What [`Space::clear_references`] forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// That pages were used.
    All,
    /// The same of private memory.
    Anonymous,
    /// The same of mapped files.
    Mapped,
    /// That pages were changed.
    Changes,
    /// That there was more in memory.
    Peak,
}

/// When the thread of a copy enters the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As soon as it can; nothing that it calls is served before it is started.
    AtOnce,
    /// When it is started.
    WhenStarted,
}

/// What [`Space::fork`] made.
#[derive(Debug)]
pub struct Forked {
    /// The copy.
    pub space: Arc<dyn Space>,
    /// Its only thread.
    pub thread: Arc<dyn UserThread>,
}

/// What a thread has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadUsage {
    /// CPU time in the application.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Page faults without input.
    pub minor_faults: u64,
    /// Page faults with.
    pub major_faults: u64,
    /// What its space had in memory when this was asked for.
    pub resident_bytes: u64,
}

/// What a process used, as the host tells once it took the process off: a moment after it was killed.
pub trait LateUsage: Debug + Send + Sync {
    /// Page faults, and as resident bytes the most that there were at once. `None` as long as it is not known.
    fn known(&self) -> Option<ThreadUsage>;

    /// The same, waited for as long as that; nothing when the process does not end.
    fn wait(&self, patience: Duration) -> ThreadUsage;
}

/// One application thread. Dropping it ends the host thread.
pub trait UserThread: Debug + Send + Sync {
    /// Lets a new thread go. No event of it comes before.
    fn start(&self);

    /// Answers the event that the thread waits in, and lets it go on. Any host thread may call this, once per event.
    fn reply(&self, reply: Reply);

    /// Makes the thread raise [`Event::Interrupted`] soon: at once when it computes or waits in a native futex,
    /// directly after its next reply when it waits for one. Calls before that event are one call.
    fn interrupt(&self);

    /// Registers and FP state as they will be when the application goes on. Only between an event with a frame
    /// ([`Event::has_frame`]) and its reply.
    fn frame(&self) -> Result<Frame, Errno>;

    /// Changes them. Only between an event with a frame and its reply; the reply must then be [`Reply::Resume`].
    fn set_frame(&self, frame: &Frame) -> Result<(), Errno>;

    /// CPU time that it has used (user, system).
    fn cpu_time(&self) -> (Duration, Duration);

    /// The sum of both, which may be had for less.
    fn cpu_total(&self) -> Duration {
        let (user, system) = self.cpu_time();
        user + system
    }

    /// All of that and page faults, asked for when it ends.
    fn last_usage(&self) -> ThreadUsage {
        let ((user, system), (minor_faults, major_faults)) = (self.cpu_time(), self.faults());
        ThreadUsage { user, system, minor_faults, major_faults, resident_bytes: 0 }
    }

    /// The same of the only thread that its process ever had, whose space is killed next: CPU time, and who tells the
    /// rest later. `None` where nobody does.
    fn late_usage(&self) -> Option<((Duration, Duration), Arc<dyn LateUsage>)> {
        None
    }

    /// Page faults that the host served (minor, major).
    fn faults(&self) -> (u64, u64) {
        (0, 0)
    }

    /// How long it waited for a processor.
    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    /// How often it had to give way to others.
    fn involuntary_switches(&self) -> u64 {
        0
    }
}

/// Page-granular memory that every space can map and the kernel can read and write: what tmpfs files, shared anonymous
/// memory and System V segments are made of. Offsets and lengths are bytes. A [`Store`]'s offsets lie behind those of
/// memory; only with them reading and writing can fail.
pub trait Pool: Debug + Send + Sync {
    /// Lets at most this many bytes be taken from now on, objects of the kernel ([`crate::account`]) included.
    fn set_limit(&self, bytes: u64);

    /// Takes `len` bytes (a multiple of the page size) that read as zero, in one piece. `ENOMEM` at the limit.
    fn allocate(&self, len: u64) -> Result<u64, Errno>;

    /// Gives a range back; its memory is freed, and reads as zero when it is taken again.
    fn free(&self, offset: u64, len: u64);

    /// Copies out of the pool.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno>;

    /// Copies into the pool.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Makes a range read as zero without giving it back.
    fn zero(&self, offset: u64, len: u64);

    /// Atomically replaces an aligned 32-bit word, if it holds `expected`. Returns what it held.
    fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> Result<u32, Errno>;

    /// Wakes one of those who wait for an aligned word in a native futex, in whichever space.
    fn wake_futex(&self, offset: u64);

    /// Bytes of memory taken now.
    fn used_bytes(&self) -> u64;
}
