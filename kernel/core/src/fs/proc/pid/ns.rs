//! /proc/PID/ns (namespaces(7)): each container has its own, but users and time are the sandbox's.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{PidSubject, access};
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Subject};
use crate::vfs::{Caller, FileKind, FileObject, Inode, LinkTarget, Opening, Stat, Timestamp};

pub(super) static NS: Directory<PidSubject> = Directory::of(&[
    Entry::link("cgroup", |subject, caller| follow(subject, caller, "cgroup")),
    Entry::link("ipc", |subject, caller| follow(subject, caller, "ipc")),
    Entry::link("mnt", |subject, caller| follow(subject, caller, "mnt")),
    Entry::link("net", |subject, caller| follow(subject, caller, "net")),
    Entry::link("pid", |subject, caller| follow(subject, caller, "pid")),
    Entry::link("pid_for_children", |subject, caller| follow(subject, caller, "pid")),
    Entry::link("time", |subject, caller| follow(subject, caller, "time")),
    Entry::link("time_for_children", |subject, caller| follow(subject, caller, "time")),
    Entry::link("user", |subject, caller| follow(subject, caller, "user")),
    Entry::link("uts", |subject, caller| follow(subject, caller, "uts")),
]);

/// `PROC_TIME_INIT_INO` and `PROC_USER_INIT_INO`
const FIRST_TIME: u64 = 4_026_531_834;
const FIRST_USER: u64 = 4_026_531_837;
/// Where Linux begins to number others.
const OTHERS: u64 = 4_026_532_000;

/// The kinds that a container has of its own.
const OWN: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

fn number(subject: &PidSubject, kind: &str) -> u64 {
    match OWN.iter().position(|own| *own == kind) {
        Some(index) => OTHERS + subject.system.namespaces.id() * OWN.len() as u64 + index as u64,
        None if kind == "time" => FIRST_TIME,
        None => FIRST_USER,
    }
}

fn follow(subject: &PidSubject, caller: &Caller, kind: &str) -> Result<LinkTarget, Errno> {
    access::inspect(subject, caller)?;
    subject.task().map_err(|_| Errno::ENOENT)?;
    let number = number(subject, kind);
    let inode = Arc::new(Namespace { number, time: subject.time() });
    let name: Vec<u8> = alloc::format!("{kind}:[{number}]").into_bytes();
    Ok(LinkTarget::File(subject.system.kernel.vfs().path_without_name(inode, &name)))
}

/// A namespace as a file.
#[derive(Debug)]
struct Namespace {
    number: u64,
    time: Timestamp,
}

impl Inode for Namespace {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        FileKind::Regular
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let stat = Stat::new(self.number, FileKind::Regular, 0o444);
        Ok(Stat { atime: self.time, mtime: self.time, ctime: self.time, ..stat })
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        if opening.flags.writes() { Err(Errno::EPERM) } else { Ok(Arc::new(OpenNamespace)) }
    }
}

/// It can only be held.
#[derive(Debug)]
pub struct OpenNamespace;

impl FileObject for OpenNamespace {}
