//! Walks the directory.

use std::{
    collections::HashMap,
    ffi::{CStr, CString, OsStr},
    fs::File,
    io::{self, ErrorKind, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    rc::Rc,
    vec,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};

use super::{
    ArchiveError,
    entry::{self, FileError},
};

/// A directory whose names are being archived.
struct Frame {
    directory: Rc<OwnedFd>,
    names: vec::IntoIter<CString>,
    /// Path below the root, with a trailing slash unless it is the root.
    path: Vec<u8>,
}

struct Walk<W> {
    out: W,
    /// First path of each file that has more than one.
    links: HashMap<(u64, u64), Vec<u8>>,
    frames: Vec<Frame>,
}

pub(super) fn walk(root: &Path, out: impl Write) -> Result<(), ArchiveError> {
    let failed = |source: io::Error| ArchiveError::Input { path: root.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, root, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let mut walk = Walk { out, links: HashMap::new(), frames: Vec::new() };
    walk.enter(directory, Vec::new()).map_err(|fault| fault.at(b"."))?;
    while let Some(frame) = walk.frames.last_mut() {
        match frame.names.next() {
            None => drop(walk.frames.pop()),
            Some(name) => {
                let path = [frame.path.as_slice(), name.to_bytes()].concat();
                walk.entry(&name, &path).map_err(|fault| fault.at(&path))?;
            }
        }
    }
    // Two zero blocks end a tar.
    walk.out.write_all(&[0; 1024]).and_then(|()| walk.out.flush()).map_err(ArchiveError::Output)
}

/// An error whose path is the caller's to say.
enum Fault {
    Input(io::Error),
    Output(io::Error),
    WhiteoutName,
}

impl From<rustix::io::Errno> for Fault {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Input(error.into())
    }
}

impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Input(error) => Self::Input(error),
            FileError::Output(error) => Self::Output(error),
        }
    }
}

impl Fault {
    fn at(self, path: &[u8]) -> ArchiveError {
        let path = PathBuf::from(OsStr::from_bytes(path));
        match self {
            Self::Output(error) => ArchiveError::Output(error),
            Self::Input(error) if error.kind() == ErrorKind::UnexpectedEof => ArchiveError::Changed(path),
            Self::Input(source) => ArchiveError::Input { path, source },
            Self::WhiteoutName => ArchiveError::WhiteoutName(path),
        }
    }
}

impl<W: Write> Walk<W> {
    fn entry(&mut self, name: &CStr, path: &[u8]) -> Result<(), Fault> {
        if name.to_bytes().starts_with(b".wh.") {
            return Err(Fault::WhiteoutName);
        }
        let Some(parent) = self.frames.last() else { return Ok(()) };
        let parent = Rc::clone(&parent.directory);
        let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return self.enter(openat(&parent, name, flags, Mode::empty())?, [path, b"/"].concat());
        }
        if stat.st_nlink > 1 && self.link(path, &stat)? {
            return Ok(());
        }
        match kind {
            FileType::Socket => Ok(()),
            FileType::RegularFile => self.file(parent.as_fd(), name, path),
            _ => self.special(parent.as_fd(), name, path, &stat, kind),
        }
    }

    /// Writes a directory's entry and goes down into it.
    fn enter(&mut self, directory: OwnedFd, path: Vec<u8>) -> Result<(), Fault> {
        let shown = if path.is_empty() { b"./".to_vec() } else { path.clone() };
        let mut header = entry::header(shown, &fstat(&directory)?);
        header.kind = b'5';
        header.xattrs = entry::xattrs(directory.as_fd(), c".").map_err(Fault::Input)?;
        header.write(&mut self.out).map_err(Fault::Output)?;
        let names = sorted_names(directory.as_fd())?.into_iter();
        self.frames.push(Frame { directory: Rc::new(directory), names, path });
        Ok(())
    }

    /// Whether the file was archived before, under a name that this one is now linked to.
    fn link(&mut self, path: &[u8], stat: &Stat) -> Result<bool, Fault> {
        let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) else {
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
            return Ok(false);
        };
        let mut header = entry::header(path.to_vec(), stat);
        header.kind = b'1';
        header.link.clone_from(first);
        header.write(&mut self.out).map_err(Fault::Output)?;
        Ok(true)
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), Fault> {
        // Without NONBLOCK a fifo that took the file's place would hang us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(parent, name, flags, Mode::empty())?);
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::Input(ErrorKind::UnexpectedEof.into()));
        }
        let mut header = entry::header(path.to_vec(), &stat);
        header.xattrs = entry::xattrs(parent, name).map_err(Fault::Input)?;
        Ok(entry::write_file(header, &file, &stat, &mut self.out)?)
    }

    fn special(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
        stat: &Stat,
        kind: FileType,
    ) -> Result<(), Fault> {
        let mut header = entry::header(path.to_vec(), stat);
        header.xattrs = entry::xattrs(parent, name).map_err(Fault::Input)?;
        header.kind = match kind {
            FileType::Symlink => b'2',
            FileType::CharacterDevice => b'3',
            FileType::BlockDevice => b'4',
            _ => b'6',
        };
        match kind {
            FileType::Symlink => header.link = readlinkat(parent, name, Vec::new())?.into_bytes(),
            FileType::CharacterDevice | FileType::BlockDevice => {
                header.device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            }
            _ => {}
        }
        header.write(&mut self.out).map_err(Fault::Output)
    }
}

fn sorted_names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Fault> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}
