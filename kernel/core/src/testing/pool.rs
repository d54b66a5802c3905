//! The pool in a vector.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::PAGE;
use crate::Errno;
use crate::platform::Pool;

/// Grows on demand; freed ranges are found again first fit.
#[derive(Debug, Default)]
pub struct FakePool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Smaller than usual.
    limit: Option<u64>,
    /// Words that were woken.
    woken: Vec<u64>,
    taken: BTreeMap<u64, u64>,
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("64 bits")
}

impl State {
    fn first_fit(&self, len: u64) -> u64 {
        let mut at = 0;
        for (offset, taken) in &self.taken {
            if offset - at >= len {
                break;
            }
            at = offset + taken;
        }
        at
    }
}

impl FakePool {
    /// Lets it hold so much.
    pub fn limit(&self, bytes: u64) {
        self.0.lock().limit = Some(bytes);
    }

    /// Words that were woken, in order.
    pub fn woken(&self) -> Vec<u64> {
        self.0.lock().woken.clone()
    }
}

impl Pool for FakePool {
    fn set_limit(&self, bytes: u64) {
        self.0.lock().limit = Some(bytes);
    }

    fn allocate(&self, len: u64) -> Result<u64, Errno> {
        assert!(len > 0 && len.is_multiple_of(PAGE), "a range of {len} bytes");
        let mut state = self.0.lock();
        if state.limit.is_some_and(|limit| state.taken.values().sum::<u64>().saturating_add(len) > limit) {
            return Err(Errno::ENOMEM);
        }
        let at = state.first_fit(len);
        if at.saturating_add(len) > state.limit.unwrap_or(1 << 30) {
            return Err(Errno::ENOMEM);
        }
        let end = index(at + len).max(state.bytes.len());
        state.bytes.resize(end, 0);
        state.taken.insert(at, len);
        Ok(at)
    }

    fn free(&self, offset: u64, len: u64) {
        self.zero(offset, len);
        let mut state = self.0.lock();
        let (start, taken) =
            state.taken.range(..=offset).next_back().map(|(start, len)| (*start, *len)).expect("taken");
        assert!(offset + len <= start + taken, "{offset:#x}+{len:#x} is not taken");
        state.taken.remove(&start);
        if offset > start {
            state.taken.insert(start, offset - start);
        }
        if offset + len < start + taken {
            state.taken.insert(offset + len, start + taken - offset - len);
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let at = index(offset);
        buffer.copy_from_slice(&self.0.lock().bytes[at..at + buffer.len()]);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let at = index(offset);
        self.0.lock().bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) {
        let at = index(offset);
        self.0.lock().bytes[at..at + index(len)].fill(0);
    }

    fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> Result<u32, Errno> {
        let at = index(offset);
        let word = &mut self.0.lock().bytes[at..at + 4];
        let held = word.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        if held == expected {
            word.copy_from_slice(&new.to_le_bytes());
        }
        Ok(held)
    }

    fn wake_futex(&self, offset: u64) {
        self.0.lock().woken.push(offset);
    }

    fn used_bytes(&self) -> u64 {
        self.0.lock().taken.values().sum()
    }
}
