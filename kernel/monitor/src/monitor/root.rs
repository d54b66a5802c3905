//! A container's file systems.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use oci_spec::runtime::Spec;
use stockade_kernel::fs::{Erofs, Overlay, Tmpfs, TmpfsOptions};
use stockade_kernel::io::Collect;
use stockade_kernel::platform::Machine;
use stockade_kernel::task::{Capabilities, Credentials};
use stockade_kernel::vfs::{
    Caller, File, FileKind, Filesystem, Follow, FsContext, MountFlags, MountNamespace, Name, NewKind, OpenFlags,
    OpenHow, Opened, Path,
};
use stockade_kernel::{Errno, Kernel};
use stockade_kernel_platform::HostMachine;
use stockade_sandbox::{Error, Result};

/// A longer text file than this is an attack on our memory.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// The root, its layers, and what the spec mounts in it.
pub(super) fn build(
    kernel: &Arc<Kernel>,
    machine: &Arc<HostMachine>,
    _spec: &Spec,
    layers: &[OwnedFd],
) -> Result<Arc<FsContext>> {
    let mut lower = Vec::new();
    for layer in layers {
        lower.push(open_layer(machine, layer)?);
    }
    lower.reverse();
    let failed = |errno: Errno| Error::Other(format!("make the root file system: {errno}"));
    let machine: Arc<dyn Machine> = machine.clone();
    let upper = Tmpfs::new(&machine, TmpfsOptions { permissions: 0o755, ..TmpfsOptions::default() }).map_err(failed)?;
    let overlay = Overlay::new(&lower, upper).map_err(failed)?;
    let namespace = MountNamespace::new(&kernel.vfs().superblock(overlay), MountFlags::empty(), b"overlay");
    Ok(FsContext::new(namespace))
}

fn open_layer(machine: &Arc<HostMachine>, layer: &OwnedFd) -> Result<Arc<dyn Filesystem>> {
    let file = layer.try_clone().map_err(|error| Error::os("copy a layer's descriptor", error))?;
    let blob = machine.add_blob(file).map_err(|error| Error::os("map a layer", error))?;
    let machine: Arc<dyn Machine> = machine.clone();
    let layer = Erofs::new(&machine, &blob).map_err(|errno| Error::Other(format!("open a layer: {errno}")))?;
    Ok(layer)
}

/// The kernel itself, which may do anything.
fn root_caller() -> Caller {
    Caller::kernel(Arc::new(Credentials::root(Capabilities::all())))
}

/// A text file of the container; empty where there is none.
pub(super) fn read_text(kernel: &Kernel, fs: &FsContext, path: &str) -> Result<String> {
    match open(kernel, fs, path).and_then(|file| read(&file)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(String::new()),
        Err(errno) => Err(Error::Other(format!("read {path}: {errno}"))),
    }
}

fn open(kernel: &Kernel, fs: &FsContext, path: &str) -> std::result::Result<Arc<File>, Errno> {
    let caller = root_caller();
    let name = Name::new(fs, &caller, path.as_bytes());
    if name.find(Follow::Yes)?.inode().kind() != FileKind::Regular {
        return Err(Errno::EACCES);
    }
    match kernel.vfs().open(&name, &OpenHow::existing(OpenFlags::empty()))? {
        Opened::File(file) => Ok(file),
        Opened::Fifo(_) => Err(Errno::EACCES),
    }
}

fn read(file: &File) -> std::result::Result<Vec<u8>, Errno> {
    let mut sink = Collect::new(TEXT_BYTES_MAX);
    loop {
        let position = sink.bytes.len() as u64;
        if file.object().read(&mut sink, position)? == 0 {
            return Ok(sink.bytes);
        }
    }
}

/// Makes a directory and those above it; where it is.
pub(super) fn make_directories(kernel: &Kernel, fs: &FsContext, path: &str) -> Result<Path> {
    let caller = root_caller();
    let ends = path.match_indices('/').map(|(index, _)| index).skip(1).chain([path.len()]);
    for end in ends {
        let name = Name::new(fs, &caller, &path.as_bytes()[..end]);
        match kernel.vfs().create(&name, NewKind::Directory, 0o755) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(Error::Other(format!("make {path}: {errno}"))),
        }
    }
    let name = Name::new(fs, &caller, path.as_bytes());
    name.find(Follow::Yes).map_err(|errno| Error::Other(format!("find {path}: {errno}")))
}
