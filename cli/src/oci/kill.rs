//! `kill` and `delete`.

use stockade_sandbox::{DeleteMode, Error, Result, Runtime, SignalTarget};

use super::grammar::{Delete, Kill};
use super::parse;

/// Sends a signal.
pub fn kill(runtime: &dyn Runtime, args: &Kill) -> Result<i32> {
    let signal = parse::signal(&args.signal).map_err(Error::Other)?;
    let target = if args.all { SignalTarget::All } else { SignalTarget::Init };
    runtime.signal(&args.id, signal, target)?;
    Ok(0)
}

/// Removes a container.
pub fn delete(runtime: &dyn Runtime, args: &Delete) -> Result<i32> {
    runtime.delete(&args.id, if args.force { DeleteMode::Force } else { DeleteMode::Stopped })?;
    Ok(0)
}
