//! Who may look into a process (ptrace(2), "Ptrace access mode checking").

use alloc::sync::Arc;

use super::PidSubject;
use crate::Errno;
use crate::task::{Capabilities, Credentials, Task};
use crate::vfs::Caller;

/// PTRACE_MODE_READ_FSCREDS: `EPERM` unless granted.
pub(super) fn may_inspect(subject: &PidSubject, caller: &Caller) -> Result<(), Errno> {
    let Some(task) = subject.process.upgrade().and_then(|process| process.leader()) else {
        return check_zombie(subject, &caller.credentials);
    };
    if caller.task.as_ref().is_some_and(|caller| Arc::ptr_eq(caller.process(), task.process())) {
        return Ok(());
    }
    check_credentials(&caller.credentials, &task)
}

/// Of a zombie nothing is left to be seen but by its user.
fn check_zombie(subject: &PidSubject, caller: &Credentials) -> Result<(), Errno> {
    let uid = subject.process()?.uid();
    if caller.fsuid == uid || caller.has(Capabilities::SYS_PTRACE) { Ok(()) } else { Err(Errno::EPERM) }
}

fn check_credentials(caller: &Credentials, task: &Task) -> Result<(), Errno> {
    if caller.has(Capabilities::SYS_PTRACE) {
        return Ok(());
    }
    let other = task.credentials();
    let same_user = [other.uid, other.euid, other.suid].iter().all(|uid| *uid == caller.fsuid)
        && [other.gid, other.egid, other.sgid].iter().all(|gid| *gid == caller.fsgid);
    let dumpable = task.settings.lock().dumpable == 1;
    let powerful = caller.effective.contains(other.permitted);
    if same_user && dumpable && powerful { Ok(()) } else { Err(Errno::EPERM) }
}

/// The same as a guard of files and links, which say `EACCES`.
pub(super) fn inspect(subject: &PidSubject, caller: &Caller) -> Result<(), Errno> {
    match may_inspect(subject, caller) {
        Err(Errno::EPERM) => Err(Errno::EACCES),
        other => other,
    }
}
