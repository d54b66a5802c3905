//! Short ways to say what failed.

use std::io;

use stockade_sandbox::{Error, Result};

/// Adds to a host error the operation it came from.
pub(crate) trait Context<T> {
    /// With a fixed text.
    fn at(self, what: &str) -> Result<T>;

    /// With a text made only on failure.
    fn at_with(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::os(what, error))
    }

    fn at_with(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::os(what(), error))
    }
}

/// A field of the spec that cannot be honoured.
pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::InvalidConfig(what.into())
}
