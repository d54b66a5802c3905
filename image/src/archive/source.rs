//! What `oci:`, `oci-archive:` and `docker-archive:` name, opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::index::TarIndex;
use crate::decode::{self, Compression};
use crate::{Input, Reference};

/// The kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OciLayout,
    OciArchive,
    DockerArchive,
}

/// What images are loaded from.
#[derive(Debug)]
pub struct LoadSource {
    /// `None` where the content must tell.
    kind: Option<Kind>,
    input: Input,
    tag: Option<String>,
}

impl LoadSource {
    /// `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`, as skopeo names them, or a path that
    /// exists. A colon begins a tag, unless the whole is a file that exists.
    pub fn parse(text: &str) -> Option<Self> {
        let path = || Path::new(text).exists().then(|| Self::new(Input::Path(text.into())));
        Self::of_transport(text).or_else(path)
    }

    /// A layout's directory or an archive of either kind.
    pub fn new(input: Input) -> Self {
        Self { kind: None, input, tag: None }
    }

    fn of_transport(text: &str) -> Option<Self> {
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
        (!path.is_empty()).then(|| Self { kind: Some(kind), input: Input::Path(path.into()), tag })
    }

    /// The tag or name of the one image that is wanted.
    pub(crate) fn tag(&self) -> Option<&String> {
        self.tag.as_ref()
    }

    /// As messages name it.
    pub(crate) fn shown(&self) -> String {
        self.input.shown().display().to_string()
    }

    /// A repository for an image that has only a tag: `localhost/FILE`, in the letters that a repository may have.
    pub(crate) fn repository(&self) -> String {
        let path = match &self.input {
            Input::Path(path) => fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
            Input::Stdin(_) => "stdin".into(),
        };
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let whole = format!("localhost/{stem}");
        if !stem.contains([':', '@']) && whole.parse::<Reference>().is_ok() {
            return whole;
        }
        let words = stem.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        match words.collect::<Vec<_>>().join("-").as_str() {
            "" => "localhost/image".into(),
            words => format!("localhost/{words}"),
        }
    }
}

/// Files by name: a directory that follows the OCI layout, or an archive.
#[derive(Debug)]
pub enum Files {
    Directory(PathBuf),
    Archive(TarIndex),
}

impl Files {
    /// Opens a source and tells its kind. A compressed archive is decompressed into an unlinked file in `tmp`, up to
    /// `bytes_max`.
    pub fn open(source: &LoadSource, tmp: &Path, bytes_max: u64) -> Result<(Self, Kind), String> {
        let text = |error: io::Error| error.to_string();
        let is_dir = source.input.is_dir().map_err(text)?;
        match (source.kind, &source.input) {
            (None | Some(Kind::OciLayout), Input::Path(path)) if is_dir => {
                return Ok((Self::Directory(path.clone()), Kind::OciLayout));
            }
            (Some(Kind::OciLayout), _) => return Err("it is not a directory".into()),
            _ => {}
        }
        let file = plain(source.input.open().map_err(text)?, tmp, bytes_max).map_err(text)?;
        let index = TarIndex::read(file).map_err(|error| error.to_string())?;
        let kind = source.kind.or_else(|| kind_of(&index)).ok_or("it has neither index.json nor manifest.json")?;
        Ok((Self::Archive(index), kind))
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

/// An archive of `docker save` since version 25 is both; the layout in it says more.
fn kind_of(archive: &TarIndex) -> Option<Kind> {
    let has = |name| archive.open(name).is_some();
    match (has("index.json"), has("manifest.json")) {
        (true, _) => Some(Kind::OciArchive),
        (false, true) => Some(Kind::DockerArchive),
        (false, false) => None,
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
        let found = LoadSource::parse(text).map(|source| (source.kind.unwrap(), source.shown(), source.tag));
        let expected = expected.map(|(kind, path, tag)| (kind, path.to_owned(), tag.map(str::to_owned)));
        assert_eq!(found, expected, "{text}");
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

    #[test]
    fn any_file_name_gives_a_repository() {
        let check = |name: &str, expected: &str| {
            let repository = LoadSource::new(Input::Path(name.into())).repository();
            assert_eq!(repository, expected, "{name}");
            assert_eq!(repository.parse::<Reference>().unwrap().repository(), expected);
        };
        check("/x/debian-12.0_a.tar", "localhost/debian-12.0_a");
        check("/x/Image (1).tar", "localhost/image-1");
        check("/x/UPPER_.tar", "localhost/upper");
        check("/x/.a:b@c.tar", "localhost/a-b-c");
        check("/x/é.tar", "localhost/image");
        check("/", "localhost/image");
        assert_eq!(LoadSource::new(Input::Stdin(File::open("/dev/null").unwrap())).repository(), "localhost/stdin");
    }
}
