//! Inodes of an image.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_erofs::format;

use super::{Volume, damaged, xattrs};
use crate::Errno;
use crate::io::Sink;
use crate::mm::{Fixed, MapPiece, PoolRange};
use crate::platform::{Backing, Sharing};
use crate::vfs::acl::{ACCESS, DEFAULT};
use crate::vfs::{
    Caller, Device, DirEntry, Direction, Emit, FileKind, FileObject, Inode, LinkTarget, Opening, PAGE_BYTES, Seeking,
    Stat, Timestamp,
};

/// A file, directory, link, ... of an image.
#[derive(Debug)]
pub(super) struct Node {
    volume: Arc<Volume>,
    inode: stockade_erofs::Inode,
}

impl Node {
    pub fn new(volume: &Arc<Volume>, inode: stockade_erofs::Inode) -> Arc<Self> {
        Arc::new(Self { volume: volume.clone(), inode })
    }

    /// A run of the file's bytes, inside the blob; `None` for a hole.
    fn run(&self, position: u64) -> Result<(Option<u64>, u64), Errno> {
        let extent = self.volume.image.extent(&self.inode, position).map_err(damaged)?;
        let len = self.volume.blob.bytes().len() as u64;
        match extent.offset {
            Some(offset) if offset.checked_add(extent.bytes).is_none_or(|end| end > len) => Err(Errno::EIO),
            offset => Ok((offset, extent.bytes)),
        }
    }

    /// The piece of a mapping that begins at a page below the file's end.
    fn piece(&self, position: u64, len_max: u64, sharing: Sharing) -> Result<MapPiece, Errno> {
        let (offset, bytes) = self.run(position)?;
        let blob_pages_end = (self.volume.blob.bytes().len() as u64).next_multiple_of(PAGE_BYTES);
        match offset {
            Some(offset)
                if offset % PAGE_BYTES == 0 && offset + bytes.next_multiple_of(PAGE_BYTES) <= blob_pages_end =>
            {
                let is_end = position + bytes >= self.inode.size();
                let pages = if is_end { bytes.next_multiple_of(PAGE_BYTES) } else { bytes / PAGE_BYTES * PAGE_BYTES };
                if pages == 0 {
                    return self.copied(position);
                }
                let fixed = Some(Fixed::new(&self.volume.blob, position, offset));
                let backing = Backing::Blob { blob: self.volume.blob.id(), offset, sharing };
                Ok(MapPiece { len: pages.min(len_max), backing, keep: None, fixed })
            }
            _ => self.copied(position),
        }
    }

    /// One page that does not lie as a page in the blob (an inline tail, a hole), copied to the pool.
    fn copied(&self, position: u64) -> Result<MapPiece, Errno> {
        let mut page = alloc::vec![0; usize::try_from(PAGE_BYTES).map_err(|_| Errno::EIO)?];
        self.volume.image.read(&self.inode, position, &mut page).map_err(damaged)?;
        let range = PoolRange::allocate(&self.volume.machine, PAGE_BYTES)?;
        self.volume.machine.pool().write(range.offset(), &page)?;
        // Private even when shared was asked for: nobody can write to it.
        let backing = Backing::Pool { offset: range.offset(), sharing: Sharing::Private };
        Ok(MapPiece { len: PAGE_BYTES, backing, keep: Some(range), fixed: None })
    }
}

fn kind(kind: format::FileKind) -> FileKind {
    match kind {
        format::FileKind::Regular => FileKind::Regular,
        format::FileKind::Directory => FileKind::Directory,
        format::FileKind::Symlink => FileKind::Symlink,
        format::FileKind::Character => FileKind::Character,
        format::FileKind::Block => FileKind::Block,
        format::FileKind::Fifo => FileKind::Fifo,
        format::FileKind::Socket => FileKind::Socket,
        // Only directory entries have it, and getdents64(2) allows any type there.
        format::FileKind::Unknown => FileKind::Regular,
    }
}

impl Inode for Node {
    fn number(&self) -> u64 {
        self.inode.nid()
    }

    fn kind(&self) -> FileKind {
        kind(self.inode.kind())
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let (secs, nanos) = self.inode.mtime();
        let time = Timestamp { secs, nanos };
        let (major, minor) = self.inode.device().unwrap_or_default();
        let size = self.inode.size();
        Ok(Stat {
            ino: self.inode.nid(),
            mode: self.inode.mode().into(),
            nlink: self.inode.nlink(),
            uid: self.inode.uid(),
            gid: self.inode.gid(),
            rdev: Device { major, minor },
            size,
            blocks: size.next_multiple_of(4096) / 512,
            atime: time,
            mtime: time,
            ctime: time,
            btime: None,
        })
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn layer(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let entry = self.volume.image.lookup(&self.inode, name).map_err(damaged)?.ok_or(Errno::ENOENT)?;
        let inode = self.volume.image.inode(entry.nid).map_err(damaged)?;
        Ok(Self::new(&self.volume, inode))
    }

    fn link_target(&self, _: &Caller) -> Result<LinkTarget, Errno> {
        if self.kind() != FileKind::Symlink {
            return Err(Errno::EINVAL);
        }
        self.volume.image.read_link(&self.inode).map(LinkTarget::Text).map_err(damaged)
    }

    fn xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.volume.image.xattr(&self.inode, name).map_err(damaged)?.ok_or(Errno::ENODATA)
    }

    fn has_acl(&self) -> bool {
        [ACCESS, DEFAULT].iter().any(|name| self.xattr(name).is_ok())
    }

    fn xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(xattrs(&self.volume, &self.inode)?.into_iter().map(|(name, _)| name).collect())
    }
}

impl FileObject for Node {
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        if self.kind() == FileKind::Directory {
            return Err(Errno::EISDIR);
        }
        let mut done = 0;
        while sink.remaining() > 0 {
            let (offset, bytes) = self.run(at.saturating_add(done as u64))?;
            let wanted = usize::try_from(bytes).unwrap_or(usize::MAX).min(sink.remaining());
            if wanted == 0 {
                break;
            }
            let step = match offset.and_then(|offset| usize::try_from(offset).ok()) {
                Some(offset) => sink.put(&self.volume.blob.bytes()[offset..offset + wanted]),
                None => sink.put_zeros(wanted),
            };
            match step {
                Ok(count) if count < wanted => return Ok(done + count),
                Ok(count) => done += count,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        let size = self.inode.size();
        match what {
            _ if from >= size => Err(Errno::ENXIO),
            Direction::Data => Ok(from),
            Direction::Hole => Ok(size),
        }
    }

    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        if self.kind() != FileKind::Regular {
            return Err(Errno::ENODEV);
        }
        let pages_end = self.inode.size().next_multiple_of(PAGE_BYTES);
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < len {
            let (position, rest) = (offset.saturating_add(done), len - done);
            let piece = match position < pages_end {
                true => self.piece(position, rest, sharing)?,
                false => MapPiece { len: rest, backing: Backing::Nothing, keep: None, fixed: None },
            };
            done += piece.len;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        if self.kind() != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let entries = self.volume.image.entries(&self.inode).map_err(damaged)?;
        let skipped = usize::try_from(at).unwrap_or(usize::MAX);
        for (position, entry) in (1..).zip(entries).skip(skipped) {
            let entry = entry.map_err(damaged)?;
            if matches!(entry.name.as_slice(), b"." | b"..") {
                continue;
            }
            let entry = DirEntry { name: &entry.name, ino: entry.nid, kind: kind(entry.kind), next: position };
            if emit(&entry) == Emit::Full {
                break;
            }
        }
        Ok(())
    }
}
