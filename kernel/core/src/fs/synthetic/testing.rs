//! What tests of synthetic file systems share: paths are walked from an inode by the kernel's own rules.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Errno;
use crate::io::Collect;
use crate::task::{Credentials, Task};
use crate::testing::World;
use crate::vfs::{
    Caller, Emit, Filesystem, Follow, FsContext, MountFlags, MountNamespace, Name, OpenFlags, OpenHow, Opened, Path,
    Stat,
};

/// A file system mounted alone, and who looks at it.
pub(crate) struct Mounted {
    pub world: World,
    context: Arc<FsContext>,
    pub caller: Caller,
}

impl Mounted {
    /// Seen by the world's task.
    pub fn new(world: World, filesystem: Arc<dyn Filesystem>) -> Self {
        let superblock = world.kernel.vfs().superblock(filesystem);
        let context = FsContext::new(MountNamespace::new(&superblock, MountFlags::empty(), b"fs"));
        let caller = Caller::of(&world.task);
        Self { world, context, caller }
    }

    /// From now on seen by somebody else.
    pub fn look_as(&mut self, task: &Arc<Task>, credentials: Credentials) {
        self.caller = Caller { credentials: Arc::new(credentials), task: Some(task.clone()) };
    }

    fn name<'a>(&'a self, path: &'a str) -> Name<'a> {
        Name::new(&self.context, &self.caller, path.as_bytes())
    }

    pub fn find(&self, path: &str, follow: Follow) -> Result<Path, Errno> {
        self.name(path).find(follow)
    }

    pub fn stat(&self, path: &str) -> Result<Stat, Errno> {
        self.find(path, Follow::No)?.stat()
    }

    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<crate::vfs::File>, Errno> {
        match self.world.kernel.vfs().open(&self.name(path), &OpenHow::existing(flags))? {
            Opened::File(file) => Ok(file),
            Opened::Fifo(_) => Err(Errno::ENXIO),
        }
    }

    /// Reads a whole file, in small steps.
    pub fn read(&self, path: &str) -> Result<String, Errno> {
        let file = self.open(path, OpenFlags::empty())?;
        let mut bytes = Vec::new();
        loop {
            let mut step = Collect::new(100);
            if file.read(&mut step)? == 0 {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            bytes.extend(step.bytes);
        }
    }

    pub fn write(&self, path: &str, text: &str) -> Result<usize, Errno> {
        let file = self.open(path, OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE)?;
        file.write(&mut text.as_bytes())
    }

    /// The names in a directory.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Errno> {
        let file = self.open(path, OpenFlags::DIRECTORY)?;
        let mut names = Vec::new();
        let mut at = 0;
        loop {
            let mut count = 0;
            file.list(at, &mut |entry| {
                count += 1;
                if count > 3 {
                    return Emit::Full;
                }
                at = entry.next;
                names.push(String::from_utf8_lossy(entry.name).into_owned());
                Emit::More
            })?;
            if count == 0 {
                return Ok(names);
            }
        }
    }

    /// What readlink(2) says.
    pub fn read_link(&self, path: &str) -> Result<String, Errno> {
        let found = self.find(path, Follow::No)?;
        Ok(String::from_utf8_lossy(&found.inode().read_link(&self.caller)?).into_owned())
    }

    /// Opens and reads everything below a directory; says how many files there were.
    pub fn read_all(&self, path: &str) -> usize {
        let mut files = 0;
        for name in self.list(path).expect("a directory lists").into_iter().filter(|name| !name.starts_with('.')) {
            let below = alloc::format!("{}/{name}", path.trim_end_matches('/'));
            let stat = self.stat(&below).expect("what is listed is there");
            match crate::vfs::FileKind::from_mode(stat.mode) {
                Some(crate::vfs::FileKind::Directory) => files += self.read_all(&below),
                Some(crate::vfs::FileKind::Regular) if stat.mode & 0o444 != 0 => match self.read(&below) {
                    Ok(_) | Err(Errno::EINVAL | Errno::EIO) => files += 1,
                    Err(errno) => panic!("{below}: {errno:?}"),
                },
                _ => {}
            }
        }
        files
    }
}
