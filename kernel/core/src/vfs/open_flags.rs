//! The flags of open(2).
#![allow(missing_docs, reason = "the words of open(2)")]

use linux_raw_sys::general as abi;

bitflags::bitflags! {
    /// The flags of open(2) and fcntl(2) F_SETFL, with the ABI's bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        const WRITE_ONLY = abi::O_WRONLY;
        const READ_WRITE = abi::O_RDWR;
        const CREATE = abi::O_CREAT;
        const EXCLUSIVE = abi::O_EXCL;
        const NO_CTTY = abi::O_NOCTTY;
        const TRUNCATE = abi::O_TRUNC;
        const APPEND = abi::O_APPEND;
        const NONBLOCK = abi::O_NONBLOCK;
        const DATA_SYNC = abi::O_DSYNC;
        const ASYNC = abi::FASYNC;
        const DIRECT = abi::O_DIRECT;
        const LARGE_FILE = 0o100_000;
        const DIRECTORY = abi::O_DIRECTORY;
        const NO_FOLLOW = abi::O_NOFOLLOW;
        const NO_ATIME = abi::O_NOATIME;
        const CLOSE_ON_EXEC = abi::O_CLOEXEC;
        const FULL_SYNC = 0o4_000_000;
        const PATH = abi::O_PATH;
        /// Without O_DIRECTORY, which must go with it.
        const TEMPORARY = 0o20_000_000;
    }
}

impl OpenFlags {
    /// What F_SETFL can change.
    pub const CHANGEABLE: Self =
        Self::APPEND.union(Self::ASYNC).union(Self::DIRECT).union(Self::NO_ATIME).union(Self::NONBLOCK);

    /// Whether data may be read.
    pub fn reads(self) -> bool {
        !self.intersects(Self::WRITE_ONLY | Self::PATH)
    }

    /// Whether data may be written.
    pub fn writes(self) -> bool {
        self.intersects(Self::WRITE_ONLY | Self::READ_WRITE) && !self.contains(Self::PATH)
    }
}
