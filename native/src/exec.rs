//! The `exec` verb.

use stockade_sandbox::{Error, ExecRequest, Result};

use crate::state::{Dir, Record};

/// Placeholder.
pub(crate) fn exec(_dir: &Dir, _record: &Record, _request: ExecRequest) -> Result<u32> {
    Err(Error::Other("exec".into()))
}
