//! What can be watched for.
#![allow(missing_docs, reason = "the words of inotify(7)")]

use linux_raw_sys::general as abi;

bitflags::bitflags! {
    /// What happens to a file, and how it is watched, with the ABI's bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct WatchMask: u32 {
        const ACCESS = abi::IN_ACCESS;
        const MODIFY = abi::IN_MODIFY;
        const ATTRIB = abi::IN_ATTRIB;
        const CLOSE_WRITE = abi::IN_CLOSE_WRITE;
        const CLOSE_NOWRITE = abi::IN_CLOSE_NOWRITE;
        const OPEN = abi::IN_OPEN;
        const MOVED_FROM = abi::IN_MOVED_FROM;
        const MOVED_TO = abi::IN_MOVED_TO;
        const CREATE = abi::IN_CREATE;
        const DELETE = abi::IN_DELETE;
        const DELETE_SELF = abi::IN_DELETE_SELF;
        const MOVE_SELF = abi::IN_MOVE_SELF;
        const UNMOUNT = abi::IN_UNMOUNT;
        const OVERFLOW = abi::IN_Q_OVERFLOW;
        const IGNORED = abi::IN_IGNORED;
        const ONLY_DIRECTORY = abi::IN_ONLYDIR;
        const DONT_FOLLOW = abi::IN_DONT_FOLLOW;
        const EXCLUDE_UNLINKED = abi::IN_EXCL_UNLINK;
        const MASK_CREATE = abi::IN_MASK_CREATE;
        const MASK_ADD = abi::IN_MASK_ADD;
        const IS_DIRECTORY = abi::IN_ISDIR;
        const ONE_SHOT = abi::IN_ONESHOT;
    }
}

impl WatchMask {
    /// What can be watched for.
    pub const ALL: Self = Self::from_bits_retain(abi::IN_ALL_EVENTS);
}
