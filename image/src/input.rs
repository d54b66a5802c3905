//! Files that people name, standard input among them.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

/// A file or a directory to read images or root file systems from.
#[derive(Debug)]
pub enum Input {
    /// By its name.
    Path(PathBuf),
    /// What came on standard input, in a regular file without a name of its own.
    Stdin(File),
}

impl Input {
    pub(crate) fn is_dir(&self) -> io::Result<bool> {
        match self {
            Self::Path(path) => Ok(fs::metadata(path)?.is_dir()),
            Self::Stdin(_) => Ok(false),
        }
    }

    /// The file, at its beginning.
    pub(crate) fn open(&self) -> io::Result<File> {
        let mut file = match self {
            Self::Path(path) => return File::open(path),
            Self::Stdin(file) => file.try_clone()?,
        };
        file.rewind().map(|()| file)
    }

    /// As messages name it.
    pub(crate) fn shown(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Stdin(_) => Path::new("standard input"),
        }
    }

    /// The last part of its name, as Docker has it in an import's history: `-` for standard input.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Path(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            Self::Stdin(_) => "-".into(),
        }
    }
}
