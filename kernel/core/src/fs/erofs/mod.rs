//! EROFS: a layer of an image, read-only (Documentation/filesystems/erofs.rst). Its bytes are mapped for the kernel,
//! and applications map file data straight from the same blob.
//!
//! The image is hostile: the reader checks all that it says, and a mapping never reaches beyond the blob.

mod node;

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_erofs::{Image, ReadError, Source, SourceError};

use crate::Errno;
use crate::platform::{Blob, Machine};
use crate::vfs::{Filesystem, Inode, StatFs};

use node::Node;

/// EROFS_SUPER_MAGIC_V1
const MAGIC: u32 = 0xe0f5_e1e2;

/// A mounted image.
#[derive(Debug)]
pub struct Erofs {
    volume: Arc<Volume>,
    root: Arc<Node>,
}

/// What all inodes of an image share.
#[derive(Debug)]
struct Volume {
    image: Image<Bytes>,
    blob: Arc<dyn Blob>,
    machine: Arc<dyn Machine>,
}

/// A blob as the reader sees it.
#[derive(Debug)]
struct Bytes(Arc<dyn Blob>);

impl Source for Bytes {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.0.bytes().read_at(offset, buffer)
    }
}

impl Erofs {
    /// Opens the image in a blob. `EINVAL` when it is none, `EIO` when it is damaged.
    pub fn new(machine: &Arc<dyn Machine>, blob: &Arc<dyn Blob>) -> Result<Arc<Self>, Errno> {
        let image = Image::open(Bytes(blob.clone())).map_err(|_| Errno::EINVAL)?;
        let volume = Arc::new(Volume { image, blob: blob.clone(), machine: machine.clone() });
        let root = Node::new(&volume, volume.image.root().map_err(damaged)?);
        Ok(Arc::new(Self { volume, root }))
    }
}

impl Filesystem for Erofs {
    fn name(&self) -> &'static str {
        "erofs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        let blocks = (self.volume.blob.bytes().len() as u64).div_ceil(crate::vfs::PAGE_BYTES);
        Ok(StatFs { blocks, files: self.volume.image.superblock().inodes, ..StatFs::of(MAGIC) })
    }
}

/// What a damaged image looks like to an application.
fn damaged(_: ReadError) -> Errno {
    Errno::EIO
}

/// The full name and the value of an extended attribute.
type Xattr = (Vec<u8>, Vec<u8>);

/// All extended attributes.
fn xattrs(volume: &Volume, inode: &stockade_erofs::Inode) -> Result<Vec<Xattr>, Errno> {
    let all = volume.image.xattrs(inode).map_err(damaged)?;
    all.map(|attribute| attribute.map(|attribute| (attribute.name, attribute.value)).map_err(damaged)).collect()
}
