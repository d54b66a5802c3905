//! Network interfaces: each a tap device of the host.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::RateLimiterConfig;

/// What Linux takes as an interface's name (`IFNAMSIZ`), the ending zero included.
const MAX_NAME_BYTES: usize = 16;
/// The least MTU of IPv4 (RFC 791).
const MIN_MTU: u16 = 68;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let is_pair = |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = |part| Some(part).filter(is_pair).and_then(|part| u8::from_str_radix(part, 16).ok());
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let bytes: Result<[u8; 6], _> = bytes.unwrap_or_default().try_into();
        bytes.map(Self).map_err(|_| InvalidMac)
    }
}

impl Display for MacAddress {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text that is no Ethernet address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("The provided MAC address is invalid.")]
pub struct InvalidMac;

/// The body of `PUT /network-interfaces/{iface_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The name that later requests use.
    pub iface_id: String,
    /// The tap device.
    pub host_dev_name: String,
    /// The guest's address; it picks one where this is absent.
    pub guest_mac: Option<MacAddress>,
    /// The MTU that the guest is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Limits of what the guest receives.
    pub rx_rate_limiter: Option<RateLimiterConfig>,
    /// Limits of what the guest sends.
    pub tx_rate_limiter: Option<RateLimiterConfig>,
}

impl NetworkConfig {
    /// Checks the interface by itself. The tap device is opened when the machine starts.
    ///
    /// # Errors
    /// See the variants of [`NetworkError`].
    pub fn check(&self) -> Result<(), NetworkError> {
        let name = self.host_dev_name.as_bytes();
        if name.is_empty() || name.len() >= MAX_NAME_BYTES || name.contains(&0) {
            return Err(NetworkError::InvalidName);
        }
        match self.mtu {
            Some(mtu) if mtu < MIN_MTU => Err(NetworkError::InvalidMtu(mtu)),
            _ => Ok(()),
        }
    }
}

/// The body of `PATCH /network-interfaces/{iface_id}`: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkUpdate {
    /// The interface that is meant.
    pub iface_id: String,
    /// Other limits of what the guest receives.
    pub rx_rate_limiter: Option<RateLimiterConfig>,
    /// Other limits of what the guest sends.
    pub tx_rate_limiter: Option<RateLimiterConfig>,
}

/// Why a network interface is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// A name that no tap device has.
    #[error("Could not create the network device: Open tap device failed: Invalid interface name")]
    InvalidName,
    /// An MTU that IPv4 cannot use.
    #[error("Could not create the network device: MTU {0} is out of range [68, 65535]")]
    InvalidMtu(u16),
    /// Two interfaces with one address.
    #[error("The MAC address is already in use: {0}")]
    GuestMacAddressInUse(MacAddress),
}
