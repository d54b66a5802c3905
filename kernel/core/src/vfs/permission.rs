//! Who may do what with a file (path_resolution(7), capabilities(7)).

use super::{Inode, Path, Stat};
use crate::Errno;
use crate::task::{Capabilities, Credentials};

bitflags::bitflags! {
    /// What is asked for; the bits of access(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Executing a file, searching a directory.
        const EXECUTE = 1;
        /// Writing.
        const WRITE = 2;
        /// Reading.
        const READ = 4;
    }
}

/// `EACCES` unless an inode's mode bits, its access list or a capability grant it.
pub fn check_stat(inode: &dyn Inode, stat: &Stat, credentials: &Credentials, access: Access) -> Result<(), Errno> {
    match super::acl::granted(inode, stat, credentials, access) {
        None => check_mode(stat, credentials, access),
        Some(granted) if granted || overrides(stat, credentials, access) => Ok(()),
        Some(_) => Err(Errno::EACCES),
    }
}

/// The same for what has no list.
pub fn check_mode(stat: &Stat, credentials: &Credentials, access: Access) -> Result<(), Errno> {
    let shift = if credentials.fsuid == stat.uid {
        6
    } else if credentials.in_group(stat.gid) {
        3
    } else {
        0
    };
    let granted = Access::from_bits_truncate(stat.mode >> shift);
    if granted.contains(access) || overrides(stat, credentials, access) { Ok(()) } else { Err(Errno::EACCES) }
}

fn overrides(stat: &Stat, credentials: &Credentials, access: Access) -> bool {
    let is_dir = is_directory(stat);
    let searches = if is_dir { !access.contains(Access::WRITE) } else { access == Access::READ };
    let executable = is_dir || !access.contains(Access::EXECUTE) || stat.mode & 0o111 != 0;
    (executable && credentials.has(Capabilities::DAC_OVERRIDE))
        || (searches && credentials.has(Capabilities::DAC_READ_SEARCH))
}

fn is_directory(stat: &Stat) -> bool {
    super::FileKind::from_mode(stat.mode) == Some(super::FileKind::Directory)
}

/// The same for an inode.
pub fn check_inode(inode: &dyn Inode, credentials: &Credentials, access: Access) -> Result<(), Errno> {
    check_stat(inode, &inode.stat()?, credentials, access)
}

/// The same for a path: writing a file, directory or link on a read-only mount is `EROFS`.
pub fn check_path(path: &Path, credentials: &Credentials, access: Access) -> Result<(), Errno> {
    use super::FileKind::{Directory, Regular, Symlink};
    if access.contains(Access::WRITE) && matches!(path.inode().kind(), Regular | Directory | Symlink) {
        path.mount.check_writable()?;
    }
    check_inode(&**path.inode(), credentials, access)
}

/// Whether somebody may change an inode's attributes.
pub fn is_owner(stat: &Stat, credentials: &Credentials) -> bool {
    credentials.fsuid == stat.uid || credentials.has(Capabilities::FOWNER)
}

/// Whether names can be made and removed in a directory.
pub fn check_changing_names(directory: &Path, credentials: &Credentials) -> Result<Stat, Errno> {
    if directory.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    directory.mount.check_writable()?;
    let stat = directory.stat()?;
    check_stat(&**directory.inode(), &stat, credentials, Access::WRITE | Access::EXECUTE)?;
    Ok(stat)
}

/// `EPERM` when the directory is sticky and neither it nor the file is the caller's.
pub fn check_sticky(directory: &Stat, file: &Stat, credentials: &Credentials) -> Result<(), Errno> {
    let sticky = directory.mode & linux_raw_sys::general::S_ISVTX != 0;
    if sticky
        && file.uid != credentials.fsuid
        && directory.uid != credentials.fsuid
        && !credentials.has(Capabilities::FOWNER)
    {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// `EPERM` for a hard link to somebody else's file that is special, setuid, setgid and executable, or not the caller's
/// to read and write (proc_sys_fs(5), protected_hardlinks).
pub fn check_linking(file: &Path, credentials: &Credentials) -> Result<(), Errno> {
    use linux_raw_sys::general::{S_ISGID, S_ISUID};
    let stat = file.stat()?;
    let group_program = S_ISGID | 0o010;
    let safe = file.inode().kind() == super::FileKind::Regular
        && stat.mode & S_ISUID == 0
        && stat.mode & group_program != group_program
        && check_stat(&**file.inode(), &stat, credentials, Access::READ | Access::WRITE).is_ok();
    if safe || is_owner(&stat, credentials) { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::FileKind;

    fn check(mode: u32, uid: u32, capabilities: Capabilities, access: Access, granted: bool) {
        let stat = Stat { uid: 1, gid: 2, ..Stat::new(1, FileKind::Regular, mode) };
        let credentials = Credentials { fsuid: uid, fsgid: 9, ..Credentials::root(capabilities) };
        assert_eq!(check_mode(&stat, &credentials, access).is_ok(), granted, "{mode:o} {uid} {access:?}");
    }

    #[test]
    fn the_first_class_that_matches_counts() {
        check(0o700, 1, Capabilities::empty(), Access::all(), true);
        check(0o077, 1, Capabilities::empty(), Access::READ, false);
        check(0o704, 7, Capabilities::empty(), Access::READ, true);
        check(0o770, 7, Capabilities::empty(), Access::READ, false);
    }

    #[test]
    fn capabilities_override_all_but_executing_what_nobody_may() {
        check(0, 7, Capabilities::DAC_OVERRIDE, Access::READ | Access::WRITE, true);
        check(0, 7, Capabilities::DAC_OVERRIDE, Access::EXECUTE, false);
        check(0o100, 7, Capabilities::DAC_OVERRIDE, Access::EXECUTE, true);
        check(0, 7, Capabilities::DAC_READ_SEARCH, Access::READ, true);
        check(0, 7, Capabilities::DAC_READ_SEARCH, Access::WRITE, false);
    }
}
