//! What catches a container's writes: a disk of its machine whose file lies in the container's directory and stays as
//! long as the container, or the machine's memory.
//!
//! The file is made once, sparse and with an empty file system (`ext4`); from then on only guests read it. Whoever
//! runs a machine on it holds its lock, which the machine's monitor inherits with the file.

mod ext4;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci_spec::runtime::{Root, Spec};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use stockade_hosted::Writable;
use stockade_sandbox::protocol::GuestUpper;
use stockade_sandbox::{Error, Result, Rootfs};

use crate::settings::{Given, UPPER};

/// Says where writes go: `memory`, or the size of the disk, such as `20g`.
const ANNOTATION: &str = "dev.stockade.vm.writable";
/// As sparse as the container leaves it.
const DEFAULT_BYTES: u64 = 10 << 30;
const FILE: &str = "disk.ext4";
/// The machine before this one may be about to end.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// What a machine gets for it.
#[derive(Debug)]
pub(super) struct Upper {
    /// For the guest's agent.
    pub guest: GuestUpper,
    /// The disk, if there is one.
    pub disk: Option<(Given, OwnedFd)>,
}

impl Upper {
    /// For a container with this root.
    pub(super) fn of(spec: &Spec, rootfs: &Rootfs) -> Result<Self> {
        let memory = Self { guest: GuestUpper::default(), disk: None };
        let (Some(bytes), Rootfs::Layers { writable, .. }) = (size(spec)?, rootfs) else { return Ok(memory) };
        let dir = &writable.dir;
        fs::create_dir_all(dir).map_err(|error| Error::os(format!("create {}", dir.display()), error))?;
        let file = open(&dir.join(FILE), bytes)?;
        let given = if writable.volatile { Given::Scratch } else { Given::Upper };
        let guest = GuestUpper { disk: UPPER.to_owned(), size_bytes: 0, volatile: writable.volatile };
        Ok(Self { guest, disk: Some((given, file.into())) })
    }
}

/// The size of the disk; none when writes go to memory, as the few on a read-only root do.
fn size(spec: &Spec) -> Result<Option<u64>> {
    Ok(match Writable::of(spec, ANNOTATION)? {
        Some(Writable::Memory) => None,
        Some(Writable::File(bytes)) => Some(bytes),
        None if spec.root().as_ref().and_then(Root::readonly) == Some(true) => None,
        None => Some(DEFAULT_BYTES),
    })
}

/// The file, made if it is not there, and locked.
fn open(path: &Path, bytes: u64) -> Result<File> {
    let failed = |error| Error::os(format!("open the writable layer {}", path.display()), error);
    if !path.exists() {
        make(path, bytes).map_err(|error| Error::os(format!("make the writable layer {}", path.display()), error))?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) => sleep(LOCK_PAUSE),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    Err(Error::Other(format!("the writable layer {} is in use by another machine", path.display())))
}

/// Complete, or not there.
fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let aside = path.with_extension("partial");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let mut uuid = [0; 16];
    getrandom(&mut uuid, GetRandomFlags::empty())?;
    // RFC 9562: version 4, variant 1.
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let made_s = u32::try_from(now).unwrap_or(u32::MAX);
    ext4::make(&file, bytes, ext4::Identity { uuid, made_s })?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use stockade_sandbox::WritableLayer;

    use super::*;

    fn check(spec: &str, expected: Option<u64>) {
        let spec: Spec = serde_json::from_str(&format!(r#"{{"ociVersion": "1.2.0", {spec}}}"#)).expect("a spec");
        assert_eq!(size(&spec).ok().flatten(), expected);
    }

    #[test]
    fn annotations_say_where_writes_go() {
        check(r#""root": {"path": "x"}"#, Some(DEFAULT_BYTES));
        check(r#""root": {"path": "x", "readonly": true}"#, None);
        check(r#""annotations": {"dev.stockade.vm.writable": "memory"}"#, None);
        check(r#""annotations": {"dev.stockade.vm.writable": "512m"}"#, Some(512 << 20));
    }

    #[test]
    fn a_disk_is_made_once_and_has_one_user() {
        let dir = tempfile::tempdir().expect("a directory");
        let spec: Spec = serde_json::from_str(r#"{"ociVersion": "1.2.0"}"#).expect("a spec");
        let writable = WritableLayer { dir: dir.path().to_owned(), volatile: false };
        let rootfs = Rootfs::Layers { blobs: Vec::new(), writable };
        let upper = Upper::of(&spec, &rootfs).expect("an upper");
        let (given, file) = upper.disk.expect("a disk");
        let file = File::from(file);
        assert_eq!((given, file.metadata().expect("a file").len()), (Given::Upper, DEFAULT_BYTES));
        let other = File::open(dir.path().join(FILE)).expect("open");
        assert_eq!(flock(&other, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        drop(file);
        let names: Vec<_> = fs::read_dir(dir.path()).expect("list").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [FILE]);
        assert!(Upper::of(&spec, &rootfs).expect("again").disk.is_some());
    }
}
