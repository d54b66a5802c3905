//! /dev/shm of a container whose IPC namespace others may join (`--ipc shareable`): a tmpfs on the host, because a
//! mount cannot be shared once it is in another mount namespace. It is there as long as the run directory is.

use std::fs;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::StateError;
use crate::options::NamespaceMode;
use crate::state::{Container, Record};

/// Docker's /dev/shm.
pub(crate) const BYTES: u64 = 64 << 20;

/// Mounts it, if the container shares.
pub(crate) fn set_up(container: &Container, record: &Record) -> Result<(), StateError> {
    if record.options.ipc != NamespaceMode::Shareable {
        return Ok(());
    }
    let path = container.file("shm");
    fs::create_dir_all(&path).map_err(StateError::io("create", &path))?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let size = record.options.shm_size_bytes.unwrap_or(BYTES);
    let data = std::ffi::CString::new(format!("mode=1777,size={size}")).unwrap_or_default();
    mount("shm", &path, "tmpfs", flags, data.as_c_str()).map_err(StateError::io::<Errno>("mount", &path))
}

/// Unmounts it, also after a supervisor that was killed.
pub(crate) fn tear_down(container: &Container, record: &Record) {
    if record.options.ipc == NamespaceMode::Shareable {
        // Fails when it was not mounted, which is as well.
        let _ = unmount(container.file("shm"), UnmountFlags::DETACH);
    }
}
