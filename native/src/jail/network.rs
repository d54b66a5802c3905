//! Network namespaces that are made before the jail.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use stockade_sandbox::{Error, Result};

use super::within;
use crate::fail::Context;
use crate::rest::keep_one_heap;
use crate::sys::clone::{CloneFlags, unshare};

/// Enough for two system calls.
const STACK_BYTES: usize = 64 << 10;

/// A new network namespace in the making: that takes as long as all other namespaces of a jail and its control groups
/// together.
#[derive(Debug)]
pub struct NewNetwork(JoinHandle<Result<OwnedFd>>);

/// What [`NewNetwork::begin_ahead`] began.
static AHEAD: Mutex<Option<NewNetwork>> = Mutex::new(None);

impl NewNetwork {
    /// Begins the one that the next [`NewNetwork::begin`] returns.
    pub fn begin_ahead() -> Result<()> {
        let network = Self::make()?;
        AHEAD.lock().unwrap_or_else(PoisonError::into_inner).replace(network);
        Ok(())
    }

    /// Gives up the one that was begun ahead. Its thread is gone when this returns.
    pub fn forget() {
        let network = AHEAD.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody misses one that could not be made.
        let _ = network.map(Self::wait);
    }

    /// Begins. The thread that makes it is gone when [`NewNetwork::wait`] returns.
    pub fn begin() -> Result<Self> {
        AHEAD.lock().unwrap_or_else(PoisonError::into_inner).take().map_or_else(Self::make, Ok)
    }

    fn make() -> Result<Self> {
        keep_one_heap();
        let thread = Builder::new().name("network".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(make).map(Self).at("start a thread")
    }

    /// Waits until it is made.
    pub fn wait(self) -> Result<OwnedFd> {
        self.0.join().map_err(|_| Error::Other("the network namespace's thread panicked".to_owned()))?
    }
}

/// A new network namespace, for a jail that is to find something in it. The caller must have one thread.
pub fn new_network() -> Result<OwnedFd> {
    within(|| unshare(CloneFlags::NEWNET).at("make a network namespace"), open_network)
}

fn make() -> Result<OwnedFd> {
    unshare(CloneFlags::NEWNET).at("make a network namespace")?;
    open_network()
}

pub(super) fn open_network() -> Result<OwnedFd> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from).at("open the own network namespace")
}
