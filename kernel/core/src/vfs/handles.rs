//! Names of files that stay good without a path (name_to_handle_at(2)): a file system's own number for one.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{Caller, Dentry, Emit, FileKind, OpenFlags, Opening, Path, Superblock};
use crate::Errno;
use crate::abi::{Decoder, Encoder};

/// What a file system's handles are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleForm {
    /// They name files, but open none (AT_HANDLE_FID).
    Identity,
    /// As tmpfs writes them: a generation, and the number in two halves.
    Number,
    /// As kernfs writes them: the number.
    Node,
}

/// A `struct file_handle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// `handle_type`
    pub kind: u32,
    /// `f_handle`
    pub bytes: Vec<u8>,
}

/// FILEID_INO32_GEN, which tmpfs uses for a form of its own.
const NUMBER: u32 = 1;
/// FILEID_INO64_GEN
const IDENTITY: u32 = 0x81;
/// FILEID_KERNFS
const NODE: u32 = 0xfe;

/// Names that are remembered before those that are gone are cleared out.
const KEPT_MIN: usize = 256;

impl Path {
    /// A handle of what is there.
    pub fn handle(&self) -> Handle {
        self.mount.superblock().remember_handle(self.inode().number(), &self.dentry);
        self.identity()
    }

    /// The same, only to be shown.
    pub fn identity(&self) -> Handle {
        let superblock = self.mount.superblock();
        let (number, generation) = (self.inode().number(), superblock.device().minor);
        let mut to = Encoder::new();
        let kind = match superblock.filesystem().handles() {
            HandleForm::Identity => {
                to.put(number).put(generation);
                IDENTITY
            }
            HandleForm::Number => {
                to.put(generation).put(number);
                NUMBER
            }
            HandleForm::Node => {
                to.put(number);
                NODE
            }
        };
        Handle { kind, bytes: to.finish() }
    }

    /// What a handle names in the file system here: `ESTALE` when there is no such file any more.
    pub fn find_handle(&self, handle: &Handle, caller: &Caller) -> Result<Path, Errno> {
        let superblock = self.mount.superblock();
        let number = superblock.number_of(handle).ok_or(Errno::ESTALE)?;
        let known = superblock.handled(number);
        let dentry = match known {
            Some(known) if !known.is_unlinked() => known,
            // A file without a name can be opened as long as somebody has it open.
            known => self.search(number, caller).or_else(|errno| known.ok_or(errno))?,
        };
        Ok(Path { mount: self.mount.clone(), dentry })
    }

    /// Looks through all directories of the file system.
    fn search(&self, number: u64, caller: &Caller) -> Result<Arc<Dentry>, Errno> {
        let superblock = self.mount.superblock();
        let mut directories = alloc::vec![superblock.root().clone()];
        while let Some(directory) = directories.pop() {
            if directory.inode().number() == number {
                return Ok(directory);
            }
            let place = Path { mount: self.mount.clone(), dentry: directory.clone() };
            let may_lead = |found: &&Found| found.number == number || found.kind == FileKind::Directory;
            for Found { name, .. } in names(&place, caller)?.iter().filter(may_lead) {
                // Names may go meanwhile.
                let Ok(child) = directory.lookup(superblock, name) else { continue };
                match child.inode().kind() {
                    _ if child.inode().number() == number => return Ok(child),
                    FileKind::Directory => directories.push(child),
                    _ => {}
                }
            }
        }
        Err(Errno::ESTALE)
    }
}

/// A name in a directory.
struct Found {
    name: Vec<u8>,
    number: u64,
    kind: FileKind,
}

fn names(directory: &Path, caller: &Caller) -> Result<Vec<Found>, Errno> {
    let opening = Opening { path: directory, flags: OpenFlags::DIRECTORY, caller };
    let listing = directory.inode().clone().open(&opening)?;
    let mut names = Vec::new();
    listing.read_dir(0, &mut |entry| {
        names.push(Found { name: entry.name.to_vec(), number: entry.ino, kind: entry.kind });
        Emit::More
    })?;
    Ok(names)
}

impl Superblock {
    /// The number in a handle, if it is one that this file system gave and opens files by.
    fn number_of(&self, handle: &Handle) -> Option<u64> {
        let form = self.filesystem().handles();
        let mut from = Decoder::new(&handle.bytes);
        // As Linux, tmpfs does not look at the type.
        match (form, handle.kind, handle.bytes.len()) {
            (HandleForm::Number, _, 12..) => {
                let generation: u32 = from.take();
                (generation == self.device().minor).then(|| from.take())
            }
            (HandleForm::Node, NODE, 8..) => Some(from.take()),
            _ => None,
        }
    }

    /// Keeps a name at hand as long as others hold it.
    fn remember_handle(&self, number: u64, dentry: &Arc<Dentry>) {
        let mut handled = self.handled.lock();
        if handled.len() >= KEPT_MIN && handled.len().is_power_of_two() {
            handled.retain(|_, dentry| dentry.strong_count() > 0);
        }
        handled.insert(number, Arc::downgrade(dentry));
    }

    fn handled(&self, number: u64) -> Option<Arc<Dentry>> {
        self.handled.lock().get(&number).and_then(Weak::upgrade)
    }
}
