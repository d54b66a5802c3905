//! The supervisor: one small process per running container.

use std::ffi::OsString;
use std::process::ExitCode;

use stockade_sandbox::Error;

use crate::Backend;

/// What the binary runs after its hidden verb: keeps one container until it ends. `arguments` are those that the
/// engine appended to [`SupervisorCommand`](crate::SupervisorCommand).
pub fn supervise_main(arguments: &[OsString], backend: &dyn Backend) -> ExitCode {
    let _ = (arguments, backend.supervisor());
    ExitCode::FAILURE
}

/// The exit status that a start error stands for; `other` when the program is not at fault.
pub(crate) fn exit_code_of(error: &Error, other: u8) -> u8 {
    match error {
        Error::ExecutableNotFound(_) | Error::NoSuchProgram(_) => 127,
        Error::NotExecutable { .. } => 126,
        _ => other,
    }
}
