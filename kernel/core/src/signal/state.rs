//! What tasks and processes remember about signals.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use super::{Actions, AlternateStack, Pending, SignalSet};
use crate::wait::SharedQueue;

bitflags::bitflags! {
    /// What a task must look at before its application goes on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Attention: u32 {
        /// A signal that is not blocked waits.
        const SIGNAL = 1;
        /// Job control wants it to stop.
        const STOP = 2;
        /// Its process ends.
        const EXIT = 4;
        /// The call that runs replaced the mask.
        const MASK = 8;
        /// A call that was interrupted may come again.
        const RESTART = 16;
    }
}

impl Attention {
    /// What interrupts a call.
    const INTERRUPTING: Attention = Attention::SIGNAL.union(Attention::STOP).union(Attention::EXIT);
}

/// What one task remembers. Lock order: none is held while another is taken.
#[derive(Debug, Default)]
pub(crate) struct TaskSignals {
    attention: AtomicU32,
    blocked: AtomicU64,
    pub pending: Mutex<Pending>,
    pub stack: Mutex<AlternateStack>,
    /// The mask to return to, while a call like ppoll(2) replaced it.
    saved_mask: Mutex<Option<SignalSet>>,
}

impl TaskSignals {
    /// Of a new task.
    pub fn new(blocked: SignalSet, stack: AlternateStack) -> Self {
        Self { blocked: AtomicU64::new(blocked.bits()), stack: Mutex::new(stack), ..Self::default() }
    }

    /// Whether a call must be interrupted: one load.
    pub fn is_interrupting(&self) -> bool {
        self.attention().intersects(Attention::INTERRUPTING)
    }

    pub fn attention(&self) -> Attention {
        Attention::from_bits_truncate(self.attention.load(Ordering::SeqCst))
    }

    pub fn raise(&self, bits: Attention) {
        self.attention.fetch_or(bits.bits(), Ordering::SeqCst);
    }

    pub fn lower(&self, bits: Attention) {
        self.attention.fetch_and(!bits.bits(), Ordering::SeqCst);
    }

    pub fn blocked(&self) -> SignalSet {
        SignalSet::from_bits(self.blocked.load(Ordering::SeqCst))
    }

    /// Callers look for signals afterwards.
    pub fn set_blocked(&self, blocked: SignalSet) {
        self.blocked.store(blocked.bits(), Ordering::SeqCst);
    }

    /// Keeps the mask to return to; the first one stays when a call runs again.
    pub fn save_mask(&self, mask: SignalSet) {
        self.saved_mask.lock().get_or_insert(mask);
        self.raise(Attention::MASK);
    }

    /// The mask to return to, once.
    pub fn take_saved_mask(&self) -> Option<SignalSet> {
        if !self.attention().contains(Attention::MASK) {
            return None;
        }
        self.lower(Attention::MASK);
        self.saved_mask.lock().take()
    }

    /// The mask that counts when no call replaces it.
    pub fn lasting_mask(&self) -> SignalSet {
        self.saved_mask.lock().unwrap_or_else(|| self.blocked())
    }
}

/// What one process remembers.
#[derive(Debug)]
pub(crate) struct ProcessSignals {
    pub pending: Mutex<Pending>,
    /// Shared by CLONE_SIGHAND, replaced by exec.
    actions: Mutex<Arc<Mutex<Actions>>>,
    /// Woken by each signal that arrives, blocked or not: for sigtimedwait(2) and signalfd(2).
    pub queue: SharedQueue,
}

impl ProcessSignals {
    pub fn new(actions: Arc<Mutex<Actions>>) -> Self {
        Self { pending: Mutex::default(), actions: Mutex::new(actions), queue: SharedQueue::default() }
    }

    pub fn actions(&self) -> Arc<Mutex<Actions>> {
        self.actions.lock().clone()
    }

    pub fn set_actions(&self, actions: Actions) {
        *self.actions.lock() = Arc::new(Mutex::new(actions));
    }
}
