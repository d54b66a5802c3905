//! Filling a new volume with what the image has at its place, so that a kill at any moment leaves nothing half done.
//!
//! The copy is made in `.stockade-filling/tree` of the volume. Once it is complete, the outer directory becomes
//! `.stockade-filled`; then the tree's entries move out and the rest is removed. Whoever mounts the volume next deletes
//! a `-filling` and begins anew, and brings a `-filled` to its end. A volume that holds anything else is not filled.
//!
//! Containers that start at once wait for each other by a lock on the volume's directory, which dies with its holder.
//! The volume may be shared with a hostile container: everything goes through descriptors, follows no link and crosses
//! no mount, the wait for the lock ends, and a directory of those names counts only if it is root's alone, or a user
//! who may write to the volume could have its owner changed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, RenameFlags, Stat, flock, fstat, futimens, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::copy_up::{self, DEPTH_MAX, READ_DIR};

/// Holds a copy under way, or abandoned.
const FILLING: &str = ".stockade-filling";
/// Holds a complete copy, of which some entries may have moved out.
const FILLED: &str = ".stockade-filled";
/// The copy, with the attributes that the volume is to have.
const TREE: &str = "tree";
/// How long another container may take to fill the volume.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Fills a volume from a directory, with the directory's own attributes, if it is empty; brings to its end what a
/// killed process began.
pub(crate) fn fill(from: impl AsFd, volume: impl AsFd) -> io::Result<()> {
    if copy_up::is_view_of_the_kernel(&from)? {
        return Ok(());
    }
    let volume = openat(volume, ".", READ_DIR, Mode::empty())?;
    if Found::look(&volume)?.is_settled() {
        return Ok(());
    }
    lock(&volume)?;
    let found = Found::look(&volume)?;
    if found.filling {
        remove(&volume, FILLING)?;
    }
    if !found.filled && !found.other {
        stage(from, &volume).inspect_err(|_| drop(remove(&volume, FILLING)))?;
    }
    if found.filled || !found.other { finish(&volume) } else { Ok(()) }
}

/// The lock on a volume that is to be filled, or brought to its end, elsewhere than in this process.
pub(crate) fn claim(volume: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let volume = openat(volume, ".", READ_DIR, Mode::empty())?;
    if Found::look(&volume)?.is_settled() {
        return Ok(None);
    }
    lock(&volume)?;
    Ok(Some(volume))
}

/// What a volume holds.
struct Found {
    filling: bool,
    filled: bool,
    other: bool,
}

impl Found {
    fn look(volume: &OwnedFd) -> io::Result<Self> {
        let (filling, filled) = (is_ours(volume, FILLING)?, is_ours(volume, FILLED)?);
        let mut other = false;
        for entry in Dir::read_from(volume)? {
            let entry = entry?;
            other = match entry.file_name().to_bytes() {
                b"." | b".." => false,
                name => !(filling && name == FILLING.as_bytes() || filled && name == FILLED.as_bytes()),
            };
            if other {
                break;
            }
        }
        // Without the lock, a copy may have begun since the first look, and its holder been taken for something else.
        let (filling, filled) = (filling || is_ours(volume, FILLING)?, filled || is_ours(volume, FILLED)?);
        Ok(Self { filling, filled, other })
    }

    /// Whether there is nothing to be done.
    fn is_settled(&self) -> bool {
        self.other && !self.filling && !self.filled
    }
}

fn is_ours(volume: &OwnedFd, name: &str) -> io::Result<bool> {
    match statat(volume, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        answer => Ok(is_private(&answer?)),
    }
}

fn is_private(stat: &Stat) -> bool {
    let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    // A volume may hand its set-group-id bit down.
    let mode = Mode::from_raw_mode(stat.st_mode) - Mode::SGID;
    directory && mode == Mode::RWXU && stat.st_uid == geteuid().as_raw()
}

fn lock(volume: &OwnedFd) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(volume, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                let why =
                    "another process holds the lock on the volume's directory: wait until it has filled the volume";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            answer => return Ok(answer?),
        }
    }
}

/// Makes the complete copy.
fn stage(from: impl AsFd, volume: &OwnedFd) -> io::Result<()> {
    mkdirat(volume, FILLING, Mode::RWXU)?;
    let holder = open_directory(volume, FILLING)?;
    mkdirat(&holder, TREE, Mode::RWXU)?;
    let tree = open_directory(&holder, TREE)?;
    copy_up::copy(&from, &tree)?;
    copy_up::copy_attributes(openat(from, ".", READ_DIR, Mode::empty())?, &tree)?;
    Ok(renameat(volume, FILLING, volume, FILLED)?)
}

/// Moves a complete copy out. What the volume has got under the same name meanwhile stays.
fn finish(volume: &OwnedFd) -> io::Result<()> {
    let holder = open_directory(volume, FILLED)?;
    if !is_private(&fstat(&holder)?) {
        return Err(io::Error::other("the copy was exchanged for another's directory"));
    }
    let tree = match open_directory(&holder, TREE) {
        // All but the holder was removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return remove(volume, FILLED),
        answer => answer?,
    };
    let stat = fstat(&tree)?;
    for name in names(&tree)? {
        // An image's own files of these names are left out.
        if name.as_bytes() != FILLING.as_bytes() && name.as_bytes() != FILLED.as_bytes() {
            move_out(&tree, volume, &name)?;
        }
    }
    copy_up::copy_attributes(&tree, volume)?;
    remove(volume, FILLED)?;
    Ok(futimens(volume, &copy_up::times(&stat))?)
}

fn move_out(tree: &OwnedFd, volume: &OwnedFd, name: &CString) -> io::Result<()> {
    match renameat_with(tree, name, volume, name, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // A file system that cannot tell.
        Err(Errno::INVAL) => Ok(renameat(tree, name, volume, name)?),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes a directory of the volume and all below.
fn remove(volume: &OwnedFd, name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    remove_directory(volume, &name, DEPTH_MAX + 2)
}

fn remove_directory(parent: &OwnedFd, name: &CString, depth: u32) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(|| io::Error::other("directories nest too deep"))?;
    let dir = open_directory(parent, name)?;
    for name in names(&dir)? {
        match unlinkat(&dir, &name, AtFlags::empty()) {
            Err(Errno::ISDIR) => remove_directory(&dir, &name, depth)?,
            answer => answer?,
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn open_directory(parent: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    copy_up::open_on_mount(parent, name, READ_DIR)?
        .ok_or_else(|| io::Error::other("something is mounted in the volume"))
}

/// All names at once: they may change while they are read one by one.
fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let entries = Dir::read_from(dir)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names = entries.collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !matches!(name.as_bytes(), b"." | b"..")).collect())
}

#[cfg(test)]
mod tests;
