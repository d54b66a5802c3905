//! What catches a container's writes beside memory: an unlinked file of the host, in the container's writable
//! directory. It ends with the last process that has it, whoever kills that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate};
use rustix::io::Errno;
use stockade_hosted::Writable;
use stockade_sandbox::{Error, Result, Rootfs};

/// Says where writes go: `memory`, or the most bytes of a file, such as `20g`.
const ANNOTATION: &str = "dev.stockade.kernel.writable";
/// The pool has no more offsets for one.
const BYTES_MAX: u64 = 16 << 40;
/// Where a file system has no files without names.
const NAME: &str = "upper.unlinked";

/// The file, as long as what may be written; none when writes go to memory, or to a bundle's directory.
pub(super) fn of(spec: &Spec, rootfs: &Rootfs) -> Result<Option<OwnedFd>> {
    let writable = Writable::of(spec, ANNOTATION)?;
    let (Some(Writable::File(bytes)), Rootfs::Layers { writable, .. }) = (writable, rootfs) else { return Ok(None) };
    if bytes > BYTES_MAX {
        return Err(Error::InvalidConfig(format!("annotation {ANNOTATION} is {bytes} bytes: use at most 16t")));
    }
    make(&writable.dir, bytes).map(Some)
}

fn make(dir: &Path, bytes: u64) -> Result<OwnedFd> {
    let failed = |error| {
        Error::os(format!("make a file of {bytes} bytes for annotation {ANNOTATION} in {}", dir.display()), error)
    };
    fs::create_dir_all(dir).map_err(failed)?;
    let file = open(dir).map_err(failed)?;
    file.set_len(bytes).map_err(failed)?;
    match fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, 4096) {
        Ok(()) => Ok(file.into()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(Error::Other(format!(
            "the file system of {} takes back no parts of files: keep containers on ext4, XFS, Btrfs or tmpfs, or set \
             annotation {ANNOTATION} to `memory`",
            dir.display()
        ))),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// A file without a name.
fn open(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => open_and_unlink(&dir.join(NAME)),
        Err(errno) => Err(errno.into()),
    }
}

/// Whoever was killed between may have left one.
fn open_and_unlink(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use stockade_sandbox::WritableLayer;

    use super::*;

    fn file(annotations: &str, rootfs: &Rootfs) -> Result<Option<OwnedFd>> {
        let spec = format!(r#"{{"ociVersion": "1.2.0", "annotations": {{{annotations}}}}}"#);
        of(&serde_json::from_str(&spec).expect("a spec"), rootfs)
    }

    fn on(dir: PathBuf) -> Rootfs {
        Rootfs::Layers { blobs: Vec::new(), writable: WritableLayer { dir, volatile: false } }
    }

    #[test]
    fn a_layer_of_a_size_is_a_file_without_a_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("writable");
        let layers = on(place.clone());
        for annotations in ["", r#""dev.stockade.kernel.writable": "memory""#] {
            assert!(file(annotations, &layers).expect("writes to memory").is_none());
        }
        let made = file(r#""dev.stockade.kernel.writable": "3m""#, &layers).expect("a size").expect("a file");
        let facts = File::from(made).metadata().expect("facts");
        assert_eq!((facts.len(), facts.nlink(), facts.blocks(), facts.mode() & 0o777), (3 << 20, 0, 0, 0o600));
        assert_eq!(fs::read_dir(place).expect("list").count(), 0);
    }

    #[test]
    fn without_unnamed_files_the_name_is_taken_away_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        fs::write(&path, "left").expect("a file of one who was killed");
        let file = open_and_unlink(&path).expect("a file");
        assert_eq!((file.metadata().expect("facts").nlink(), path.exists()), (0, false));
    }

    #[test]
    fn a_bad_value_is_refused_on_any_root_and_a_directory_needs_no_layer() {
        let directory = Rootfs::Bundle;
        assert!(file(r#""dev.stockade.kernel.writable": "3m""#, &directory).expect("nothing to do").is_none());
        for rootfs in [directory, on(PathBuf::from("/nowhere"))] {
            let error = file(r#""dev.stockade.kernel.writable": "3""#, &rootfs).expect_err("no size").to_string();
            assert!(error.contains(ANNOTATION) && error.contains("`memory`"), "{error}");
        }
    }
}
