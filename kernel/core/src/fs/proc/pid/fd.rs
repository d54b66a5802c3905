//! /proc/PID/fd and /proc/PID/fdinfo.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::{lists, root};
use super::{PidSubject, access};
use crate::Errno;
use crate::fs::synthetic::{Directory, Listed, Names, Node, Opener, Subject, Synthetic, Text, number_below};
use crate::vfs::{Caller, Descriptor, FdFlags, FileKind, Inode, LinkTarget, LockOwner, OpenFlags, Timestamp};

pub(super) static FD: Directory<PidSubject> = Directory::listing(Names { lookup: find_link, list: list_links });
pub(super) static FDINFO: Directory<PidSubject> = Directory::listing(Names { lookup: find_info, list: list_info });

/// A descriptor of a task.
#[derive(Clone, Debug)]
struct FdSubject {
    task: PidSubject,
    fd: i32,
}

impl FdSubject {
    fn descriptor(&self) -> Result<Descriptor, Errno> {
        self.task.task().and_then(|task| task.files().descriptor(self.fd)).map_err(|_| Errno::ENOENT)
    }
}

impl Subject for FdSubject {
    fn owner(&self, kind: FileKind, permissions: u32) -> (u32, u32) {
        self.task.owner(kind, permissions)
    }

    fn time(&self) -> Timestamp {
        self.task.time()
    }

    fn link_bytes(&self) -> u64 {
        64
    }
}

static LINK: Node<FdSubject> = Node::Link(follow);
static INFO: Node<FdSubject> = Node::File { read: Some(info), write: None, guard: Some(guard_info) };

fn follow(subject: &FdSubject, caller: &Caller) -> Result<LinkTarget, Errno> {
    access::inspect(&subject.task, caller)?;
    Ok(LinkTarget::File(subject.descriptor()?.file.path().clone()))
}

fn guard_info(subject: &FdSubject, caller: &Caller) -> Result<(), Errno> {
    access::inspect(&subject.task, caller)
}

/// A link's permissions tell how the file was opened.
fn link_permissions(flags: OpenFlags) -> u32 {
    let read = if flags.reads() { 0o500 } else { 0 };
    let write = if flags.writes() { 0o300 } else { 0 };
    read | write
}

fn find(subject: &PidSubject, name: &[u8]) -> Result<(FdSubject, Descriptor), Errno> {
    let fd = root::parse_id(name).and_then(|fd| i32::try_from(fd).ok()).ok_or(Errno::ENOENT)?;
    let subject = FdSubject { task: subject.clone(), fd };
    let descriptor = subject.descriptor()?;
    Ok((subject, descriptor))
}

/// The number of an entry: another for another file, so that no stale name is found.
fn number(directory: u64, name: &[u8], descriptor: &Descriptor) -> u64 {
    number_below(directory ^ descriptor.file.id(), name)
}

fn find_link(subject: &PidSubject, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    let (subject, descriptor) = find(subject, name)?;
    let permissions = link_permissions(descriptor.file.flags());
    Ok(Synthetic::inode(subject, &LINK, permissions, number(directory, name, &descriptor)))
}

fn find_info(subject: &PidSubject, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    let (subject, descriptor) = find(subject, name)?;
    Ok(Synthetic::inode(subject, &INFO, 0o444, number(directory, name, &descriptor)))
}

fn list_links(subject: &PidSubject, directory: u64, _: &Opener) -> Result<Vec<Listed>, Errno> {
    list(subject, directory, FileKind::Symlink)
}

fn list_info(subject: &PidSubject, directory: u64, opener: &Opener) -> Result<Vec<Listed>, Errno> {
    access::inspect(subject, &opener.caller())?;
    list(subject, directory, FileKind::Regular)
}

fn list(subject: &PidSubject, directory: u64, kind: FileKind) -> Result<Vec<Listed>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    let listed = |(fd, descriptor): (i32, Descriptor)| {
        let name = alloc::format!("{fd}").into_bytes();
        Listed { number: number(directory, &name, &descriptor), name, kind, at: u64::from(fd.unsigned_abs()) }
    };
    Ok(task.files().all().into_iter().map(listed).collect())
}

/// /proc/PID/fdinfo/FD (proc_pid_fdinfo(5)).
fn info(subject: &FdSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Descriptor { file, flags } = subject.descriptor()?;
    let mut shown = file.flags();
    shown.set(OpenFlags::CLOSE_ON_EXEC, flags.contains(FdFlags::CLOSE_ON_EXEC));
    let mount = file.path().mount.id().0;
    let mut text = Text::new();
    writeln!(text, "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{mount}", file.position(), shown.bits());
    writeln!(text, "ino:\t{}", file.inode().number());
    let table = subject.task.task()?.files().id();
    let mine = [LockOwner::Table(table), LockOwner::File(file.id()), LockOwner::Flock(file.id())];
    let locks = subject.task.system.kernel.vfs().hooks().locks.all();
    let held = locks.iter().filter(|(key, lock)| *key == file.path().key() && mine.contains(&lock.owner));
    for (number, (key, lock)) in (1..).zip(held) {
        write!(text, "lock:\t");
        lists::lock_line(&mut text, number, *key, lock);
    }
    text.bytes(file.object().describe().as_bytes());
    text.finish()
}
