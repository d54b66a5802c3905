//! Arguments that name files: a descriptor to start from, a path, `AT_` flags. And what a task's files are limited to.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use crate::Errno;
use crate::signal::{Signal, SignalInfo};
use crate::task::{INFINITY, Resource, Task};
use crate::vfs::{Caller, File, FileKind, Follow, FsContext, Inode, Name, Path};

bitflags::bitflags! {
    /// The flags of calls that take a directory and a path.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AtFlags: u32 {
        /// A symbolic link is meant itself.
        const SYMLINK_NOFOLLOW = abi::AT_SYMLINK_NOFOLLOW;
        /// A directory is to be removed. The same bit as AT_EACCESS.
        const REMOVEDIR = abi::AT_REMOVEDIR;
        /// A symbolic link is followed, where it is not otherwise.
        const SYMLINK_FOLLOW = abi::AT_SYMLINK_FOLLOW;
        /// Nothing is mounted automatically: nothing ever is.
        const NO_AUTOMOUNT = abi::AT_NO_AUTOMOUNT;
        /// An empty path names what the descriptor is.
        const EMPTY_PATH = abi::AT_EMPTY_PATH;
        /// statx(2): how fresh the facts must be. They always are.
        const STATX_FORCE_SYNC = abi::AT_STATX_FORCE_SYNC;
        /// The same.
        const STATX_DONT_SYNC = abi::AT_STATX_DONT_SYNC;
    }
}

impl AtFlags {
    /// `EINVAL` unless all bits are among these.
    pub fn check(bits: u32, allowed: AtFlags) -> Result<Self, Errno> {
        Self::from_bits(bits).filter(|flags| allowed.contains(*flags)).ok_or(Errno::EINVAL)
    }

    /// How a call treats a link at the end that follows it unless told otherwise.
    pub fn follow(self) -> Follow {
        if self.contains(Self::SYMLINK_NOFOLLOW) { Follow::No } else { Follow::Yes }
    }
}

/// Where a path is resolved, and its text.
#[derive(Debug)]
pub struct At {
    context: Arc<FsContext>,
    /// Who gave it.
    pub caller: Caller,
    base: Option<Path>,
    /// Why there is no base, where an empty path would need one.
    missing: Option<Errno>,
    text: Vec<u8>,
}

impl At {
    /// From a call's arguments. A directory descriptor that an absolute path makes needless is not looked at.
    pub fn new(task: &Arc<Task>, directory: i32, path: u64) -> Result<Self, Errno> {
        let text = task.memory().read_path(path)?;
        let caller = Caller::of(task);
        let (base, missing) = match text.first() {
            Some(b'/') => (None, None),
            Some(_) => (base(task, directory)?, None),
            // That a path is empty is found before its descriptor is looked at.
            None => match base(task, directory) {
                Ok(base) => (base, None),
                Err(errno) => (None, Some(errno)),
            },
        };
        Ok(Self { context: task.fs(), caller, base, missing, text })
    }

    /// The same where an absolute path, too, starts at the directory (RESOLVE_IN_ROOT of openat2(2)).
    pub fn within(task: &Arc<Task>, directory: i32, path: u64) -> Result<Self, Errno> {
        Ok(Self { base: base(task, directory)?, ..Self::new(task, directory, path)? })
    }

    /// A path from the working directory.
    pub fn cwd(task: &Arc<Task>, path: u64) -> Result<Self, Errno> {
        Self::new(task, abi::AT_FDCWD, path)
    }

    /// For the file system.
    pub fn name(&self) -> Name<'_> {
        Name { context: &self.context, caller: &self.caller, base: self.base.clone(), text: &self.text }
    }

    /// Finds the file. An empty path names the directory itself where the flags allow it.
    pub fn find(&self, flags: AtFlags, follow: Follow) -> Result<Path, Errno> {
        if self.text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
            if let Some(errno) = self.missing {
                return Err(errno);
            }
            return Ok(self.base.clone().unwrap_or_else(|| self.context.cwd()));
        }
        self.name().find(follow)
    }
}

fn base(task: &Arc<Task>, directory: i32) -> Result<Option<Path>, Errno> {
    if directory == abi::AT_FDCWD { Ok(None) } else { Ok(Some(task.files().get(directory)?.path().clone())) }
}

/// The file behind a descriptor, which must be a directory.
pub fn directory(task: &Arc<Task>, fd: i32) -> Result<Arc<File>, Errno> {
    let file = task.files().get(fd)?;
    if file.inode().kind() == FileKind::Directory { Ok(file) } else { Err(Errno::ENOTDIR) }
}

/// An `off_t`: `EINVAL` when it is negative.
pub fn offset(argument: u64) -> Result<u64, Errno> {
    i64::try_from(argument).map(|_| argument).map_err(|_| Errno::EINVAL)
}

/// How many descriptors a task may have (RLIMIT_NOFILE).
pub fn descriptor_limit(task: &Arc<Task>) -> u64 {
    task.process().limit(Resource::Files).soft
}

/// How many bytes from `start` on a task may write to a regular file (RLIMIT_FSIZE): SIGXFSZ and `EFBIG` when none.
pub fn check_file_size(
    task: &Arc<Task>,
    file: &File,
    start: impl FnOnce() -> Result<u64, Errno>,
) -> Result<usize, Errno> {
    let limit = task.process().limit(Resource::FileSize).soft;
    if limit == INFINITY || file.inode().kind() != FileKind::Regular {
        return Ok(usize::MAX);
    }
    match limit.checked_sub(start()?).filter(|rest| *rest > 0) {
        Some(rest) => Ok(usize::try_from(rest).unwrap_or(usize::MAX)),
        None => {
            task.send_signal(SignalInfo::kernel(Signal::XFSZ));
            Err(Errno::EFBIG)
        }
    }
}

/// Refuses to make a regular file longer than RLIMIT_FSIZE, as a write does (`inode_newsize_ok` of Linux).
pub fn check_new_size(task: &Arc<Task>, inode: &Arc<dyn Inode>, len: u64) -> Result<(), Errno> {
    let limit = task.process().limit(Resource::FileSize).soft;
    if len <= limit || inode.kind() != FileKind::Regular || len <= inode.stat()?.size {
        return Ok(());
    }
    task.send_signal(SignalInfo::kernel(Signal::XFSZ));
    Err(Errno::EFBIG)
}

/// Sends SIGPIPE to a task that wrote to a pipe or socket that nobody reads.
pub fn broken_pipe(task: &Arc<Task>) {
    task.send_signal(SignalInfo::kernel(Signal::PIPE));
}
