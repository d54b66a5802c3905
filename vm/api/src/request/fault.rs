//! What can be wrong with a request, in Firecracker's words.

use stockade_vmm::config::LoadSnapshotError;
use thiserror::Error;

use super::Method;

/// What is wrong with a request.
#[derive(Debug, Error)]
pub enum RequestFault {
    /// A device without a name.
    #[error("The ID cannot be empty.")]
    EmptyId,
    /// A device with an impossible name.
    #[error("API Resource IDs can only contain alphanumeric characters and underscores.")]
    InvalidId,
    /// Two names for one drive.
    #[error("The id from the path does not match the id from the body!")]
    OtherDrive,
    /// Two names for one interface.
    #[error("The id from the path [{path}] does not match the id from the body [{body}]!")]
    OtherInterface {
        /// The one in the path.
        path: String,
        /// The one in the body.
        body: String,
    },
    /// No such endpoint.
    #[error("Invalid request method and/or path: {method} {path}.", method = method.as_str())]
    Unknown {
        /// The method.
        method: Method,
        /// The path's first part.
        path: String,
    },
    /// No such part of an endpoint.
    #[error("Unrecognized {0} request path `{1}`.")]
    UnknownPath(&'static str, String),
    /// A snapshot without a verb.
    #[error("Missing snapshot operation type.")]
    NoSnapshotVerb,
    /// Reading needs no body.
    #[error("GET request cannot have a body.")]
    BodyOfGet,
    /// Removing needs no body; the words are Firecracker's.
    #[error("Empty Delete request.")]
    BodyOfDelete,
    /// Setting needs a body.
    #[error("Empty PUT request.")]
    EmptyPut,
    /// Changing needs a body that changes something.
    #[error("Empty PATCH request.")]
    EmptyPatch,
    /// A body that is no JSON, or not of the right form.
    #[error("An error occurred when deserializing the json body of a request: {0}.")]
    Json(#[from] serde_json::Error),
    /// A body whose fields do not go together.
    #[error("An error occurred when deserializing the json body of a request: {0}.")]
    LoadSnapshot(#[from] LoadSnapshotError),
}

impl RequestFault {
    pub(super) fn unknown(method: Method, path: &str) -> Self {
        Self::Unknown { method, path: path.to_owned() }
    }
}
