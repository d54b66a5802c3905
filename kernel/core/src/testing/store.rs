//! A file of the host, in the pool's vector.

use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::FakeMachine;
use crate::Errno;
use crate::platform::{Machine as _, Store};

/// The file. What is reserved is never given back to the host.
#[derive(Debug)]
pub struct FakeStore {
    machine: Arc<FakeMachine>,
    bytes_max: u64,
    host_free_bytes: Mutex<u64>,
}

impl FakeStore {
    /// May hold so much, on a host that has so much left.
    pub fn on(machine: &Arc<FakeMachine>, bytes_max: u64, host_free_bytes: u64) -> Arc<dyn Store> {
        Arc::new(Self { machine: machine.clone(), bytes_max, host_free_bytes: Mutex::new(host_free_bytes) })
    }
}

impl Store for FakeStore {
    fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn host_free_bytes(&self) -> Result<u64, Errno> {
        Ok(*self.host_free_bytes.lock())
    }

    fn allocate(&self, len: u64) -> Result<u64, Errno> {
        self.machine.pool().allocate(len).map_err(|_| Errno::ENOSPC)
    }

    fn reserve(&self, _: u64, len: u64) -> Result<(), Errno> {
        let mut free = self.host_free_bytes.lock();
        *free = free.checked_sub(len).ok_or(Errno::ENOSPC)?;
        Ok(())
    }

    fn free(&self, offset: u64, len: u64) {
        self.machine.pool().free(offset, len);
    }
}
