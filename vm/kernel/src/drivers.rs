//! The initramfs of a kernel whose drivers are modules: `modules/`, and in `modules/order` their names, one a line, in
//! the order in which the guest's first process loads them. A module may be compressed, as its name tells: the kernel
//! unpacks it (finit_module(2), MODULE_INIT_COMPRESSED_FILE).

use std::io;

use crate::cpio::Archive;
use crate::modules::Modules;

/// The drivers of our machine's devices, and the file systems of a container's root.
pub const NAMES: &[&str] = &[
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "vmw_vsock_virtio_transport",
    "virtio_balloon",
    "virtio_rng",
    "virtiofs",
    "overlay",
    "erofs",
    "ext4",
    "vmgenid",
    "ptp_kvm",
];

/// Those without which no container starts: they are modules, or built in.
const NEEDED: &[&str] = &["virtio_mmio", "virtio_blk", "vmw_vsock_virtio_transport", "overlay", "erofs", "ext4"];

/// The archive for one kernel.
pub fn initramfs(modules: &Modules) -> io::Result<Vec<u8>> {
    if let Some(absent) = NEEDED.iter().find(|name| !modules.has(name)) {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("the kernel has no module {absent}")));
    }
    let mut archive = Archive::new(Vec::new());
    archive.directory("modules")?;
    add(&mut archive, modules, NAMES)?;
    archive.finish()
}

/// Adds modules and their order to the archive's `modules`.
pub fn add(archive: &mut Archive<Vec<u8>>, modules: &Modules, names: &[&str]) -> io::Result<()> {
    let mut order = String::new();
    for path in modules.load_order(names) {
        let name = path.rsplit('/').next().unwrap_or(&path);
        archive.file(&format!("modules/{name}"), 0o644, &modules.read(&path)?)?;
        order += &format!("{name}\n");
    }
    archive.file("modules/order", 0o644, order.as_bytes())
}
