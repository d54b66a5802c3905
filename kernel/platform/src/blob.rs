//! Immutable files of the host that the kernel reads and applications map: EROFS layers.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::fstat;
use stockade_kernel::platform::{Blob, BlobId};

use crate::sys::mapping::FileView;

/// All blobs of a machine, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Blobs(Mutex<Vec<Arc<HostBlob>>>);

/// One blob.
#[derive(Debug)]
struct HostBlob {
    id: BlobId,
    file: Arc<OwnedFd>,
    view: FileView,
}

impl Blobs {
    pub(crate) fn add(&self, file: OwnedFd) -> io::Result<Arc<dyn Blob>> {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = BlobId(u32::try_from(blobs.len()).map_err(|_| io::ErrorKind::OutOfMemory)?);
        let len = usize::try_from(fstat(&file)?.st_size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let view = FileView::new(&file, len)?;
        let blob = Arc::new(HostBlob { id, file: Arc::new(file), view });
        blobs.push(blob.clone());
        Ok(blob)
    }

    pub(crate) fn get(&self, id: BlobId) -> Option<Arc<dyn Blob>> {
        Some(self.find(id)? as Arc<dyn Blob>)
    }

    pub(crate) fn file(&self, id: BlobId) -> Option<Arc<OwnedFd>> {
        Some(self.find(id)?.file.clone())
    }

    fn find(&self, id: BlobId) -> Option<Arc<HostBlob>> {
        let blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.get(usize::try_from(id.0).ok()?).cloned()
    }
}

impl Blob for HostBlob {
    fn id(&self) -> BlobId {
        self.id
    }

    fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }
}
