//! Removing what a container may have filled.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::StateError;

/// Removes a directory and all in it; one that is absent is fine.
///
/// A container decides how deep directories nest: deeper than a process has descriptors or stack. So none is entered
/// twice deep: what is in a directory of the top is removed, directories move up to the top, until it is empty.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StateError> {
    absent_is_fine(remove(path)).map_err(StateError::io("remove", path))
}

fn remove(path: &Path) -> Result<(), Errno> {
    let top = open(CWD, path)?;
    let mut fresh = 0;
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            return unlinkat(CWD, path, AtFlags::REMOVEDIR);
        }
        for name in names.iter().filter(|name| !is_removed(&top, name)) {
            absent_is_fine(empty(&top, name, &mut fresh))?;
        }
    }
}

/// Removes a directory of the top, after its own directories have moved up.
fn empty(top: &OwnedFd, name: &CString, fresh: &mut u64) -> Result<(), Errno> {
    let dir = open(top, name)?;
    for child in names(&dir)?.iter().filter(|child| !is_removed(&dir, child)) {
        absent_is_fine(move_up(&dir, child, top, fresh))?;
    }
    unlinkat(top, name, AtFlags::REMOVEDIR)
}

/// Tries a file's removal, then an empty directory's; what stays is a directory with something in it, or an error that
/// comes again.
fn is_removed(dir: &OwnedFd, name: &CString) -> bool {
    [AtFlags::empty(), AtFlags::REMOVEDIR].iter().any(|flags| absent_is_fine(unlinkat(dir, name, *flags)).is_ok())
}

fn move_up(dir: &OwnedFd, name: &CString, top: &OwnedFd, fresh: &mut u64) -> Result<(), Errno> {
    loop {
        *fresh += 1;
        match renameat_with(dir, name, top, fresh.to_string(), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            answer => return answer,
        }
    }
}

fn open(dir: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let names = Dir::read_from(dir)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !matches!(name.as_bytes(), b"." | b"..")).collect())
}

fn absent_is_fine(outcome: Result<(), Errno>) -> Result<(), Errno> {
    if outcome == Err(Errno::NOENT) { Ok(()) } else { outcome }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn trees_deeper_than_descriptors_go() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        // Each chain gets the one before at its end; a path could not name the last.
        for _ in 0..10 {
            let chain = dir.path().join("chain");
            let end = chain.join("d/".repeat(300));
            fs::create_dir_all(&end).unwrap();
            fs::write(end.join("file"), "").unwrap();
            std::os::unix::fs::symlink("/", end.join("link")).unwrap();
            if top.exists() {
                fs::rename(&top, end.join("older")).unwrap();
            }
            fs::rename(&chain, &top).unwrap();
        }
        // Names that the moved get.
        fs::create_dir_all(top.join("1/2/3")).unwrap();
        fs::create_dir_all(top.join("2/1")).unwrap();
        // A recursion of 3,000 calls does not fit in here; nor would its descriptors where 1,024 are the limit.
        let small = std::thread::Builder::new().stack_size(128 << 10);
        let tree = top.clone();
        small.spawn(move || remove_tree(&tree).unwrap()).unwrap().join().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        remove_tree(&top).unwrap();
    }

    #[test]
    fn what_cannot_be_removed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(remove_tree(&file).is_err());
    }
}
