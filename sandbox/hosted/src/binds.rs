//! Bind mounts of a spec: files of the host are copied into the container, since the kernel
//! that serves it opens no path of the host.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use stockade_sandbox::protocol::BoundFile;
use stockade_sandbox::{Error, IsolationClass, Result};

/// All files of one container together; what programs bind as single files are settings and secrets.
const BYTES_MAX: u64 = 1 << 20;

/// Reads the files that a spec binds. A directory is refused.
pub fn read_all(class: IsolationClass, spec: &Spec, bundle: &Path) -> Result<Vec<BoundFile>> {
    read(class, spec.mounts().iter().flatten().filter(|mount| is_bind(mount)), bundle)
}

/// The same for some of them.
pub fn read<'a>(
    class: IsolationClass,
    binds: impl IntoIterator<Item = &'a Mount>,
    bundle: &Path,
) -> Result<Vec<BoundFile>> {
    let mut left = BYTES_MAX;
    binds.into_iter().map(|mount| read_one(class, mount, bundle, &mut left)).collect()
}

/// Whether a mount of a spec shows a path of the host.
pub fn is_bind(mount: &Mount) -> bool {
    let bound = |option: &String| option == "bind" || option == "rbind";
    mount.typ().as_deref() == Some("bind") || mount.options().iter().flatten().any(bound)
}

fn read_one(class: IsolationClass, mount: &Mount, bundle: &Path, left: &mut u64) -> Result<BoundFile> {
    let destination = mount.destination().to_string_lossy().into_owned();
    let source = mount.source().as_ref().ok_or_else(|| Error::InvalidConfig(format!("{destination} has no source")))?;
    let source = bundle.join(source);
    let failed = |error| Error::os(format!("open {} for {destination}", source.display()), error);
    let file = File::open(&source).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(refused(class, &destination, "it is no regular file, and this class has no host volumes yet"));
    }
    if meta.len() > *left {
        return Err(refused(class, &destination, "files beyond 1 MiB in all are not copied into a container"));
    }
    let mut content = Vec::new();
    file.take(*left).read_to_end(&mut content).map_err(failed)?;
    *left -= content.len() as u64;
    Ok(BoundFile { destination, content, permissions: meta.mode() & 0o7777 })
}

fn refused(class: IsolationClass, destination: &str, why: &str) -> Error {
    Error::Unsupported {
        class,
        what: format!("bind a host path at {destination}"),
        why: format!("{why}; use --isolation native"),
    }
}
