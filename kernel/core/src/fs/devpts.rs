//! devpts: the slaves of pseudo-terminals, and ptmx.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::tty::{Owner, SLAVES, Terminals};
use crate::vfs::{
    Caching, Changes, Device, DirEntry, Emit, FileKind, FileObject, Filesystem, Inode, Opening, Stat, StatFs,
};

/// `DEVPTS_SUPER_MAGIC`
const MAGIC: u32 = 0x1cd1;
/// Inode numbers: the root, ptmx, and of terminal 0.
const ROOT: u64 = 1;
const PTMX: u64 = 2;
const FIRST: u64 = 3;

/// An instance.
#[derive(Debug)]
pub struct DevPts {
    root: Arc<Root>,
    options: Options,
}

/// Mount options.
#[derive(Clone, Copy, Debug)]
struct Options {
    gid: Option<u32>,
    permissions: u32,
    ptmx_permissions: u32,
}

impl Options {
    fn parse(data: &[u8]) -> Result<Self, Errno> {
        let mut options = Self { gid: None, permissions: 0o600, ptmx_permissions: 0 };
        let text = core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let octal = || u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL);
            let number = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            match name {
                "gid" => options.gid = Some(number()?),
                "mode" => options.permissions = octal()? & 0o777,
                "ptmxmode" => options.ptmx_permissions = octal()? & 0o777,
                "uid" | "max" => drop(number()?),
                "newinstance" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

impl DevPts {
    /// Whether mount options are known.
    pub(super) fn check(data: &[u8]) -> Result<(), Errno> {
        Options::parse(data).map(drop)
    }

    /// Shows a container's terminals.
    pub fn new(terminals: &Arc<Terminals>, options: &[u8]) -> Result<Arc<Self>, Errno> {
        let options = Options::parse(options)?;
        Ok(Arc::new(Self { root: Arc::new(Root { terminals: terminals.clone(), options }), options }))
    }
}

impl Filesystem for DevPts {
    fn name(&self) -> &'static str {
        "devpts"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }

    fn options(&self) -> String {
        let gid = self.options.gid.map(|gid| alloc::format!(",gid={gid}")).unwrap_or_default();
        let Options { permissions, ptmx_permissions, .. } = self.options;
        alloc::format!("{gid},mode={permissions:03o},ptmxmode={ptmx_permissions:03o}")
    }

    fn caching(&self) -> Caching {
        Caching::Nothing
    }
}

/// The root directory.
#[derive(Debug)]
struct Root {
    terminals: Arc<Terminals>,
    options: Options,
}

impl Root {
    fn node(&self, number: u64, device: Device, permissions: u32, owner: Owner) -> Arc<Node> {
        let mut stat = Stat::new(number, FileKind::Character, permissions);
        (stat.uid, stat.gid, stat.rdev) = (owner.uid, owner.gid, device);
        Arc::new(Node { stat: Mutex::new(stat) })
    }
}

impl Inode for Root {
    fn number(&self) -> u64 {
        ROOT
    }

    fn kind(&self) -> FileKind {
        FileKind::Directory
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(Stat { nlink: 2, ..Stat::new(ROOT, FileKind::Directory, 0o755) })
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(Arc::new(Listing(self)))
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if name == b"ptmx" {
            let owner = Owner { uid: 0, gid: 0 };
            return Ok(self.node(PTMX, Device::new(5, 2), self.options.ptmx_permissions, owner));
        }
        let number = core::str::from_utf8(name).ok().and_then(|name| name.parse::<u32>().ok());
        let number = number.filter(|number| number.to_string().as_bytes() == name).ok_or(Errno::ENOENT)?;
        let tty = self.terminals.get(number).ok_or(Errno::ENOENT)?;
        let Owner { uid, gid } = tty.owner();
        let owner = Owner { uid, gid: self.options.gid.unwrap_or(gid) };
        Ok(self.node(FIRST + u64::from(number), Device::new(SLAVES, number), self.options.permissions, owner))
    }
}

/// The root directory, open.
#[derive(Debug)]
struct Listing(Arc<Root>);

impl FileObject for Listing {
    fn read(&self, _: &mut dyn crate::io::Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seeking(&self) -> crate::vfs::Seeking {
        crate::vfs::Seeking::Yes
    }

    /// Positions are inode numbers.
    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        let terminals = self.0.terminals.all().into_iter().map(|tty| tty.number());
        let named = terminals.map(|number| (FIRST + u64::from(number), number.to_string()));
        for (ino, name) in core::iter::once((PTMX, "ptmx".to_string())).chain(named).filter(|(ino, _)| *ino > at) {
            let entry = DirEntry { name: name.as_bytes(), ino, kind: FileKind::Character, next: ino };
            if emit(&entry) == Emit::Full {
                break;
            }
        }
        Ok(())
    }
}

/// A device node.
#[derive(Debug)]
struct Node {
    stat: Mutex<Stat>,
}

impl Inode for Node {
    fn number(&self) -> u64 {
        self.stat.lock().ino
    }

    fn kind(&self) -> FileKind {
        FileKind::Character
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(*self.stat.lock())
    }

    /// chown(2) and chmod(2) succeed, as grantpt(3) needs; the owner is who opened the master.
    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        let mut stat = self.stat.lock();
        let stat = &mut *stat;
        stat.mode = changes.permissions.map_or(stat.mode, |permissions| FileKind::Character.mode() | permissions);
        stat.uid = changes.uid.unwrap_or(stat.uid);
        stat.gid = changes.gid.unwrap_or(stat.gid);
        Ok(())
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Err(Errno::ENXIO)
    }
}
