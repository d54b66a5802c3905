//! What the lab's kernel starts from: busybox, the modules that the root needs, and `lab/init`. Kept under the hash of
//! all that goes into it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use stockade_vm_kernel::cpio::Archive;
use stockade_vm_kernel::{Modules, drivers};

const INIT: &str = include_str!("../init");
const BUSYBOX: &str = "/bin/busybox";

/// What must be there before the root is: KVM, the overlay, and what tests use without asking for it.
const MODULES: &[&str] = &["kvm-amd", "overlay", "loop", "erofs", "tun"];

/// Archives of older inputs are removed when nobody can be starting from them any more.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The archive for the modules of one kernel, in the folder `cache`.
pub(crate) fn cached(cache: &Path, modules: &Path) -> io::Result<PathBuf> {
    let bytes = build(modules)?;
    let name = format!("initramfs-{}.cpio", hex(&Sha256::digest(&bytes)[..8]));
    let path = cache.join(&name);
    if !path.exists() {
        remove_old(cache);
        let mut file = tempfile::NamedTempFile::new_in(cache)?;
        file.write_all(&bytes)?;
        file.persist(&path).map_err(|error| error.error)?;
    }
    Ok(path)
}

fn build(modules: &Path) -> io::Result<Vec<u8>> {
    let modules = Modules::open(modules)?;
    let mut archive = Archive::new(Vec::new());
    ["bin", "dev", "modules"].iter().try_for_each(|dir| archive.directory(dir))?;
    archive.device("dev/console", 5, 1)?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    archive.file("bin/busybox", 0o755, &fs::read(BUSYBOX)?)?;
    drivers::add(&mut archive, &modules, MODULES)?;
    archive.finish()
}

fn remove_old(cache: &Path) {
    let is_old = |path: &Path| {
        let changed = path.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::now());
        changed.elapsed().is_ok_and(|age| age > KEPT)
    };
    let entries = fs::read_dir(cache).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "cpio") && path.to_string_lossy().contains("/initramfs-")
    };
    entries.filter(ours).filter(|path| is_old(path)).for_each(|path| drop(fs::remove_file(path)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
