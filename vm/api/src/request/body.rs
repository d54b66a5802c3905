//! Bodies and identifiers.

use serde::de::DeserializeOwned;

use super::{Parsed, RequestFault};
use crate::Action;

/// Reads a body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestFault> {
    Ok(serde_json::from_slice(body)?)
}

/// Reads a body that makes an action by itself.
pub(super) fn action<T: DeserializeOwned>(body: &[u8], make: impl Fn(T) -> Action) -> Result<Parsed, RequestFault> {
    Ok(make(read(body)?).into())
}

/// Checks the identifier in a path.
pub(super) fn id(part: Option<&str>) -> Result<&str, RequestFault> {
    match part {
        None | Some("") => Err(RequestFault::EmptyId),
        Some(id) if id.chars().all(|char| char == '_' || char.is_alphanumeric()) => Ok(id),
        Some(_) => Err(RequestFault::InvalidId),
    }
}
