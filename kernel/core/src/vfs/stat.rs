//! What stat(2) and statfs(2) tell.

use core::time::Duration;

use linux_raw_sys::general as abi;

/// The type of a file (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of inode(7)")]
pub enum FileKind {
    Regular,
    Directory,
    Symlink,
    Character,
    Block,
    Fifo,
    Socket,
}

impl FileKind {
    /// The S_IFMT bits of `st_mode`.
    pub const fn mode(self) -> u32 {
        match self {
            Self::Regular => abi::S_IFREG,
            Self::Directory => abi::S_IFDIR,
            Self::Symlink => abi::S_IFLNK,
            Self::Character => abi::S_IFCHR,
            Self::Block => abi::S_IFBLK,
            Self::Fifo => abi::S_IFIFO,
            Self::Socket => abi::S_IFSOCK,
        }
    }

    /// From the S_IFMT bits of a mode.
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & abi::S_IFMT {
            abi::S_IFREG => Self::Regular,
            abi::S_IFDIR => Self::Directory,
            abi::S_IFLNK => Self::Symlink,
            abi::S_IFCHR => Self::Character,
            abi::S_IFBLK => Self::Block,
            abi::S_IFIFO => Self::Fifo,
            abi::S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }

    /// The `d_type` of getdents64(2): the type bits of the mode, shifted.
    pub fn entry_type(self) -> u8 {
        u8::try_from(self.mode() >> 12).unwrap_or_default()
    }
}

/// A time of the real-time clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub secs: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

impl From<Duration> for Timestamp {
    fn from(since_epoch: Duration) -> Self {
        Self { secs: since_epoch.as_secs().try_into().unwrap_or(i64::MAX), nanos: since_epoch.subsec_nanos() }
    }
}

/// A device number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// 12 bits.
    pub major: u32,
    /// 20 bits.
    pub minor: u32,
}

impl Device {
    /// Nothing's number.
    pub const NONE: Self = Self::new(0, 0);

    /// From its parts.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// As in `st_dev` and `st_rdev` (makedev(3)).
    pub fn encode(self) -> u64 {
        let (major, minor) = (u64::from(self.major), u64::from(self.minor));
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    /// As Linux keeps it, and as fdinfo shows it: 12 and 20 bits.
    pub fn raw(self) -> u32 {
        self.major << 20 | self.minor
    }

    /// From `dev_t` as mknod(2) takes it: 32 bits.
    pub fn decode(number: u32) -> Self {
        Self { major: (number >> 8) & 0xfff, minor: (number & 0xff) | ((number >> 12) & 0xf_ff00) }
    }
}

/// Facts about an inode. Its file system's device is the superblock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The inode's number.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Names that it has.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What a device node stands for.
    pub rdev: Device,
    /// Bytes.
    pub size: u64,
    /// What it takes, in units of 512 bytes.
    pub blocks: u64,
    /// Last read.
    pub atime: Timestamp,
    /// Last write.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// When it was made, if known.
    pub btime: Option<Timestamp>,
}

impl Stat {
    /// A file of root's, empty, made at no time.
    pub fn new(ino: u64, kind: FileKind, permissions: u32) -> Self {
        Self {
            ino,
            mode: kind.mode() | permissions,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: Device::NONE,
            size: 0,
            blocks: 0,
            atime: Timestamp::default(),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            btime: None,
        }
    }

    /// Permission bits with setuid, setgid and sticky.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

/// Facts about a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatFs {
    /// `f_type`
    pub magic: u32,
    /// `f_bsize`
    pub block_bytes: u64,
    /// `f_blocks`
    pub blocks: u64,
    /// `f_bfree`
    pub blocks_free: u64,
    /// `f_bavail`: those of them that can be had.
    pub blocks_available: u64,
    /// `f_files`
    pub files: u64,
    /// `f_ffree`
    pub files_free: u64,
}

impl StatFs {
    /// A file system without numbers of its own.
    pub const fn of(magic: u32) -> Self {
        let block_bytes = super::PAGE_BYTES;
        Self { magic, block_bytes, blocks: 0, blocks_free: 0, blocks_available: 0, files: 0, files_free: 0 }
    }
}
