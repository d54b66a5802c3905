//! The vsock device: a unix socket of the host per port.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The first context identifier that may be a guest's (vsock(7): 0 is reserved, 1 is the local one, 2 the host).
const MIN_GUEST_CID: u32 = 3;
/// vsock(7): `VMADDR_CID_ANY`.
const CID_ANY: u32 = u32::MAX;

/// The body of `PUT /vsock`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VsockConfig {
    /// Deprecated: there is one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock_id: Option<String>,
    /// The guest's context identifier.
    pub guest_cid: u32,
    /// The unix socket that stands for the guest.
    pub uds_path: String,
}

impl VsockConfig {
    /// Checks the context identifier. The socket is bound when the machine starts.
    ///
    /// # Errors
    /// See the variants of [`VsockConfigError`].
    pub fn check(&self) -> Result<(), VsockConfigError> {
        match self.guest_cid {
            CID_ANY | ..MIN_GUEST_CID => Err(VsockConfigError::ReservedCid(self.guest_cid)),
            _ => Ok(()),
        }
    }
}

/// Why a vsock device is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VsockConfigError {
    /// Ours: an identifier that no guest can have.
    #[error("Cannot create vsock device: guest_cid {0} is reserved; use one from 3 to 4294967294.")]
    ReservedCid(u32),
}
