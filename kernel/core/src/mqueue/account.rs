//! What queues may take: /proc/sys/fs/mqueue, and RLIMIT_MSGQUEUE.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::Attributes;
use crate::Errno;
use crate::task::Capabilities;

/// MQ_PRIO_MAX
pub const PRIORITIES: u32 = 32_768;
/// HARD_MSGMAX and HARD_MSGSIZEMAX of Linux: for those with CAP_SYS_RESOURCE.
const HARD_MESSAGES_MAX: i64 = 65_536;
const HARD_BYTES_MAX: i64 = 16 << 20;
/// Bytes that Linux takes for a message, and for a priority in use, beside the text.
const OVERHEAD_BYTES: u64 = 48;

/// The settings of /proc/sys/fs/mqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `queues_max`
    pub queues_max: u32,
    /// `msg_max`
    pub messages_max: u32,
    /// `msgsize_max`
    pub message_bytes_max: u32,
    /// `msg_default`
    pub messages_default: u32,
    /// `msgsize_default`
    pub message_bytes_default: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queues_max: 256,
            messages_max: 10,
            message_bytes_max: 8192,
            messages_default: 10,
            message_bytes_default: 8192,
        }
    }
}

impl Limits {
    /// Of a queue whose maker does not say.
    pub fn default_attributes(&self) -> Attributes {
        Attributes {
            messages_max: self.messages_default.min(self.messages_max).into(),
            message_bytes_max: self.message_bytes_default.min(self.message_bytes_max).into(),
        }
    }

    /// `EINVAL` when a queue's maker may not want so much (`mqueue_get_inode` of Linux).
    fn check(&self, wanted: Attributes, capabilities: Capabilities) -> Result<(), Errno> {
        let (messages, bytes) = match capabilities.contains(Capabilities::SYS_RESOURCE) {
            true => (HARD_MESSAGES_MAX, HARD_BYTES_MAX),
            false => (self.messages_max.into(), self.message_bytes_max.into()),
        };
        let is_allowed =
            (1..=messages).contains(&wanted.messages_max) && (1..=bytes).contains(&wanted.message_bytes_max);
        if is_allowed { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

/// Who makes a queue.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// Whose account it goes to.
    pub uid: u32,
    /// What may go beyond the settings.
    pub capabilities: Capabilities,
    /// RLIMIT_MSGQUEUE
    pub bytes_max: u64,
}

/// What is in use.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    queues: u32,
    bytes_by_user: BTreeMap<u32, u64>,
}

/// A queue's part of it, given back when it goes.
#[derive(Debug)]
pub(super) struct Charge {
    accounts: Arc<Accounts>,
    uid: u32,
    bytes: u64,
}

impl Accounts {
    pub fn limits(&self) -> Limits {
        self.0.lock().limits
    }

    pub fn set_limits(&self, limits: Limits) {
        self.0.lock().limits = limits;
    }

    /// Takes what a queue needs: `ENOSPC` when there are too many, `EMFILE` when its maker has too much.
    pub fn charge(self: &Arc<Self>, wanted: Attributes, maker: Maker) -> Result<Charge, Errno> {
        let mut state = self.0.lock();
        if state.queues >= state.limits.queues_max && !maker.capabilities.contains(Capabilities::SYS_RESOURCE) {
            return Err(Errno::ENOSPC);
        }
        state.limits.check(wanted, maker.capabilities)?;
        let bytes = cost(wanted).ok_or(Errno::EOVERFLOW)?;
        let all = state.bytes_by_user.entry(maker.uid).or_default();
        *all = all.checked_add(bytes).filter(|sum| *sum <= maker.bytes_max).ok_or(Errno::EMFILE)?;
        state.queues += 1;
        Ok(Charge { accounts: self.clone(), uid: maker.uid, bytes })
    }
}

/// Bytes that a full queue takes (getrlimit(2), RLIMIT_MSGQUEUE).
fn cost(wanted: Attributes) -> Option<u64> {
    let messages = u64::try_from(wanted.messages_max).ok()?;
    let texts = messages.checked_mul(u64::try_from(wanted.message_bytes_max).ok()?)?;
    texts.checked_add((messages + messages.min(PRIORITIES.into())) * OVERHEAD_BYTES)
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.accounts.0.lock();
        state.queues = state.queues.saturating_sub(1);
        let left = state.bytes_by_user.get(&self.uid).map_or(0, |bytes| bytes.saturating_sub(self.bytes));
        match left {
            0 => drop(state.bytes_by_user.remove(&self.uid)),
            left => drop(state.bytes_by_user.insert(self.uid, left)),
        }
    }
}
