//! A file that gets its name when it is complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::tag;

/// A guest's memory is nobody else's business.
const MODE: u32 = 0o600;

/// The file, beside the one that it will replace. It goes if it is not finished.
#[derive(Debug)]
pub struct Pending {
    file: File,
    aside: PathBuf,
    path: PathBuf,
}

impl Pending {
    /// An empty file that will be at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut aside = OsString::from(".");
        aside.push(name);
        // A name that nobody can have put a link at.
        aside.push(format!(".{:032x}.partial", u128::from_ne_bytes(tag::random()?)));
        let aside = path.with_file_name(aside);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(&aside)?;
        Ok(Pending { file, aside, path: path.into() })
    }

    /// To write.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Waits until all is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name.
    pub fn finish(self) -> io::Result<()> {
        fs::rename(&self.aside, &self.path)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Not there any more once it was finished.
        let _ = fs::remove_file(&self.aside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).expect("list").map(|entry| entry.expect("entry").file_name()).collect()
    }

    #[test]
    fn only_a_finished_file_has_its_name() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("memory");
        fs::write(&path, "old").expect("write");
        let pending = Pending::create(&path).expect("create");
        pending.file().write_all(b"half").expect("write");
        drop(pending);
        assert_eq!((names(directory.path()), fs::read(&path).expect("read")), (vec!["memory".into()], b"old".to_vec()));
        let pending = Pending::create(&path).expect("create");
        pending.file().write_all(b"new").expect("write");
        pending.sync().and_then(|()| pending.finish()).expect("rename");
        assert_eq!((names(directory.path()), fs::read(&path).expect("read")), (vec!["memory".into()], b"new".to_vec()));
    }
}
