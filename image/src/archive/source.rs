//! What `oci:`, `oci-archive:` and `docker-archive:` name, opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::index::TarIndex;
use crate::decode::{self, Compression};

/// The kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OciLayout,
    OciArchive,
    DockerArchive,
}

/// A source as people write it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceName {
    pub kind: Kind,
    pub path: PathBuf,
    pub tag: Option<String>,
}

impl SourceName {
    /// A colon begins a tag, unless the whole is a file that exists.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let kind = match kind {
            "oci" => Kind::OciLayout,
            "oci-archive" => Kind::OciArchive,
            "docker-archive" => Kind::DockerArchive,
            _ => return None,
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) if !Path::new(rest).exists() && !tag.is_empty() => (path, Some(tag.to_owned())),
            _ => (rest, None),
        };
        (!path.is_empty()).then(|| Self { kind, path: path.into(), tag })
    }
}

/// Files by name: a directory that follows the OCI layout, or an archive.
#[derive(Debug)]
pub enum Files {
    Directory(PathBuf),
    Archive(TarIndex),
}

impl Files {
    /// Opens a source. A compressed archive is decompressed into an unlinked file in `tmp`, up to `bytes_max`.
    pub fn open(name: &SourceName, tmp: &Path, bytes_max: u64) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        if name.kind == Kind::OciLayout {
            let is_dir = fs::metadata(&name.path).map_err(text)?.is_dir();
            return if is_dir { Ok(Self::Directory(name.path.clone())) } else { Err("it is not a directory".into()) };
        }
        let file = File::open(&name.path).map_err(text)?;
        let file = plain(file, tmp, bytes_max).map_err(text)?;
        TarIndex::read(file).map(Self::Archive).map_err(|error| error.to_string())
    }

    /// A file and its length; `None` if there is none. In a directory, `name` must come from a digest or be one of
    /// OCI's own.
    pub fn file(&self, name: &str) -> io::Result<Option<(Box<dyn Read + '_>, u64)>> {
        match self {
            Self::Archive(index) => {
                Ok(index.open(name).map(|(section, bytes)| (Box::new(section) as Box<dyn Read>, bytes)))
            }
            Self::Directory(dir) => match regular_file(&dir.join(name)) {
                Ok(file) => {
                    let bytes = file.metadata()?.len();
                    Ok(Some((Box::new(file), bytes)))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The whole of a small file; longer ones are cut at one byte more than `max`.
    pub fn read(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, _)) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// A FIFO or a device in the place of a blob would hang us.
fn regular_file(path: &Path) -> io::Result<File> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

fn plain(mut file: File, tmp: &Path, bytes_max: u64) -> io::Result<File> {
    let mut head = Vec::new();
    (&file).take(6).read_to_end(&mut head)?;
    file.rewind()?;
    if Compression::of(&head) == Compression::None {
        return Ok(file);
    }
    let mut spool = OpenOptions::new().read(true).write(true).mode(0o600).open_unlinked(tmp)?;
    let copied = io::copy(&mut decode::decoder(BufReader::new(file))?.take(bytes_max + 1), &mut spool)?;
    if copied > bytes_max {
        return Err(io::Error::other(format!("it unpacks to more than {bytes_max} bytes, the limit layer_bytes_max")));
    }
    Ok(spool)
}

/// `O_TMPFILE`.
trait OpenUnlinked {
    fn open_unlinked(&self, dir: &Path) -> io::Result<File>;
}

impl OpenUnlinked for OpenOptions {
    fn open_unlinked(&self, dir: &Path) -> io::Result<File> {
        let flags = i32::try_from(rustix::fs::OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
        self.clone().custom_flags(flags).open(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Kind, &str, Option<&str>)>) {
        let expected =
            expected.map(|(kind, path, tag)| SourceName { kind, path: path.into(), tag: tag.map(str::to_owned) });
        assert_eq!(SourceName::parse(text), expected, "{text}");
    }

    #[test]
    fn sources_are_named_as_skopeo_names_them() {
        check("oci:/x/layout", Some((Kind::OciLayout, "/x/layout", None)));
        check("oci:/x/layout:tag", Some((Kind::OciLayout, "/x/layout", Some("tag"))));
        check(
            "oci-archive:a.tar:docker.io/library/x:1",
            Some((Kind::OciArchive, "a.tar", Some("docker.io/library/x:1"))),
        );
        check("docker-archive:a.tar", Some((Kind::DockerArchive, "a.tar", None)));
        check("dir:/x", None);
        check("oci:", None);
        check("/x", None);
    }
}
