//! What a file system holds, as seen by the kernel and by our reader.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use sha2::{Digest, Sha256};
use stockade_erofs::{Image, Inode, Source, format::FileKind};
use stockade_image::layer::{ConvertError, Converted, FileSource, Limits, convert};

/// Everything that may be said about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, i64),
    pub nlink: u64,
    /// Of files and symbolic links.
    pub size: u64,
    pub device: Option<(u32, u32)>,
    pub target: Option<Vec<u8>>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Hash of a file's content.
    pub content: Option<[u8; 32]>,
    /// Inode number, for comparing hard links.
    pub ino: u64,
}

/// Facts by path, the root as the empty path.
pub type Tree = BTreeMap<PathBuf, Facts>;

/// An image in an unlinked file.
pub struct Blob {
    pub file: File,
    pub converted: Converted,
}

/// Converts a tar.
pub fn try_convert(tar: &[u8], limits: &Limits) -> Result<Blob, ConvertError> {
    let file = tempfile::tempfile().unwrap();
    let converted = convert(tar, &file, limits)?;
    Ok(Blob { file, converted })
}

/// Converts a tar and checks that all oracles agree on the image.
pub fn checked(tar: &[u8]) -> (Blob, Tree) {
    let blob = try_convert(tar, &Limits::default()).unwrap_or_else(|error| panic!("{error:?}"));
    let tree = agreed(&blob.file);
    (blob, tree)
}

/// What an image holds, if all oracles agree on it.
pub fn agreed(blob: &File) -> Tree {
    fsck(blob, &[]);
    let ours = by_reader(FileSource(blob.try_clone().unwrap()));
    let mount = mount(blob);
    let kernels = by_kernel(&root(&mount));
    assert_same(&ours, &kernels);
    ours
}

/// Compares two trees, naming the first path that differs.
pub fn assert_same(left: &Tree, right: &Tree) {
    for (path, facts) in left {
        assert_eq!(Some(facts), right.get(path), "{path:?} differs");
    }
    assert_eq!(left.len(), right.len(), "{:?}", right.keys().find(|path| !left.contains_key(*path)));
}

/// Runs fsck.erofs on the image, which has no name but its descriptor's.
pub fn fsck(blob: &File, options: &[&str]) {
    let path = format!("/proc/{}/fd/{}", std::process::id(), blob.as_raw_fd());
    let output = Command::new("fsck.erofs").args(options).arg(path).output().expect("fsck.erofs is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

/// A detached mount of an image, gone with its descriptor.
pub fn mount(blob: &File) -> OwnedFd {
    detached("erofs", &[("source", &format!("/proc/self/fd/{}", blob.as_raw_fd()))])
}

/// A detached, read-only mount.
pub fn detached(file_system: &str, options: &[(&str, &str)]) -> OwnedFd {
    let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value).unwrap();
    }
    fsconfig_create(&context).unwrap();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY).unwrap()
}

/// A path to the root of a detached mount.
pub fn root(mount: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/", mount.as_raw_fd()))
}

/// What the kernel shows below a directory.
pub fn by_kernel(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let full = root.join(&path);
        let facts = kernel_facts(&full, if path.as_os_str().is_empty() { fs::metadata } else { fs::symlink_metadata });
        if facts.mode & 0o170_000 == 0o040_000 {
            pending.extend(fs::read_dir(&full).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        }
        tree.insert(path, facts);
    }
    tree
}

fn kernel_facts(path: &Path, stat: impl Fn(PathBuf) -> std::io::Result<fs::Metadata>) -> Facts {
    let metadata = stat(path.to_owned()).unwrap();
    let kind = metadata.mode() & 0o170_000;
    Facts {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        nlink: metadata.nlink(),
        size: if matches!(kind, 0o100_000 | 0o120_000) { metadata.size() } else { 0 },
        device: matches!(kind, 0o020_000 | 0o060_000)
            .then(|| (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()))),
        target: (kind == 0o120_000).then(|| fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()),
        xattrs: kernel_xattrs(path),
        content: (kind == 0o100_000).then(|| hash(File::open(path).unwrap())),
        ino: metadata.ino(),
    }
}

fn kernel_xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0_u8; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0_u8; 1 << 16];
            let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

fn hash(mut file: impl Read) -> [u8; 32] {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return hasher.finalize().into(),
            bytes => hasher.update(&buffer[..bytes]),
        }
    }
}

/// What our reader shows, each name also looked up.
pub fn by_reader(source: impl Source) -> Tree {
    let image = Image::open(source).unwrap();
    let mut tree = Tree::new();
    let mut pending = vec![(PathBuf::new(), image.root().unwrap())];
    while let Some((path, inode)) = pending.pop() {
        if inode.kind() == FileKind::Directory {
            for entry in image.entries(&inode).unwrap().map(Result::unwrap) {
                assert_eq!(image.lookup(&inode, &entry.name).unwrap().as_ref(), Some(&entry));
                let child = image.inode(entry.nid).unwrap();
                assert_eq!(child.kind(), entry.kind);
                if !matches!(entry.name.as_slice(), b"." | b"..") {
                    pending.push((path.join(OsStr::from_bytes(&entry.name)), child));
                }
            }
        }
        tree.insert(path, reader_facts(&image, &inode));
    }
    tree
}

fn reader_facts<S: Source>(image: &Image<S>, inode: &Inode) -> Facts {
    let kind = inode.kind();
    Facts {
        mode: inode.mode().into(),
        uid: inode.uid(),
        gid: inode.gid(),
        mtime: (inode.mtime().0, inode.mtime().1.into()),
        nlink: inode.nlink().into(),
        size: if matches!(kind, FileKind::Regular | FileKind::Symlink) { inode.size() } else { 0 },
        device: inode.device(),
        target: (kind == FileKind::Symlink).then(|| image.read_link(inode).unwrap()),
        xattrs: image.xattrs(inode).unwrap().map(Result::unwrap).map(|xattr| (xattr.name, xattr.value)).collect(),
        content: (kind == FileKind::Regular).then(|| hash(InodeReader { image, inode, position: 0 })),
        ino: inode.nid(),
    }
}

struct InodeReader<'a, S> {
    image: &'a Image<S>,
    inode: &'a Inode,
    position: u64,
}

impl<S: Source> Read for InodeReader<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.image.read(self.inode, self.position, buffer).map_err(std::io::Error::other)?;
        self.position += bytes as u64;
        Ok(bytes)
    }
}
