//! What file systems can be told when they are made, one parameter at a time (fsconfig(2)).

use alloc::string::String;

use super::devpts::DevPts;
use super::{ProcOptions, TmpfsOptions};
use crate::Errno;

/// Why a parameter was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file system has no such parameter.
    Unknown,
    /// It has, but not with such a value.
    BadValue,
}

type Parse = fn(&[u8]) -> Result<(), Errno>;

/// The parameters of a file system, each with an `=` if it takes a value, and what reads them.
fn known(filesystem: &str) -> (&'static [&'static str], Parse) {
    const NOTHING: Parse = |_| Ok(());
    const TMPFS: &[&str] = &[
        "gid=",
        "huge=",
        "inode32",
        "inode64",
        "mode=",
        "mpol=",
        "noswap",
        "nr_blocks=",
        "nr_inodes=",
        "size=",
        "uid=",
    ];
    match filesystem {
        "tmpfs" | "devtmpfs" => (TMPFS, |data| TmpfsOptions::parse(data).map(drop)),
        "ramfs" => (&["mode="], |data| TmpfsOptions::parse(data).map(drop)),
        "proc" => (&["gid=", "hidepid=", "subset="], |data| ProcOptions::parse(data).map(drop)),
        "devpts" => (&["gid=", "max=", "mode=", "newinstance", "ptmxmode=", "uid="], DevPts::check),
        "cgroup2" => (&["memory_localevents", "memory_recursiveprot", "nsdelegate", "pids_localevents"], NOTHING),
        _ => (&[], NOTHING),
    }
}

/// The text of one parameter, as mount(2) takes it.
pub fn option(filesystem: &str, key: &str, value: Option<&str>) -> Result<String, Refusal> {
    let (names, parse) = known(filesystem);
    let text = match value {
        Some(value) => alloc::format!("{key}={value}"),
        None => key.into(),
    };
    let takes_value = names.contains(&alloc::format!("{key}=").as_str());
    let as_flag = names.contains(&key);
    if key.contains('=') || (!takes_value && !as_flag) {
        return Err(Refusal::Unknown);
    }
    let well_formed = takes_value == value.is_some() && !text.contains(',');
    let fits = well_formed && parse(text.as_bytes()).is_ok();
    if fits { Ok(text) } else { Err(Refusal::BadValue) }
}

/// `EINVAL` unless a file system knows all of the data of mount(2).
pub fn check(filesystem: &str, data: &[u8]) -> Result<(), Errno> {
    let text = core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        option(filesystem, key, value).map_err(|_| Errno::EINVAL)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(filesystem: &str, key: &str, value: Option<&str>) -> Option<Refusal> {
        option(filesystem, key, value).err()
    }

    #[test]
    fn parameters_are_known_by_file_system() {
        assert_eq!(option("tmpfs", "size", Some("1m")).as_deref(), Ok("size=1m"));
        assert_eq!(option("devpts", "newinstance", None).as_deref(), Ok("newinstance"));
        assert_eq!(refused("tmpfs", "hidepid", Some("1")), Some(Refusal::Unknown));
        assert_eq!(refused("sysfs", "size", Some("1")), Some(Refusal::Unknown));
        assert_eq!(refused("tmpfs", "size", Some("many")), Some(Refusal::BadValue));
        assert_eq!(refused("tmpfs", "size", None), Some(Refusal::BadValue));
        assert_eq!(refused("tmpfs", "inode64", Some("1")), Some(Refusal::BadValue));
        assert_eq!(refused("tmpfs", "size", Some("1,mode=0")), Some(Refusal::BadValue));
        assert_eq!(refused("proc", "hidepid", Some("7")), Some(Refusal::BadValue));
        assert_eq!(refused("tmpfs", "", Some("1")), Some(Refusal::Unknown));
        assert_eq!(refused("tmpfs", "size=", Some("1")), Some(Refusal::Unknown));
    }

    #[test]
    fn data_is_refused_as_a_whole() {
        assert_eq!(check("mqueue", b""), Ok(()));
        assert_eq!(check("mqueue", b"x=1"), Err(Errno::EINVAL));
        assert_eq!(check("tmpfs", b"size=1m,,mode=700"), Ok(()));
        assert_eq!(check("tmpfs", b"size=1m,what"), Err(Errno::EINVAL));
    }
}
