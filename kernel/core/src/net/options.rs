//! Options of the socket level (socket(7)).

use core::time::Duration;

use linux_raw_sys::net as abi;

use super::{Direction, inbox};
use crate::Errno;

/// How long a call waits.
pub type TimeLimit = Option<Duration>;

/// What SO_LINGER says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linger {
    /// Whether close(2) waits.
    pub on: i32,
    /// How many seconds.
    pub seconds: i32,
}

/// Options. Those without an effect here are kept as they were given.
#[derive(Clone, Debug)]
pub struct Options {
    flags: u64,
    values: [i32; VALUES.len()],
    /// SO_LINGER
    pub linger: Linger,
    /// SO_RCVTIMEO
    pub receive_limit: TimeLimit,
    /// SO_SNDTIMEO
    pub send_limit: TimeLimit,
    /// SO_BINDTODEVICE: whether it is bound to the interface, which is the only one.
    pub is_bound_to_device: bool,
    /// SO_MAX_PACING_RATE, in bytes per second
    pub pacing_rate: u64,
}

/// Those that are on or off.
const FLAGS: &[u32] = &[
    abi::SO_DEBUG,
    abi::SO_REUSEADDR,
    abi::SO_DONTROUTE,
    abi::SO_BROADCAST,
    abi::SO_KEEPALIVE,
    abi::SO_OOBINLINE,
    abi::SO_REUSEPORT,
    abi::SO_PASSCRED,
    abi::SO_TIMESTAMP_OLD,
    abi::SO_TIMESTAMPNS_OLD,
    abi::SO_NO_CHECK,
    abi::SO_LOCK_FILTER,
    abi::SO_RXQ_OVFL,
    abi::SO_PASSSEC,
    abi::SO_WIFI_STATUS,
    abi::SO_NOFCS,
    abi::SO_SELECT_ERR_QUEUE,
];

/// Those that only tell: what Linux knows of a packet that a filter asks about, and what loopback has none of.
const FACTS: [(u32, i32); 3] = [(abi::SO_SNDLOWAT, 1), (abi::SO_BPF_EXTENSIONS, 64), (abi::SO_INCOMING_NAPI_ID, 0)];

/// Those with a value, and what it is at first.
const VALUES: [(u32, i32); 8] = [
    (abi::SO_SNDBUF, 212_992),
    (abi::SO_RCVBUF, 212_992),
    (abi::SO_PRIORITY, 0),
    (abi::SO_RCVLOWAT, 1),
    (abi::SO_MARK, 0),
    (abi::SO_BUSY_POLL, 0),
    (abi::SO_INCOMING_CPU, -1),
    (abi::SO_PEEK_OFF, -1),
];

impl Default for Options {
    fn default() -> Self {
        Self {
            flags: 0,
            values: VALUES.map(|(_, value)| value),
            linger: Linger::default(),
            receive_limit: None,
            send_limit: None,
            is_bound_to_device: false,
            pacing_rate: u64::MAX,
        }
    }
}

impl Options {
    /// The value of an integer option.
    pub fn get(&self, name: u32) -> Result<i32, Errno> {
        if let Some(bit) = FLAGS.iter().position(|flag| *flag == name) {
            return Ok(i32::from(self.flags >> bit & 1 == 1));
        }
        if let Some((_, value)) = FACTS.iter().find(|(fact, _)| *fact == name) {
            return Ok(*value);
        }
        match name {
            abi::SO_BSDCOMPAT => return Ok(0),
            abi::SO_BINDTOIFINDEX => return Ok(i32::from(self.is_bound_to_device)),
            _ => {}
        }
        let at = VALUES.iter().position(|(value, _)| *value == name).ok_or(Errno::ENOPROTOOPT)?;
        Ok(self.values[at])
    }

    /// Changes an integer option.
    pub fn set(&mut self, name: u32, value: i32) -> Result<(), Errno> {
        if let Some(bit) = FLAGS.iter().position(|flag| *flag == name) {
            self.flags = self.flags & !(1 << bit) | u64::from(value != 0) << bit;
            return Ok(());
        }
        let name = match name {
            abi::SO_BSDCOMPAT => return Ok(()),
            abi::SO_SNDBUFFORCE => abi::SO_SNDBUF,
            abi::SO_RCVBUFFORCE => abi::SO_RCVBUF,
            other => other,
        };
        let at = VALUES.iter().position(|(value, _)| *value == name).ok_or(Errno::ENOPROTOOPT)?;
        self.values[at] = match name {
            // Linux doubles what is asked, within limits (socket(7)).
            abi::SO_SNDBUF => value.clamp(2304, MOST_BYTES).saturating_mul(2),
            abi::SO_RCVBUF => value.clamp(1152, MOST_BYTES).saturating_mul(2),
            abi::SO_RCVLOWAT => value.max(1),
            _ => value,
        };
        Ok(())
    }

    /// Whether an option is on.
    pub fn is_on(&self, name: u32) -> bool {
        self.get(name).is_ok_and(|value| value != 0)
    }

    /// How long a call waits.
    pub fn limit(&self, direction: Direction) -> TimeLimit {
        match direction {
            Direction::Receive => self.receive_limit,
            Direction::Send => self.send_limit,
        }
    }

    /// What an inbox holds with this SO_RCVBUF.
    pub fn receive_bytes(&self) -> usize {
        self.get(abi::SO_RCVBUF).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(inbox::DEFAULT_BYTES)
    }

    /// What may be under way with this SO_SNDBUF.
    pub fn send_bytes(&self) -> usize {
        self.get(abi::SO_SNDBUF).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(inbox::DEFAULT_BYTES)
    }

    /// The longest message with this SO_SNDBUF.
    pub fn message_bytes_max(&self) -> usize {
        self.send_bytes() - 32
    }
}

/// `net.core.rmem_max`
const MOST_BYTES: i32 = 212_992;
