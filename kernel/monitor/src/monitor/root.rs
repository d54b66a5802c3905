//! A container's file systems.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use oci_spec::runtime::{Mount, Spec};
use stockade_kernel::fs::{self, Erofs, HostDir, Overlay, TYPES, Tmpfs, TmpfsOptions, dev};
use stockade_kernel::io::Collect;
use stockade_kernel::platform::Machine;
use stockade_kernel::task::{Capabilities, Credentials, Namespaces};
use stockade_kernel::vfs::{
    Caller, File, FileKind, Filesystem, Follow, FsContext, MountFlags, MountNamespace, Name, NewKind, OpenFlags,
    OpenHow, Opened, Path,
};
use stockade_kernel::{Errno, Kernel};
use stockade_kernel_platform::HostMachine;
use stockade_sandbox::protocol::BoundFile;
use stockade_sandbox::{Error, Result};

use super::directory::Directory;
use super::masks;

/// A longer text file than this is an attack on our memory.
const TEXT_BYTES_MAX: usize = 16 << 20;

const UPPER_OPTIONS: &[u8] = b"mode=0755";

/// What the root is made of.
#[derive(Debug)]
pub(super) enum Source {
    /// Layers of an image, the lowest first, below a writable one: in this file, or in memory.
    Layers(Vec<OwnedFd>, Option<OwnedFd>),
    /// A directory of the host, behind this connection to its file server.
    FileServer(OwnedFd),
}

/// What a container sees of files.
#[derive(Debug)]
pub(super) struct Root {
    pub fs: Arc<FsContext>,
    /// What it lies on, unless that is an image.
    pub directory: Option<Arc<Directory>>,
}

/// Builds a container's mounts.
pub(super) struct Builder<'a> {
    pub kernel: &'a Arc<Kernel>,
    pub machine: &'a Arc<HostMachine>,
    pub namespaces: &'a Arc<Namespaces>,
}

impl Builder<'_> {
    /// The root, what the spec mounts in it, and files of the host.
    pub(super) fn build(&self, spec: &Spec, source: Source, files: &[BoundFile]) -> Result<Root> {
        match source {
            Source::Layers(layers, upper) => {
                let fs = self.root(self.overlay(&layers, upper)?, b"overlay");
                self.fill(&fs, spec)?;
                files.iter().try_for_each(|file| self.copy(&fs, &file.destination, file))?;
                masks::apply(self.kernel, self.namespaces, &fs, spec)?;
                restrict(&fs, spec);
                Ok(Root { fs, directory: None })
            }
            Source::FileServer(socket) => self.build_on_directory(spec, socket, files),
        }
    }

    /// Files are mounted, not copied: the directory is the host's.
    fn build_on_directory(&self, spec: &Spec, socket: OwnedFd, files: &[BoundFile]) -> Result<Root> {
        let directory = Directory::new(socket, self.machine);
        let root = HostDir::new(self.kernel.shared_machine(), directory.clone()).map_err(at("look at the root"))?;
        let fs = self.root(root, b"rootfs");
        self.fill(&fs, spec)?;
        self.bind_all(&fs, files)?;
        masks::apply(self.kernel, self.namespaces, &fs, spec)?;
        if restrict(&fs, spec).contains(MountFlags::READ_ONLY) {
            directory.seal().map_err(at("make the root read-only"))?;
        }
        Ok(Root { fs, directory: Some(directory) })
    }

    fn root(&self, filesystem: Arc<dyn Filesystem>, source: &[u8]) -> Arc<FsContext> {
        let superblock = self.kernel.vfs().superblock(filesystem);
        FsContext::new(MountNamespace::new(&superblock, MountFlags::RELATIVE_ATIME, source))
    }

    fn fill(&self, fs: &Arc<FsContext>, spec: &Spec) -> Result<()> {
        spec.mounts().iter().flatten().try_for_each(|mount| self.mount(fs, mount))
    }

    fn overlay(&self, layers: &[OwnedFd], upper: Option<OwnedFd>) -> Result<Arc<dyn Filesystem>> {
        let mut filesystems = layers.iter().map(|layer| open_layer(self.machine, layer)).collect::<Result<Vec<_>>>()?;
        filesystems.reverse();
        let overlay = Overlay::new(&filesystems, self.upper(upper)?);
        Ok(overlay.map_err(at("make the root file system"))?)
    }

    /// What is written, in a file of the host or in memory.
    fn upper(&self, file: Option<OwnedFd>) -> Result<Arc<dyn Filesystem>> {
        let Some(file) = file else { return self.tmpfs(UPPER_OPTIONS) };
        let store = self.machine.add_store(file).map_err(|error| Error::os("take the writable layer", error))?;
        let tmpfs = Tmpfs::stored(self.kernel.shared_machine(), &store, tmpfs_options(UPPER_OPTIONS)?);
        Ok(tmpfs.map_err(at("make the writable layer"))?)
    }

    /// Mounts each file on its place, which is made if it is not there.
    fn bind_all(&self, fs: &Arc<FsContext>, files: &[BoundFile]) -> Result<()> {
        let held = self.root(self.tmpfs(b"mode=0755")?, b"tmpfs");
        for (number, file) in files.iter().enumerate() {
            let copy = format!("/{number}");
            self.copy(&held, &copy, file)?;
            let place = self.make_file(fs, &file.destination)?;
            let caller = root_caller();
            let name = Name::new(&held, &caller, copy.as_bytes());
            let bound = name.find(Follow::No).and_then(|copy| fs.namespace().bind(&copy, &place));
            bound.map_err(|errno| Error::Other(format!("bind {}: {errno}", file.destination)))?;
        }
        Ok(())
    }

    /// An empty file, if nothing is there; where it is.
    fn make_file(&self, fs: &Arc<FsContext>, path: &str) -> Result<Path> {
        self.make_parent(fs, path)?;
        let caller = root_caller();
        let name = Name::new(fs, &caller, path.as_bytes());
        let place = match name.find(Follow::Yes) {
            Err(Errno::ENOENT) => {
                self.kernel.vfs().create(&name, NewKind::Regular, 0o644).and_then(|_| name.find(Follow::Yes))
            }
            found => found,
        };
        place.map_err(|errno| Error::Other(format!("make {path}: {errno}")))
    }

    fn make_parent(&self, fs: &Arc<FsContext>, path: &str) -> Result<()> {
        match path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            Some((parent, _)) => make_directories(self.kernel, fs, parent).map(drop),
            None => Ok(()),
        }
    }

    fn tmpfs(&self, options: &[u8]) -> Result<Arc<dyn Filesystem>> {
        let tmpfs = Tmpfs::new(self.kernel.shared_machine(), tmpfs_options(options)?).map_err(at("make a tmpfs"))?;
        Ok(tmpfs)
    }

    fn make(&self, kind: &str, data: &str) -> Result<Arc<dyn Filesystem>> {
        fs::make(self.kernel, self.namespaces, kind.as_bytes(), data.as_bytes())
            .map_err(|errno| Error::Other(format!("make a {kind} file system: {errno}")))
    }

    /// Mounts what needs nothing of the host; binds come as files, and what a kernel of its own lacks is left out.
    fn mount(&self, fs: &Arc<FsContext>, mount: &Mount) -> Result<()> {
        let destination = mount.destination().to_string_lossy().into_owned();
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let place = || make_directories(self.kernel, fs, &destination);
        let filesystem = match mount.typ().as_deref() {
            Some("devpts") if !TYPES.contains(&"devpts") => return Ok(()),
            Some("cgroup") => self.make("cgroup2", "")?,
            Some("bind") | None => return Ok(()),
            Some("tmpfs") => self.make("tmpfs", &with_mode_of(&place()?, &options.data)?)?,
            Some(kind) => self.make(kind, &options.data)?,
        };
        if destination == "/dev" {
            dev::populate(&filesystem.root()).map_err(at("fill /dev"))?;
        }
        let place = place()?;
        let superblock = self.kernel.vfs().superblock(filesystem);
        let source = mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()).unwrap_or_default();
        let mounted = fs.namespace().mount(&place, &superblock, options.flags, source.as_bytes());
        mounted.map(drop).map_err(|errno| Error::Other(format!("mount {destination}: {errno}")))
    }

    fn copy(&self, fs: &Arc<FsContext>, path: &str, file: &BoundFile) -> Result<()> {
        let write = || -> std::result::Result<(), Errno> {
            let caller = root_caller();
            let flags = OpenFlags::WRITE_ONLY | OpenFlags::CREATE | OpenFlags::TRUNCATE;
            let how = OpenHow { flags, permissions: file.permissions, ..OpenHow::default() };
            let Opened::File(opened) = self.kernel.vfs().open(&Name::new(fs, &caller, path.as_bytes()), &how)? else {
                return Err(Errno::EACCES);
            };
            let mut rest = file.content.as_slice();
            while !rest.is_empty() {
                opened.write(&mut rest)?;
            }
            Ok(())
        };
        self.make_parent(fs, path)?;
        write().map_err(|errno| Error::Other(format!("write {path}: {errno}")))
    }
}

fn tmpfs_options(text: &[u8]) -> Result<TmpfsOptions> {
    TmpfsOptions::parse(text).map_err(at("read the options of a tmpfs"))
}

/// Makes the root's mount read-only if the spec says so; its flags.
fn restrict(fs: &FsContext, spec: &Spec) -> MountFlags {
    let mount = fs.root().mount;
    if spec.root().as_ref().is_some_and(|root| root.readonly().unwrap_or(false)) {
        mount.set_flags(mount.flags() | MountFlags::READ_ONLY);
    }
    mount.flags()
}

/// The options of a mount: flags, and what its file system reads.
struct Options {
    flags: MountFlags,
    data: String,
}

impl Options {
    fn parse(all: &[String]) -> Self {
        let mut flags = MountFlags::empty();
        let mut data = Vec::new();
        for option in all {
            match option.as_str() {
                "ro" => flags |= MountFlags::READ_ONLY,
                "nosuid" => flags |= MountFlags::NO_SUID,
                "nodev" => flags |= MountFlags::NO_DEV,
                "noexec" => flags |= MountFlags::NO_EXEC,
                "noatime" => flags |= MountFlags::NO_ATIME,
                "nodiratime" => flags |= MountFlags::NO_DIR_ATIME,
                "strictatime" => flags |= MountFlags::STRICT_ATIME,
                "rw" => flags -= MountFlags::READ_ONLY,
                "suid" => flags -= MountFlags::NO_SUID,
                "dev" => flags -= MountFlags::NO_DEV,
                "exec" => flags -= MountFlags::NO_EXEC,
                "relatime" => {}
                data_option if data_option.contains('=') => data.push(data_option),
                _ => {}
            }
        }
        Self { flags: flags.with_default_times(), data: data.join(",") }
    }
}

/// A tmpfs for which nobody names a mode has that of the directory below it, as runc mounts it.
fn with_mode_of(place: &Path, options: &str) -> Result<String> {
    if options.split(',').any(|option| option.starts_with("mode=")) {
        return Ok(options.to_owned());
    }
    let mode = place.stat().map_err(at("read a mount point's mode"))?.mode & 0o7777;
    let separator = if options.is_empty() { "" } else { "," };
    Ok(format!("{options}{separator}mode={mode:o}"))
}

fn at(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Other(format!("{what}: {errno}"))
}

fn open_layer(machine: &Arc<HostMachine>, layer: &OwnedFd) -> Result<Arc<dyn Filesystem>> {
    let file = layer.try_clone().map_err(|error| Error::os("copy a layer's descriptor", error))?;
    let blob = machine.add_blob(file).map_err(|error| Error::os("map a layer", error))?;
    let machine: Arc<dyn Machine> = machine.clone();
    let layer = Erofs::new(&machine, &blob).map_err(at("open a layer"))?;
    Ok(layer)
}

/// The kernel itself, which may do anything.
pub(super) fn root_caller() -> Caller {
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
