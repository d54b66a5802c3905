//! `-v`, `--mount` and `--tmpfs`.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{InvalidOption, parse_size};

/// Something mounted into the container besides its root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountOption {
    /// A host path.
    Bind(BindOption),
    /// A volume that the engine keeps.
    Volume(VolumeOption),
    /// Memory.
    Tmpfs(TmpfsOption),
}

/// A host path in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindOption {
    /// The host path, absolute.
    pub source: PathBuf,
    /// Where in the container.
    pub target: PathBuf,
    /// Whether the container may write.
    pub access: Access,
    /// How mounts spread; `rprivate` when absent.
    pub propagation: Option<Propagation>,
    /// `-v` makes a missing source a directory, `--mount` refuses it.
    pub missing_source: MissingSource,
    /// `bind-nonrecursive`: leave out what is mounted below the source.
    pub nonrecursive: bool,
}

/// A volume in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeOption {
    /// Its name; absent for an anonymous one.
    pub name: Option<String>,
    /// Where in the container.
    pub target: PathBuf,
    /// Whether the container may write.
    pub access: Access,
    /// `nocopy`: leave a new volume empty, instead of filling it from the image.
    pub nocopy: bool,
}

/// Memory in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsOption {
    /// Where in the container.
    pub target: PathBuf,
    /// Options of mount(8), besides Docker's `noexec,nosuid,nodev`.
    pub options: Vec<String>,
}

/// Whether the container may write to a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Yes.
    #[default]
    ReadWrite,
    /// No.
    ReadOnly,
}

/// What to do about a bind mount's missing source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingSource {
    /// Make a directory.
    Create,
    /// Fail.
    Refuse,
}

/// Mount propagation (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "mount_namespaces(7) defines the words")]
pub enum Propagation {
    Shared,
    Rshared,
    Slave,
    Rslave,
    Private,
    Rprivate,
}

impl Propagation {
    /// The mount option's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Rshared => "rshared",
            Self::Slave => "slave",
            Self::Rslave => "rslave",
            Self::Private => "private",
            Self::Rprivate => "rprivate",
        }
    }

    /// The propagation of this name.
    fn parse(name: &str) -> Option<Self> {
        [Self::Shared, Self::Rshared, Self::Slave, Self::Rslave, Self::Private, Self::Rprivate]
            .into_iter()
            .find(|propagation| propagation.as_str() == name)
    }
}

impl MountOption {
    /// Where in the container.
    pub fn target(&self) -> &Path {
        match self {
            Self::Bind(bind) => &bind.target,
            Self::Volume(volume) => &volume.target,
            Self::Tmpfs(tmpfs) => &tmpfs.target,
        }
    }

    /// `-v [SOURCE:]TARGET[:OPTIONS]`; a source with a `/` or a leading `.` is a host path, any other a volume.
    pub fn parse_volume(text: &str) -> Result<Self, InvalidOption> {
        let invalid = |why: &str| InvalidOption(format!("invalid volume specification: {text:?}: {why}"));
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts[..] {
            [target] => ("", target, ""),
            [source, target] => (source, target, ""),
            [source, target, options] => (source, target, options),
            _ => return Err(invalid("use [SOURCE:]TARGET[:OPTIONS]")),
        };
        if parts.contains(&"") {
            return Err(invalid("empty section between colons"));
        }
        let target = absolute_target(target).ok_or_else(|| invalid("mount path must be absolute and not '/'"))?;
        let flags = VolumeFlags::parse(options).ok_or_else(|| invalid("invalid mode"))?;
        if source.starts_with('.') || source.contains('/') {
            let source = std::path::absolute(source).map_err(|_| invalid("the source is no path"))?;
            return Ok(Self::Bind(flags.bind(source, target)));
        }
        let name = (!source.is_empty()).then(|| volume_name(source)).transpose()?;
        Ok(Self::Volume(VolumeOption { name, target, access: flags.access, nocopy: flags.nocopy }))
    }

    /// `--tmpfs TARGET[:OPTIONS]`.
    pub fn parse_tmpfs(text: &str) -> Result<Self, InvalidOption> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let target = absolute_target(target)
            .ok_or_else(|| InvalidOption(format!("invalid tmpfs: {text:?}: use an absolute path other than '/'")))?;
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        Ok(Self::Tmpfs(TmpfsOption { target, options }))
    }

    /// `--mount type=bind|volume|tmpfs,KEY=VALUE,…`.
    pub fn parse_mount(text: &str) -> Result<Self, InvalidOption> {
        let mut fields = MountFields::default();
        for field in text.split(',') {
            let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
            fields.set(&key.to_ascii_lowercase(), value, text)?;
        }
        fields.finish(text)
    }
}

/// A container path, clean: absolute, and not the root.
fn absolute_target(text: &str) -> Option<PathBuf> {
    let path = clean_target(Path::new(text));
    (text.starts_with('/') && path != Path::new("/")).then_some(path)
}

/// A container path without `.`, `..`, doubled and trailing slashes, by its text alone, as Docker cleans it: two
/// spellings of one place are one mount, and its depth says which mount comes first.
pub(crate) fn clean_target(target: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in target.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Checks a volume's name (Docker's rule, which makes it a safe path component).
pub(crate) fn volume_name(name: &str) -> Result<String, InvalidOption> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !first || name.len() < 2 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Err(InvalidOption(format!(
            "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
             If you intended to pass a host directory, use absolute path"
        )));
    }
    Ok(name.to_owned())
}

/// The third part of `-v`.
#[derive(Default)]
struct VolumeFlags {
    access: Access,
    propagation: Option<Propagation>,
    nocopy: bool,
}

impl VolumeFlags {
    /// Parses a list with commas.
    fn parse(options: &str) -> Option<Self> {
        let mut flags = Self::default();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => flags.access = Access::ReadOnly,
                "nocopy" => flags.nocopy = true,
                // Relabelling and macOS cache hints: nothing to do here.
                "rw" | "z" | "Z" | "cached" | "consistent" | "delegated" => {}
                other => flags.propagation = Some(Propagation::parse(other)?),
            }
        }
        Some(flags)
    }

    /// The bind mount that these flags make.
    fn bind(self, source: PathBuf, target: PathBuf) -> BindOption {
        BindOption {
            source,
            target,
            access: self.access,
            propagation: self.propagation,
            missing_source: MissingSource::Create,
            nonrecursive: false,
        }
    }
}

/// `--mount` in the making.
#[derive(Default)]
struct MountFields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<PathBuf>,
    access: Access,
    propagation: Option<Propagation>,
    nonrecursive: bool,
    nocopy: bool,
    tmpfs: Vec<String>,
}

impl MountFields {
    /// Takes one `KEY[=VALUE]`.
    fn set(&mut self, key: &str, value: Option<&str>, whole: &str) -> Result<(), InvalidOption> {
        let invalid = |why: &str| InvalidOption(format!("invalid argument {whole:?} for --mount: {why}"));
        let needed = || value.ok_or_else(|| invalid(&format!("invalid field '{key}' must be a key=value pair")));
        let flag = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(invalid(&format!("invalid value for {key}: {other}"))),
        };
        match key {
            "type" => self.kind = Some(needed()?.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(needed()?.to_owned()),
            "target" | "dst" | "destination" => {
                let target = absolute_target(needed()?);
                self.target = Some(target.ok_or_else(|| invalid("mount path must be absolute and not '/'"))?);
            }
            "readonly" | "ro" => self.access = if flag()? { Access::ReadOnly } else { Access::ReadWrite },
            "bind-propagation" => {
                let propagation = Propagation::parse(needed()?);
                self.propagation = Some(propagation.ok_or_else(|| invalid("unknown bind propagation"))?);
            }
            "bind-nonrecursive" => self.nonrecursive = flag()?,
            "volume-nocopy" => self.nocopy = flag()?,
            "tmpfs-size" => self.tmpfs.push(format!("size={}", parse_size(needed()?)?)),
            "tmpfs-mode" => self.tmpfs.push(format!("mode={}", needed()?)),
            "consistency" => {}
            _ => return Err(invalid(&format!("unexpected key '{key}'"))),
        }
        Ok(())
    }

    /// Checks the whole.
    fn finish(self, whole: &str) -> Result<MountOption, InvalidOption> {
        let invalid = |why: &str| InvalidOption(format!("invalid argument {whole:?} for --mount: {why}"));
        let target = self.target.ok_or_else(|| invalid("target is required"))?;
        match self.kind.as_deref().unwrap_or("volume") {
            "bind" => {
                let source = self.source.ok_or_else(|| invalid("source is required"))?;
                let source = std::path::absolute(source).map_err(|_| invalid("the source is no path"))?;
                Ok(MountOption::Bind(BindOption {
                    source,
                    target,
                    access: self.access,
                    propagation: self.propagation,
                    missing_source: MissingSource::Refuse,
                    nonrecursive: self.nonrecursive,
                }))
            }
            "volume" => {
                let name = self.source.as_deref().map(volume_name).transpose()?;
                Ok(MountOption::Volume(VolumeOption { name, target, access: self.access, nocopy: self.nocopy }))
            }
            "tmpfs" if self.source.is_some() => Err(invalid("cannot mix source and type tmpfs")),
            "tmpfs" => {
                let mut options = self.tmpfs;
                options.extend((self.access == Access::ReadOnly).then(|| "ro".to_owned()));
                Ok(MountOption::Tmpfs(TmpfsOption { target, options }))
            }
            other => Err(invalid(&format!("unknown mount type '{other}': use bind, volume or tmpfs"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, target: &str) -> BindOption {
        VolumeFlags::default().bind(source.into(), target.into())
    }

    fn volume(name: Option<&str>, target: &str) -> VolumeOption {
        let name = name.map(str::to_owned);
        VolumeOption { name, target: target.into(), access: Access::ReadWrite, nocopy: false }
    }

    #[test]
    fn volumes() {
        let check = |text: &str, expected: Option<MountOption>| {
            assert_eq!(MountOption::parse_volume(text).ok(), expected, "{text:?}");
        };
        check("/data", Some(MountOption::Volume(volume(None, "/data"))));
        check("db:/data", Some(MountOption::Volume(volume(Some("db"), "/data"))));
        check("/a:/b", Some(MountOption::Bind(bind("/a", "/b"))));
        check("/a:/b:ro", Some(MountOption::Bind(BindOption { access: Access::ReadOnly, ..bind("/a", "/b") })));
        let shared =
            BindOption { propagation: Some(Propagation::Rshared), access: Access::ReadOnly, ..bind("/a", "/b") };
        check("/a:/b:ro,rshared,z", Some(MountOption::Bind(shared)));
        check("db:/d:nocopy", Some(MountOption::Volume(VolumeOption { nocopy: true, ..volume(Some("db"), "/d") })));
        check("db:/x//./../data/", Some(MountOption::Volume(volume(Some("db"), "/data"))));
        for bad in [
            "",
            "/",
            ":",
            ":/x",
            "/x:",
            "db:/x:",
            "/x/..",
            "a:b",
            "db:/",
            "/a:/b:bogus",
            "/a:/b:ro:x",
            "..:/x:y",
            "-x:/y",
            "x:/y",
            "a b:/c",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn mounts() {
        let check = |text: &str, expected: Option<MountOption>| {
            assert_eq!(MountOption::parse_mount(text).ok(), expected, "{text:?}");
        };
        let refuse = |bind: BindOption| MountOption::Bind(BindOption { missing_source: MissingSource::Refuse, ..bind });
        check("type=bind,source=/a,target=/b", Some(refuse(bind("/a", "/b"))));
        let read_only = BindOption { access: Access::ReadOnly, ..bind("/a", "/b") };
        check("type=bind,src=/a,dst=/b,readonly", Some(refuse(read_only)));
        check("src=db,dst=/data", Some(MountOption::Volume(volume(Some("db"), "/data"))));
        check("type=volume,dst=/data", Some(MountOption::Volume(volume(None, "/data"))));
        let options = vec!["size=1048576".to_owned(), "mode=1777".to_owned()];
        let tmpfs = TmpfsOption { target: "/t".into(), options };
        check("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777", Some(MountOption::Tmpfs(tmpfs)));
        for bad in [
            "",
            "type=bind,src=/a",
            "type=bind,dst=/a",
            "type=x,dst=/a",
            "type=bind,src=/a,dst=b",
            "dst=/a,zz=1",
            "type=tmpfs,src=/a,dst=/b",
            "type=bind,src=/a,dst=/b,readonly=maybe",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn tmpfs() {
        let parsed = MountOption::parse_tmpfs("/run:rw,size=64k").ok();
        let options = vec!["rw".to_owned(), "size=64k".to_owned()];
        assert_eq!(parsed, Some(MountOption::Tmpfs(TmpfsOption { target: "/run".into(), options })));
        assert!(MountOption::parse_tmpfs("run").is_err());
    }
}
