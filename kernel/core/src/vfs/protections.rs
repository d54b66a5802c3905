//! What keeps users apart who share a directory (Documentation/admin-guide/sysctl/fs.rst): protected_symlinks,
//! protected_hardlinks, protected_fifos, protected_regular.

use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general::{S_ISVTX, S_IWGRP, S_IWOTH};

use super::{FileKind, Stat};
use crate::Errno;
use crate::task::Credentials;

/// One of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Links in sticky directories that all may write to are followed by their owners, or if the directory's owner made
    /// them.
    Symlinks,
    /// Hard links are made to one's own files, or those that one may read and write.
    Hardlinks,
    /// O_CREAT opens no fifo of others in sticky directories.
    Fifos,
    /// The same for regular files.
    Regular,
}

/// All of them.
#[derive(Debug)]
pub struct Protections {
    levels: [AtomicU32; 4],
}

impl Default for Protections {
    /// As Debian sets them at boot.
    fn default() -> Self {
        Self { levels: [1, 1, 1, 2].map(AtomicU32::new) }
    }
}

impl Protections {
    /// How much is protected: 0 for nothing.
    pub fn level(&self, which: Protected) -> u32 {
        self.levels[which as usize].load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_level(&self, which: Protected, level: u32) {
        self.levels[which as usize].store(level, Ordering::Relaxed);
    }

    /// `may_follow_link` of Linux, for a link at the end of a path.
    pub(super) fn check_following(
        &self,
        directory: &Stat,
        link: &Stat,
        credentials: &Credentials,
    ) -> Result<(), Errno> {
        let shared = S_ISVTX | S_IWOTH;
        let safe = self.level(Protected::Symlinks) == 0
            || link.uid == credentials.fsuid
            || directory.mode & shared != shared
            || directory.uid == link.uid;
        if safe { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// `may_create_in_sticky` of Linux, for what O_CREAT found.
    pub(super) fn check_found(&self, directory: &Stat, file: &Stat, credentials: &Credentials) -> Result<(), Errno> {
        let level = match FileKind::from_mode(file.mode) {
            Some(FileKind::Regular) => self.level(Protected::Regular),
            Some(FileKind::Fifo) => self.level(Protected::Fifos),
            _ => 1,
        };
        let own = file.uid == directory.uid || file.uid == credentials.fsuid;
        let by_all = directory.mode & S_IWOTH != 0;
        let by_group = directory.mode & S_IWGRP != 0 && level > 1;
        let unsafe_place = directory.mode & S_ISVTX != 0 && (by_all || by_group);
        if level > 0 && !own && unsafe_place { Err(Errno::EACCES) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Capabilities;

    fn somebody(uid: u32) -> Credentials {
        Credentials { fsuid: uid, ..Credentials::root(Capabilities::all()) }
    }

    fn file(kind: FileKind, uid: u32, permissions: u32) -> Stat {
        Stat { uid, ..Stat::new(1, kind, permissions) }
    }

    #[test]
    fn links_of_others_are_not_followed_in_shared_directories() {
        let check = |mode, link, follower, expected| {
            let (directory, link) = (file(FileKind::Directory, 0, mode), file(FileKind::Symlink, link, 0o777));
            let protections = Protections::default();
            let result = protections.check_following(&directory, &link, &somebody(follower));
            assert_eq!(result, expected, "{mode:o} {} {follower}", link.uid);
            protections.set_level(Protected::Symlinks, 0);
            assert_eq!(protections.check_following(&directory, &link, &somebody(follower)), Ok(()));
        };
        check(0o1777, 5, 6, Err(Errno::EACCES));
        check(0o1777, 5, 0, Err(Errno::EACCES));
        check(0o1777, 5, 5, Ok(()));
        check(0o1777, 0, 6, Ok(()));
        check(0o777, 5, 6, Ok(()));
        check(0o1775, 5, 6, Ok(()));
    }

    #[test]
    fn files_of_others_are_not_taken_for_new_ones() {
        let check = |kind, level, mode, owner, opener, expected| {
            let protections = Protections::default();
            protections.set_level(Protected::Regular, level);
            protections.set_level(Protected::Fifos, level);
            let directory = file(FileKind::Directory, 0, mode);
            let result = protections.check_found(&directory, &file(kind, owner, 0o666), &somebody(opener));
            assert_eq!(result, expected, "{kind:?} {level} {mode:o} {owner} {opener}");
        };
        for kind in [FileKind::Regular, FileKind::Fifo] {
            check(kind, 0, 0o1777, 5, 0, Ok(()));
            check(kind, 1, 0o1777, 5, 0, Err(Errno::EACCES));
            check(kind, 1, 0o1777, 5, 5, Ok(()));
            check(kind, 1, 0o1777, 0, 5, Ok(()));
            check(kind, 1, 0o1770, 5, 6, Ok(()));
            check(kind, 2, 0o1770, 5, 6, Err(Errno::EACCES));
            check(kind, 2, 0o0777, 5, 6, Ok(()));
        }
        check(FileKind::Socket, 0, 0o1777, 5, 6, Err(Errno::EACCES));
    }
}
