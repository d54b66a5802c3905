//! Mount options: the words of config.json and what they do.

use stockade_sandbox::Result;

use crate::fail::invalid;
use crate::sys::mount::{Depth, MountAttr, Propagation};

/// A mount's options, sorted by what has to be done for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// `bind` or `rbind`.
    pub bind: Option<Depth>,
    /// For the mount itself.
    pub set: MountAttr,
    pub clear: MountAttr,
    /// For the mount and all below it (`rro`, `rnosuid`, ...).
    pub set_all: MountAttr,
    pub clear_all: MountAttr,
    /// In the order given.
    pub propagation: Vec<(Propagation, Depth)>,
    /// For the file system, a key with or without a value.
    pub data: Vec<(String, Option<String>)>,
    /// `idmap` or `ridmap`.
    pub idmap: Option<Depth>,
    /// Whether a tmpfs starts with a copy of what it covers.
    pub copy_up: bool,
}

impl MountOptions {
    /// Sorts the words. Unknown ones are the file system's own.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            options.add(word)?;
        }
        Ok(options)
    }

    fn add(&mut self, word: &str) -> Result<()> {
        if let Some((propagation, depth)) = propagation(word) {
            self.propagation.push((propagation, depth));
        } else if !self.add_attribute(word) && !self.add_kind(word)? {
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value.to_owned())));
            self.data.push((key.to_owned(), value));
        }
        Ok(())
    }

    fn add_attribute(&mut self, word: &str) -> bool {
        if let Some((set, clear)) = attribute(word) {
            self.set = (self.set - clear) | set;
            self.clear = (self.clear - set) | clear;
            return true;
        }
        let recursive = word.strip_prefix('r').filter(|rest| !rest.starts_with("elatime")).and_then(attribute);
        if let Some((set, clear)) = recursive {
            self.set_all = (self.set_all - clear) | set;
            self.clear_all = (self.clear_all - set) | clear;
        }
        recursive.is_some()
    }

    fn add_kind(&mut self, word: &str) -> Result<bool> {
        match word {
            "bind" => self.bind = self.bind.or(Some(Depth::One)),
            "rbind" => self.bind = Some(Depth::All),
            "idmap" => self.idmap = self.idmap.or(Some(Depth::One)),
            "ridmap" => self.idmap = Some(Depth::All),
            "tmpcopyup" => self.copy_up = true,
            "remount" => return Err(invalid("mount option \"remount\": give the options to the first mount instead")),
            "defaults" | "" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What a word sets and clears.
fn attribute(word: &str) -> Option<(MountAttr, MountAttr)> {
    const NONE: MountAttr = MountAttr::empty();
    Some(match word {
        "ro" => (MountAttr::RDONLY, NONE),
        "rw" => (NONE, MountAttr::RDONLY),
        "nosuid" => (MountAttr::NOSUID, NONE),
        "suid" => (NONE, MountAttr::NOSUID),
        "nodev" => (MountAttr::NODEV, NONE),
        "dev" => (NONE, MountAttr::NODEV),
        "noexec" => (MountAttr::NOEXEC, NONE),
        "exec" => (NONE, MountAttr::NOEXEC),
        "nosymfollow" => (MountAttr::NOSYMFOLLOW, NONE),
        "symfollow" => (NONE, MountAttr::NOSYMFOLLOW),
        "nodiratime" => (MountAttr::NODIRATIME, NONE),
        "diratime" => (NONE, MountAttr::NODIRATIME),
        // The access time modes are one field: setting a mode clears the field first (mount_setattr(2)).
        "noatime" => (MountAttr::NOATIME, MountAttr::ATIME),
        "strictatime" => (MountAttr::STRICTATIME, MountAttr::ATIME),
        "relatime" | "atime" | "nostrictatime" | "norelatime" => (NONE, MountAttr::ATIME),
        _ => return None,
    })
}

/// A propagation word, also that of `rootfsPropagation`.
pub(crate) fn propagation(word: &str) -> Option<(Propagation, Depth)> {
    let (word, depth) = match word.strip_prefix('r') {
        Some(rest) => (rest, Depth::All),
        None => (word, Depth::One),
    };
    let propagation = match word {
        "shared" => Propagation::Shared,
        "slave" => Propagation::Slave,
        "private" => Propagation::Private,
        "unbindable" => Propagation::Unbindable,
        _ => return None,
    };
    Some((propagation, depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> MountOptions {
        MountOptions::parse(&words.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn words_are_sorted() {
        let options = parse("rbind,ro,nosuid,rnoexec,rslave,mode=755,newinstance,relatime");
        assert_eq!(options.bind, Some(Depth::All));
        assert_eq!(options.set, MountAttr::RDONLY | MountAttr::NOSUID);
        assert_eq!(options.clear, MountAttr::ATIME);
        assert_eq!(options.set_all, MountAttr::NOEXEC);
        assert_eq!(options.propagation, [(Propagation::Slave, Depth::All)]);
        assert_eq!(options.data, [("mode".into(), Some("755".into())), ("newinstance".into(), None)]);
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse("ro,rw").set, MountAttr::empty());
        assert_eq!(parse("ro,rw").clear, MountAttr::RDONLY);
        assert_eq!(parse("rw,ro").clear, MountAttr::empty());
        assert_eq!(parse("rro,rrw").clear_all, MountAttr::RDONLY);
        let times = parse("noatime,strictatime");
        assert_eq!((times.set, times.clear), (MountAttr::STRICTATIME, MountAttr::ATIME));
        assert_eq!(parse("relatime").set_all, MountAttr::empty());
        assert_eq!(parse("rrelatime").clear_all, MountAttr::ATIME);
    }
}
