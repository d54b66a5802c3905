//! The links /proc/PID/{exe,cwd,root}.

use super::{PidSubject, access};
use crate::Errno;
use crate::vfs::{Caller, LinkTarget};

/// /proc/PID/exe
pub(super) fn exe(subject: &PidSubject, caller: &Caller) -> Result<LinkTarget, Errno> {
    access::inspect(subject, caller)?;
    let program = gone(subject.task())?.memory().program().ok_or(Errno::ENOENT)?;
    Ok(LinkTarget::File(program.file.path().clone()))
}

/// /proc/PID/cwd
pub(super) fn cwd(subject: &PidSubject, caller: &Caller) -> Result<LinkTarget, Errno> {
    access::inspect(subject, caller)?;
    Ok(LinkTarget::File(gone(subject.task())?.fs().cwd()))
}

/// /proc/PID/root
pub(super) fn root(subject: &PidSubject, caller: &Caller) -> Result<LinkTarget, Errno> {
    access::inspect(subject, caller)?;
    Ok(LinkTarget::File(gone(subject.task())?.fs().root()))
}

/// A zombie has none of them.
fn gone<T>(found: Result<T, Errno>) -> Result<T, Errno> {
    found.map_err(|_| Errno::ENOENT)
}
