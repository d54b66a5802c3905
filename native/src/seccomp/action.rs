//! What the filter answers (linux/seccomp.h, `SECCOMP_RET_*`).

use oci_spec::runtime::LinuxSeccompAction;

/// A filter's return value.
pub(super) type Answer = u32;

pub(super) const KILL_THREAD: Answer = 0;
const KILL_PROCESS: Answer = 0x8000_0000;
const TRAP: Answer = 0x0003_0000;
const ERRNO: Answer = 0x0005_0000;
const USER_NOTIF: Answer = 0x7fc0_0000;
const TRACE: Answer = 0x7ff0_0000;
const LOG: Answer = 0x7ffc_0000;
pub(super) const ALLOW: Answer = 0x7fff_0000;

pub(super) const ENOSYS: Answer = ERRNO | libc::ENOSYS.cast_unsigned();

/// The data of ERRNO and TRACE is `errno`, EPERM when absent; other actions have none.
pub(super) fn answer(action: LinuxSeccompAction, errno: Option<u32>) -> Answer {
    let data = errno.unwrap_or(libc::EPERM.cast_unsigned()) & 0xffff;
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => TRAP,
        LinuxSeccompAction::ScmpActErrno => ERRNO | data,
        LinuxSeccompAction::ScmpActNotify => USER_NOTIF,
        LinuxSeccompAction::ScmpActTrace => TRACE | data,
        LinuxSeccompAction::ScmpActLog => LOG,
        LinuxSeccompAction::ScmpActAllow => ALLOW,
    }
}

/// Whether calls that the profile's author could not know are to pass. A tracer answers them by itself.
pub(super) fn is_permissive(action: LinuxSeccompAction) -> bool {
    use LinuxSeccompAction::{ScmpActAllow, ScmpActLog, ScmpActTrace};
    matches!(action, ScmpActAllow | ScmpActLog | ScmpActTrace)
}
