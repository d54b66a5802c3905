//! An address space of the fake machine.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::pages::Pages;
use super::{FakeMachine, FakeThread, PAGE};
use crate::Errno;
use crate::platform::{Begin, Forked, Frame, HostCall, Machine as _, Protection, Space, ThreadEvents, UserThread};

/// A space.
#[derive(Debug)]
pub struct FakeSpace {
    me: Weak<FakeSpace>,
    machine: Arc<FakeMachine>,
    pages: Mutex<Pages>,
    dead: AtomicBool,
    unmapped: AtomicU64,
    fails: Mutex<Option<Errno>>,
}

impl FakeSpace {
    /// Empty.
    pub fn new(machine: &Arc<FakeMachine>) -> Arc<Self> {
        Self::with(machine, Pages::default())
    }

    fn with(machine: &Arc<FakeMachine>, pages: Pages) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            machine: machine.clone(),
            pages: Mutex::new(pages),
            dead: AtomicBool::new(false),
            unmapped: AtomicU64::new(0),
            fails: Mutex::new(None),
        })
    }

    /// Does one host call.
    pub fn apply(&self, call: &HostCall) -> Result<(), Errno> {
        if let Some(errno) = self.fails.lock().take() {
            return Err(errno);
        }
        let is_whole = match call {
            HostCall::Fill { address, bytes } => self.write(*address, bytes) == bytes.len(),
            HostCall::Zero { address, len } => {
                let zeros = alloc::vec![0; usize::try_from(*len).expect("small")];
                self.write(*address, &zeros) == zeros.len()
            }
            call => return self.pages.lock().apply(call),
        };
        if is_whole { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Makes the next host call fail.
    pub fn fail_next(&self, errno: Errno) {
        *self.fails.lock() = Some(errno);
    }

    /// The protection of a page; `None` when it is not mapped.
    pub fn protection(&self, address: u64) -> Option<Protection> {
        self.pages.lock().protection(address)
    }

    /// Mapped pages.
    pub fn addresses(&self) -> Vec<u64> {
        self.pages.lock().addresses().collect()
    }

    /// Whether it was killed.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Bytes of zeros that were unmapped.
    pub fn unmapped(&self) -> u64 {
        self.unmapped.load(Ordering::Relaxed)
    }

    /// Steps over `len` bytes within pages: `copy(page, at, done, step)` says whether it could.
    fn walk(address: u64, len: usize, mut copy: impl FnMut(u64, usize, usize, usize) -> bool) -> usize {
        let mut done = 0;
        while done < len {
            let Some(at) = address.checked_add(done as u64) else { break };
            let offset = usize::try_from(at % PAGE).expect("small");
            let step = (len - done).min(4096 - offset);
            if !copy(at - at % PAGE, offset, done, step) {
                break;
            }
            done += step;
        }
        done
    }
}

impl Space for FakeSpace {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let pages = self.pages.lock();
        Self::walk(address, buffer.len(), |page, at, done, step| {
            let bytes = pages.read(&self.machine, page);
            bytes.map(|bytes| buffer[done..done + step].copy_from_slice(&bytes[at..at + step])).is_some()
        })
    }

    fn write(&self, address: u64, bytes: &[u8]) -> usize {
        let mut pages = self.pages.lock();
        Self::walk(address, bytes.len(), |page, at, done, step| {
            pages.write(&self.machine, page, at, &bytes[done..done + step]).is_some()
        })
    }

    fn write_from_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno> {
        let mut bytes = alloc::vec![0; ranges.iter().map(|(_, len)| len).sum()];
        self.machine.pool().read(pool_offset, &mut bytes)?;
        Ok(self.write_ranges(ranges, &bytes))
    }

    fn read_into_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno> {
        let mut bytes = alloc::vec![0; ranges.iter().map(|(_, len)| len).sum()];
        let count = self.read_ranges(ranges, &mut bytes);
        self.machine.pool().write(pool_offset, &bytes[..count])?;
        Ok(count)
    }

    fn compare_exchange_u32(&self, address: u64, expected: u32, new: u32) -> Result<u32, Errno> {
        let mut word = [0; 4];
        if self.read(address, &mut word) < 4 {
            return Err(Errno::EFAULT);
        }
        let found = u32::from_le_bytes(word);
        if found == expected && self.write(address, &new.to_le_bytes()) < 4 {
            return Err(Errno::EFAULT);
        }
        Ok(found)
    }

    fn spawn(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Arc<dyn UserThread>, Errno> {
        let me = self.me.upgrade().expect("spaces are only used through Arc");
        Ok(FakeThread::new(&me, frame, setup, events))
    }

    fn fork(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        _: Begin,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Forked, Errno> {
        let space = Self::with(&self.machine, self.pages.lock().clone());
        let thread = FakeThread::new(&space, frame, setup, events);
        Ok(Forked { space, thread })
    }

    fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    fn unmaps(&self, bytes: u64) {
        self.unmapped.fetch_add(bytes, Ordering::Relaxed);
    }

    fn resident_bytes(&self) -> (u64, u64) {
        (self.pages.lock().addresses().count() as u64 * PAGE, 0)
    }

    fn cpu_time(&self) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }
}
