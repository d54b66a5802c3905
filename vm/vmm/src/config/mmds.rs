//! The metadata service that a guest reaches over its network.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the guest finds the service unless it is told otherwise.
pub const MMDS_DEFAULT_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// How the guest asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum MmdsVersion {
    /// A request is answered at once.
    #[default]
    V1,
    /// A request needs a session token.
    V2,
}

/// The body of `PUT /mmds/config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MmdsConfig {
    /// How the guest asks.
    #[serde(default)]
    pub version: MmdsVersion,
    /// The network interfaces that reach the service.
    pub network_interfaces: Vec<String>,
    /// Where the guest finds it.
    pub ipv4_address: Option<Ipv4Addr>,
    /// Whether answers have the form of EC2's service, whatever the guest accepts.
    #[serde(default)]
    pub imds_compat: bool,
}

impl MmdsConfig {
    /// Where the guest finds the service.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.ipv4_address.unwrap_or(MMDS_DEFAULT_ADDRESS)
    }

    /// Checks the address, and that the interfaces are among `known`.
    ///
    /// # Errors
    /// See the variants of [`MmdsConfigError`].
    pub fn check<'a>(&self, known: impl Iterator<Item = &'a str> + Clone) -> Result<(), MmdsConfigError> {
        if !is_link_local(self.address()) {
            return Err(MmdsConfigError::InvalidIpv4Addr);
        }
        if self.network_interfaces.is_empty() {
            return Err(MmdsConfigError::EmptyNetworkIfaceList);
        }
        match self.network_interfaces.iter().all(|id| known.clone().any(|known| known == id)) {
            true => Ok(()),
            false => Err(MmdsConfigError::InvalidNetworkInterfaceId),
        }
    }
}

/// RFC 3927, 2.1: 169.254/16 without its first and last 256 addresses.
fn is_link_local(address: Ipv4Addr) -> bool {
    address.is_link_local() && !matches!(address.octets()[2], 0 | 255)
}

/// Why a configuration of the service is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MmdsConfigError {
    /// No interface.
    #[error("The list of network interface IDs that allow forwarding MMDS requests is empty.")]
    EmptyNetworkIfaceList,
    /// An address that is none of a link.
    #[error("The MMDS IPv4 address is not link local.")]
    InvalidIpv4Addr,
    /// An interface that there is not.
    #[error(
        "The list of network interface IDs provided contains at least one ID that does not correspond to any existing \
         network interface."
    )]
    InvalidNetworkInterfaceId,
}
