//! Keeps the runtime's own program file out of a container's reach.
//!
//! A process that has joined a container, or whose program the image chose, can be reached through `/proc/PID/exe`: a
//! container could then write to the runtime's file on the host (CVE-2019-5736). [`guard`] runs the program again
//! from a read-only view: a detached bind mount that no mount namespace holds, so nobody can make it writable again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals, fstatvfs,
};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::sys::mount::{Change, Depth, MountAttr, set_attributes};
use crate::sys::process::{CStrings, execveat};

const PROGRAM: &str = "/proc/self/exe";
/// Names the program's directory to a process that runs from a sealed view, which has none.
pub const DIRECTORY_VARIABLE: &str = "STOCKADE_PROGRAM_DIRECTORY";
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// Why the program could not be run from a sealed view.
#[derive(Debug, thiserror::Error)]
#[error("cannot protect the runtime's own program file ({PROGRAM}) from containers: {what}")]
pub struct SealError {
    what: &'static str,
    source: io::Error,
}

/// Runs this program again, with the same arguments, from a file that nobody can write to; returns at once when that
/// has been done already. To be called first thing in `main`, with one thread and nothing yet to lose.
pub fn guard() -> Result<(), SealError> {
    let program = rustix::fs::open(PROGRAM, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(at("open"))?;
    if is_sealed(&program).map_err(at("inspect"))? {
        return Ok(());
    }
    Err(at("run the sealed view")(run_again(sealed(program)?)))
}

/// This program from a file that nobody can write to, to start it from: the file that it runs from, if that is one. It
/// is kept until [`forget_program`].
pub fn program() -> Result<OwnedFd, SealError> {
    let mut kept = kept_program();
    let file = match kept.take() {
        Some(file) => file,
        None => sealed_program()?,
    };
    kept.insert(file).try_clone().map_err(at("copy the descriptor of"))
}

/// Closes the file that [`program`] keeps. Whoever closes a view last waits for all processors, so a process does it
/// when it would wait anyway, and not as it ends.
pub fn forget_program() {
    drop(kept_program().take());
}

fn kept_program() -> MutexGuard<'static, Option<OwnedFd>> {
    static KEPT: Mutex<Option<OwnedFd>> = Mutex::new(None);
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The directory that this program was started from, sealed or not, where its companions are.
pub fn directory() -> Option<PathBuf> {
    let file = std::fs::read_link(PROGRAM).ok().filter(|path| path.is_file());
    let own = file.and_then(|path| path.parent().map(Path::to_owned));
    own.or_else(|| std::env::var_os(DIRECTORY_VARIABLE).map(PathBuf::from))
}

fn sealed_program() -> Result<OwnedFd, SealError> {
    let program = rustix::fs::open(PROGRAM, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(at("open"))?;
    if is_sealed(&program).map_err(at("inspect"))? {
        return Ok(program);
    }
    sealed(program)
}

fn sealed(program: OwnedFd) -> Result<OwnedFd, SealError> {
    match read_only_mount() {
        Ok(mount) => Ok(mount),
        Err(_) => sealed_copy(program).map_err(at("copy to a sealed memfd")),
    }
}

/// This program in a form that [`guard`] is content with, to start it from; `None` where only a copy would do.
pub fn view() -> Option<OwnedFd> {
    read_only_mount().ok()
}

fn at<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> SealError {
    move |source| SealError { what, source: source.into() }
}

/// Whether the file cannot be written through this very mount or memfd. A container cannot change either.
fn is_sealed(program: impl AsFd) -> io::Result<bool> {
    if fstatvfs(&program)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    Ok(fcntl_get_seals(&program).is_ok_and(|seals| seals.contains(SEALS)))
}

fn read_only_mount() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, PROGRAM, flags)?;
    set_attributes(&mount, Depth::One, &Change { set: MountAttr::RDONLY, ..Change::default() })?;
    Ok(mount)
}

/// What is left without CAP_SYS_ADMIN: a copy in memory whose content is frozen.
fn sealed_copy(program: OwnedFd) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = rustix::fs::memfd_create("stockade", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("stockade", flags))?;
    let mut copy = std::fs::File::from(memfd);
    io::copy(&mut std::fs::File::from(program), &mut copy)?;
    fcntl_add_seals(&copy, SEALS)?;
    Ok(copy.into())
}

fn run_again(program: impl AsFd) -> io::Error {
    let text = |s: std::ffi::OsString| s.into_vec();
    let own = std::env::vars_os().filter(|(name, _)| name != DIRECTORY_VARIABLE);
    let directory = directory().map(|path| (DIRECTORY_VARIABLE.into(), path.into_os_string()));
    let environment = own.chain(directory).map(|(name, value)| [text(name), text(value)].join(&b'='));
    let strings = (CStrings::from_bytes(std::env::args_os().map(text)), CStrings::from_bytes(environment));
    match strings {
        (Ok(arguments), Ok(environment)) => execveat(program, &arguments, &environment),
        (Err(e), _) | (_, Err(e)) => e,
    }
}
