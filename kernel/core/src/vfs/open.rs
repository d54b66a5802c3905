//! Opening files (open(2)).

use alloc::sync::Arc;

use super::acl::Inherited;
use super::file::PathOnly;
use super::permission::{Access, check_changing_names, check_stat, is_owner};
use super::walk::check_name;
use super::{
    Dentry, File, FileKind, Follow, Inode, Last, MountFlags, Name, NewInode, NewKind, OpenFlags, Opening, Path,
    Resolve, Stat, Vfs, Walker,
};
use crate::Errno;
use crate::task::{Capabilities, Credentials};

/// `struct open_how`, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// Flags.
    pub flags: OpenFlags,
    /// Permission bits of a file that is made, before the umask.
    pub permissions: u32,
    /// Restrictions.
    pub resolve: Resolve,
}

impl OpenHow {
    /// Opens what exists.
    pub fn existing(flags: OpenFlags) -> Self {
        Self { flags, ..Self::default() }
    }
}

/// What a path led to.
#[derive(Debug)]
pub enum Opened {
    /// An open file.
    File(Arc<File>),
    /// A fifo that may be opened; that can take until somebody opens its other end.
    Fifo(Path),
}

/// Whether a file was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Before,
    Made,
}

impl Vfs {
    /// Opens a file.
    pub fn open(&self, name: &Name<'_>, how: &OpenHow) -> Result<Opened, Errno> {
        let flags = how.flags;
        if flags.contains(OpenFlags::PATH) {
            return self.open_path(name, how).map(Opened::File);
        }
        if flags.contains(OpenFlags::TEMPORARY) {
            return self.open_temporary(name, how).map(Opened::File);
        }
        if flags.contains(OpenFlags::CREATE) {
            let (path, found) = self.find_or_create(name, how)?;
            if found == Found::Before && path.inode().kind() == FileKind::Directory {
                return Err(Errno::EISDIR);
            }
            return self.open_found(name, path, flags, found);
        }
        let path = Walker::new(name, how.resolve)?.finish(follow(flags))?;
        self.open_found(name, path, flags, Found::Before)
    }

    /// Opens what is at a place, as open(2) does with its path.
    pub fn open_at(&self, name: &Name<'_>, path: Path, flags: OpenFlags) -> Result<Opened, Errno> {
        if flags.contains(OpenFlags::PATH) {
            return self.open_place(path, flags).map(Opened::File);
        }
        self.open_found(name, path, flags, Found::Before)
    }

    fn open_found(&self, name: &Name<'_>, path: Path, flags: OpenFlags, found: Found) -> Result<Opened, Errno> {
        let kind = path.inode().kind();
        if flags.contains(OpenFlags::DIRECTORY) && kind != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        if found == Found::Before {
            check_open(&path, &name.caller.credentials, flags)?;
            path.inode().check(name.caller)?;
            if flags.contains(OpenFlags::TRUNCATE) && kind == FileKind::Regular {
                self.hooks().usage.check_writable(path.key())?;
                path.inode().set_len(0)?;
            }
        }
        match kind {
            FileKind::Symlink => Err(Errno::ELOOP),
            FileKind::Socket => Err(Errno::ENXIO),
            FileKind::Fifo if !self.is_internal(&path) => Ok(Opened::Fifo(path)),
            _ => self.open_inode_at(name, path, flags).map(Opened::File),
        }
    }

    fn open_inode_at(&self, name: &Name<'_>, path: Path, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        let writes = flags.writes() && path.inode().kind() == FileKind::Regular && !self.is_internal(&path);
        let usage = if writes { Some(self.hooks().begin_writing(path.key())?) } else { None };
        let opening = Opening { path: &path, flags, caller: name.caller };
        let object = match path.inode().kind() {
            FileKind::Character | FileKind::Block => self.open_device(&opening)?,
            _ => path.inode().clone().open(&opening)?,
        };
        self.notify_opened(&path);
        let file = self.file(object, path, flags)?;
        file.set_usage(usage);
        Ok(file)
    }

    fn find_or_create(&self, name: &Name<'_>, how: &OpenHow) -> Result<(Path, Found), Errno> {
        let mut walker = Walker::new(name, how.resolve)?;
        loop {
            let last = walker.last()?;
            let Last::Name { range, slash } = last else {
                let path = walker.finish_without_name(&last)?;
                // A link of proc(5) led here: the file exists.
                return if how.flags.contains(OpenFlags::EXCLUSIVE) {
                    Err(Errno::EEXIST)
                } else {
                    Ok((path, Found::Before))
                };
            };
            if slash {
                return Err(Errno::EISDIR);
            }
            let (mut path, found) = self.child_or_create(name, &walker, walker.text(&range), how)?;
            if found == Found::Made {
                return Ok((path, found));
            }
            if how.flags.contains(OpenFlags::EXCLUSIVE) {
                return Err(Errno::EEXIST);
            }
            walker.cross(&mut path)?;
            if path.inode().kind() != FileKind::Symlink || how.flags.contains(OpenFlags::NO_FOLLOW) {
                self.check_found(name, &walker, &path)?;
                return Ok((path, found));
            }
            walker.follow_last(&path)?;
        }
    }

    /// Refuses what somebody else put where a new file was to be (`may_create_in_sticky` of Linux).
    fn check_found(&self, name: &Name<'_>, walker: &Walker<'_>, path: &Path) -> Result<(), Errno> {
        if path.inode().kind() == FileKind::Directory {
            return Ok(());
        }
        self.protections().check_found(&walker.at().stat()?, &path.stat()?, &name.caller.credentials)
    }

    fn child_or_create(
        &self,
        name: &Name<'_>,
        walker: &Walker<'_>,
        last: &[u8],
        how: &OpenHow,
    ) -> Result<(Path, Found), Errno> {
        check_name(last)?;
        let directory = walker.at();
        let (mount, superblock) = (directory.mount.clone(), directory.mount.superblock());
        let mut locked = directory.dentry.lock();
        let (dentry, found) = match locked.lookup(superblock, last) {
            Ok(dentry) => (dentry, Found::Before),
            Err(Errno::ENOENT) => {
                let stat = check_changing_names(directory, &name.caller.credentials)?;
                let parent = &**directory.inode();
                let (new, inherited) = new_inode(name, (parent, &stat), NewKind::Regular, how.permissions);
                let inode = parent.create(last, &new)?;
                inherited.give(&*inode)?;
                (locked.add(superblock, last, inode), Found::Made)
            }
            Err(errno) => return Err(errno),
        };
        drop(locked);
        if found == Found::Made {
            self.notify_created(directory, last, FileKind::Regular);
        }
        Ok((Path { mount, dentry }, found))
    }

    fn open_path(&self, name: &Name<'_>, how: &OpenHow) -> Result<Arc<File>, Errno> {
        let path = Walker::new(name, how.resolve)?.finish(follow(how.flags))?;
        if how.flags.contains(OpenFlags::DIRECTORY) && path.inode().kind() != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.open_place(path, how.flags)
    }

    /// A file that stands for a place only (O_PATH).
    pub fn open_place(&self, path: Path, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        let kept = OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW;
        self.file(Arc::new(PathOnly), path, OpenFlags::PATH | flags & kept)
    }

    fn open_temporary(&self, name: &Name<'_>, how: &OpenHow) -> Result<Arc<File>, Errno> {
        let directory = Walker::new(name, how.resolve)?.finish(Follow::Yes)?;
        if directory.inode().kind() != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let stat = check_changing_names(&directory, &name.caller.credentials)?;
        let parent = &**directory.inode();
        let (new, inherited) = new_inode(name, (parent, &stat), NewKind::Regular, how.permissions);
        let inode = parent.create_unnamed(&new)?;
        inherited.give(&*inode)?;
        let called = alloc::format!("#{}", inode.number());
        let dentry = Dentry::unnamed(inode, &directory.dentry, called.as_bytes(), how.flags);
        self.open_inode_at(name, Path { mount: directory.mount.clone(), dentry }, how.flags)
    }
}

/// What a new file gets from its maker and its directory; what it inherits besides is to be given to it.
pub(super) fn new_inode<'a>(
    name: &Name<'_>,
    (directory, stat): (&dyn Inode, &Stat),
    kind: NewKind<'a>,
    permissions: u32,
) -> (NewInode<'a>, Inherited) {
    const SETGID: u32 = linux_raw_sys::general::S_ISGID;
    let credentials = &name.caller.credentials;
    let inherited = Inherited::of(directory, kind.kind(), permissions & 0o7777);
    let by_maker = permissions & 0o7777 & !name.context.umask();
    let (mut permissions, mut gid) = (inherited.permissions.unwrap_or(by_maker), credentials.fsgid);
    match kind {
        NewKind::Symlink(_) => permissions = 0o777,
        NewKind::Directory => permissions &= 0o1777,
        _ => {}
    }
    if stat.mode & SETGID != 0 {
        gid = stat.gid;
        if kind == NewKind::Directory {
            permissions |= SETGID;
        } else if permissions & 0o2010 == 0o2010 && !credentials.in_group(gid) && !credentials.has(Capabilities::FSETID)
        {
            permissions &= !SETGID;
        }
    }
    (NewInode { kind, permissions, uid: credentials.fsuid, gid }, inherited)
}

fn follow(flags: OpenFlags) -> Follow {
    if flags.contains(OpenFlags::NO_FOLLOW) { Follow::No } else { Follow::Yes }
}

/// `may_open` of Linux.
fn check_open(path: &Path, credentials: &Credentials, flags: OpenFlags) -> Result<(), Errno> {
    let mut access = Access::empty();
    access.set(Access::READ, flags.reads());
    access.set(Access::WRITE, flags.writes() || flags.contains(OpenFlags::TRUNCATE));
    let no_devices = path.mount.flags().contains(MountFlags::NO_DEV);
    match path.inode().kind() {
        FileKind::Symlink => return Err(Errno::ELOOP),
        FileKind::Directory if access.contains(Access::WRITE) => return Err(Errno::EISDIR),
        FileKind::Character | FileKind::Block if no_devices => return Err(Errno::EACCES),
        FileKind::Regular if access.contains(Access::WRITE) => path.mount.check_writable()?,
        _ => {}
    }
    let stat = path.stat()?;
    check_stat(&**path.inode(), &stat, credentials, access)?;
    if flags.contains(OpenFlags::NO_ATIME) && !is_owner(&stat, credentials) {
        return Err(Errno::EPERM);
    }
    Ok(())
}
