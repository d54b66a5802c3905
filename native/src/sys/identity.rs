//! setfsuid(2) and setfsgid(2): another identity for files alone.

use std::io;

use rustix::thread::{capabilities, set_capabilities};

/// Runs `work` with these ids for files and all capabilities that are permitted, then goes back.
pub(crate) fn as_file_system_user<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> io::Result<T> {
    let before = capabilities(None)?;
    // SAFETY: both calls take an integer and change the calling thread's credentials only.
    let (own_gid, own_uid) = unsafe { (libc::setfsgid(gid), libc::setfsuid(uid)) };
    // Leaving uid 0 took the file capabilities out of the effective set (capabilities(7)).
    let mut raised = before;
    raised.effective = before.permitted;
    let answer = set_capabilities(None, raised).map(|()| work());
    // SAFETY: as above.
    unsafe { (libc::setfsuid(own_uid.cast_unsigned()), libc::setfsgid(own_gid.cast_unsigned())) };
    set_capabilities(None, before)?;
    Ok(answer?)
}
