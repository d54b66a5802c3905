//! Where kernels are kept: `kernels/NAME/` below the engine's root, with `image`, `modules.cpio` where the drivers are
//! modules, and `kernel.json`.
//!
//! A kernel is made in a directory `.new-*` and renamed under the lock; who takes the lock removes what the killed
//! left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::drivers;
use crate::image::{Format, Image, ImageError};
use crate::modules::Modules;
use crate::name::Name;

const IMAGE: &str = "image";
const MODULES: &str = "modules.cpio";
const RECORD: &str = "kernel.json";
const NEW: &str = ".new-";

/// The store of guest kernels.
#[derive(Debug, Clone)]
pub struct Kernels {
    dir: PathBuf,
}

/// A kept kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: Name,
    /// The file that the machine loads.
    pub image: PathBuf,
    /// The archive of its drivers, see [`drivers`].
    pub modules: Option<PathBuf>,
    /// How it is packed.
    pub format: Format,
    /// Its release, where its file tells it.
    pub release: Option<String>,
    /// `sha256:` and the digest of the image.
    pub digest: String,
    /// The image's size.
    pub size_bytes: u64,
    /// When it was imported, in seconds since 1970.
    pub imported_s: u64,
}

/// What `kernel.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: Format,
    release: Option<String>,
    digest: String,
    size_bytes: u64,
    imported_s: u64,
}

/// Why kernels cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The directory cannot be read.
    #[error("list {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A kernel's record cannot be read.
    #[error("read {}: remove this kernel and import it again", .0.display())]
    Record(PathBuf, #[source] io::Error),
}

/// Why a kernel cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nobody imported it.
    #[error(
        "no guest kernel is named {name} in {dir}: import one with `stockade vm kernel import --name {name} FILE`; \
         FILE is what `cargo xtask guest-kernel` builds, or any vmlinux or bzImage for KVM guests (with \
         `--modules DIR` where its virtio drivers are modules, as in Debian's linux-image-cloud-amd64)",
        dir = .dir.display()
    )]
    Absent {
        /// Which.
        name: Name,
        /// Where kernels are.
        dir: PathBuf,
    },
    /// Its record is damaged.
    #[error(transparent)]
    List(#[from] ListError),
}

/// Why a kernel was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A name is given once.
    #[error("a guest kernel named {0} is there: remove it first, or use --name")]
    Exists(Name),
    /// The file cannot be read.
    #[error("read {}", .0.display())]
    Source(PathBuf, #[source] io::Error),
    /// It is no kernel of ours.
    #[error("{} is no guest kernel", .0.display())]
    NoKernel(PathBuf, #[source] ImageError),
    /// The directory of modules.
    #[error("{} is no directory of modules, as /lib/modules/RELEASE is after depmod", .0.display())]
    Modules(PathBuf, #[source] io::Error),
    /// The store.
    #[error("write to {}", .0.display())]
    Store(PathBuf, #[source] io::Error),
}

/// Why a kernel was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is none.
    #[error("no guest kernel is named {0}")]
    Absent(Name),
    /// The store.
    #[error("remove {}", .0.display())]
    Store(PathBuf, #[source] io::Error),
}

impl Kernels {
    /// The store below the engine's root. It is made by the first import.
    pub fn of(root: &Path) -> Self {
        Self { dir: root.join("kernels") }
    }

    /// All kernels by name.
    pub fn list(&self) -> Result<Vec<Kernel>, ListError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ListError::Read(self.dir.clone(), error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut kernels: Vec<Kernel> =
            names.filter_map(|name| self.read(name).transpose()).collect::<Result<_, _>>()?;
        kernels.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(kernels)
    }

    /// One kernel.
    pub fn find(&self, name: &Name) -> Result<Kernel, FindError> {
        let absent = || FindError::Absent { name: name.clone(), dir: self.dir.clone() };
        self.read(name.clone())?.ok_or_else(absent)
    }

    /// Keeps a copy of a kernel, and of its drivers where they are modules.
    pub fn import(&self, name: &Name, image: &Path, modules: Option<&Path>) -> Result<Kernel, ImportError> {
        let bytes = fs::read(image).map_err(|error| ImportError::Source(image.to_owned(), error))?;
        let facts = Image::recognise(&bytes).map_err(|error| ImportError::NoKernel(image.to_owned(), error))?;
        let drivers = modules.map(archive).transpose()?;
        self.keep(name, &bytes, facts, drivers.as_deref())?;
        match self.find(name) {
            Ok(kernel) => Ok(kernel),
            Err(error) => Err(ImportError::Store(self.dir.clone(), io::Error::other(error))),
        }
    }

    /// Removes a kernel; machines that run go on.
    pub fn remove(&self, name: &Name) -> Result<(), RemoveError> {
        let place = self.dir.join(name.as_str());
        let failed = |error| RemoveError::Store(place.clone(), error);
        if !place.exists() {
            return Err(RemoveError::Absent(name.clone()));
        }
        let _lock = self.lock().map_err(failed)?;
        // Gone at once; the rest is the next command's to remove if this one is killed.
        let gone = self.dir.join(format!("{NEW}{}", std::process::id()));
        fs::rename(&place, &gone).and_then(|()| fs::remove_dir_all(&gone)).map_err(failed)
    }

    fn keep(&self, name: &Name, image: &[u8], facts: Image, drivers: Option<&[u8]>) -> Result<(), ImportError> {
        let failed = |error| ImportError::Store(self.dir.clone(), error);
        fs::create_dir_all(&self.dir).map_err(failed)?;
        let _lock = self.lock().map_err(failed)?;
        let place = self.dir.join(name.as_str());
        if place.exists() {
            return Err(ImportError::Exists(name.clone()));
        }
        let new = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.dir).map_err(failed)?;
        fill(new.path(), image, facts, drivers).map_err(failed)?;
        fs::rename(new.path(), &place).map_err(failed)
    }

    /// Holds others off and clears up after the killed.
    fn lock(&self) -> io::Result<File> {
        let lock = File::create(self.dir.join(".lock"))?;
        lock.lock()?;
        for entry in fs::read_dir(&self.dir)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(NEW) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(lock)
    }

    fn read(&self, name: Name) -> Result<Option<Kernel>, ListError> {
        let place = self.dir.join(name.as_str());
        let path = place.join(RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !place.exists() => return Ok(None),
            Err(error) => return Err(ListError::Record(path, error)),
        };
        let record: Record = serde_json::from_str(&text).map_err(|error| ListError::Record(path, error.into()))?;
        Ok(Some(record.into_kernel(name, &place)))
    }
}

impl Record {
    fn into_kernel(self, name: Name, place: &Path) -> Kernel {
        let Self { format, release, digest, size_bytes, imported_s } = self;
        let modules = Some(place.join(MODULES)).filter(|path| path.exists());
        Kernel { name, image: place.join(IMAGE), modules, format, release, digest, size_bytes, imported_s }
    }
}

fn archive(dir: &Path) -> Result<Vec<u8>, ImportError> {
    let archive = Modules::open(dir).and_then(|modules| drivers::initramfs(&modules));
    archive.map_err(|error| ImportError::Modules(dir.to_owned(), error))
}

fn fill(dir: &Path, image: &[u8], facts: Image, drivers: Option<&[u8]>) -> io::Result<()> {
    let hex: String = Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let record = Record {
        format: facts.format,
        release: facts.release,
        digest: format!("sha256:{hex}"),
        size_bytes: u64::try_from(image.len()).unwrap_or(u64::MAX),
        imported_s: now,
    };
    fs::write(dir.join(IMAGE), image)?;
    if let Some(drivers) = drivers {
        fs::write(dir.join(MODULES), drivers)?;
    }
    fs::write(dir.join(RECORD), serde_json::to_vec_pretty(&record)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::vmlinux;

    fn store() -> (tempfile::TempDir, Kernels, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vmlinux");
        fs::write(&file, vmlinux("6.12.1")).unwrap();
        let kernels = Kernels::of(dir.path());
        (dir, kernels, file)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_imported_is_found_and_listed() {
        let (_dir, kernels, file) = store();
        assert_eq!(kernels.list().unwrap(), []);
        let kernel = kernels.import(&name("b"), &file, None).unwrap();
        kernels.import(&name("a"), &file, None).unwrap();
        assert_eq!((kernel.release.as_deref(), kernel.modules.as_ref()), (Some("6.12.1"), None));
        assert_eq!(fs::read(&kernel.image).unwrap(), vmlinux("6.12.1"));
        assert_eq!(kernel.digest.len(), "sha256:".len() + 64);
        let names: Vec<_> = kernels.list().unwrap().into_iter().map(|kernel| kernel.name).collect();
        assert_eq!(names, [name("a"), name("b")]);
        assert!(matches!(kernels.import(&name("a"), &file, None), Err(ImportError::Exists(_))));
        kernels.remove(&name("a")).unwrap();
        assert!(matches!(kernels.remove(&name("a")), Err(RemoveError::Absent(_))));
    }

    #[test]
    fn an_absent_kernel_is_an_error_with_the_remedy() {
        let (_dir, kernels, _) = store();
        let error = kernels.find(&Name::default()).unwrap_err().to_string();
        assert!(error.contains("stockade vm kernel import --name default FILE"), "{error}");
        assert!(error.contains("cargo xtask guest-kernel") && error.contains("linux-image-cloud-amd64"), "{error}");
    }

    #[test]
    fn what_is_no_kernel_leaves_nothing() {
        let (dir, kernels, file) = store();
        let other = dir.path().join("other");
        fs::write(&other, "text").unwrap();
        assert!(matches!(kernels.import(&name("x"), &other, None), Err(ImportError::NoKernel(..))));
        assert!(matches!(kernels.import(&name("x"), &dir.path().join("none"), None), Err(ImportError::Source(..))));
        let error = kernels.import(&name("x"), &file, Some(dir.path())).unwrap_err();
        assert!(matches!(error, ImportError::Modules(..)), "{error}");
        assert_eq!(kernels.list().unwrap(), []);
    }

    #[test]
    fn modules_become_an_archive_in_their_order() {
        let (dir, kernels, file) = store();
        let modules = dir.path().join("modules");
        fs::create_dir(&modules).unwrap();
        fs::write(
            modules.join("modules.builtin"),
            "kernel/virtio_mmio.ko\nkernel/overlay.ko\nkernel/erofs.ko\nkernel/ext4.ko\n",
        )
        .unwrap();
        let dep = "virtio_blk.ko.xz:\nvmw_vsock_virtio_transport.ko.xz: vsock.ko.xz\nvsock.ko.xz:\nother.ko.xz:\n";
        fs::write(modules.join("modules.dep"), dep).unwrap();
        for module in ["virtio_blk", "vsock", "vmw_vsock_virtio_transport"] {
            fs::write(modules.join(format!("{module}.ko.xz")), module).unwrap();
        }
        let kernel = kernels.import(&name("debian"), &file, Some(&modules)).unwrap();
        let archive = fs::read(kernel.modules.unwrap()).unwrap();
        let order = "virtio_blk.ko.xz\nvsock.ko.xz\nvmw_vsock_virtio_transport.ko.xz\n";
        assert!(archive.windows(order.len()).any(|part| part == order.as_bytes()));
        fs::write(modules.join("modules.builtin"), "").unwrap();
        let error = kernels.import(&name("bare"), &file, Some(&modules)).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("virtio_mmio"), "{error}");
    }

    #[test]
    fn what_a_killed_import_left_goes_with_the_next() {
        let (_dir, kernels, file) = store();
        let left = kernels.dir.join(format!("{NEW}x"));
        fs::create_dir_all(left.join("deep")).unwrap();
        assert_eq!(kernels.list().unwrap(), []);
        kernels.import(&name("a"), &file, None).unwrap();
        assert!(!left.exists());
    }
}
