//! Device nodes and device rules.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType as Kind,
};

use super::SpecError;
use crate::options::{DeviceOption, InvalidOption};
use crate::state::Record;

/// What every container may use: any node may be made, and these opened (null, zero, full, random, urandom, tty,
/// console, ptmx, and the pseudo-terminals).
const DEFAULT: [(i64, i64); 9] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, -1)];

/// Device rules; the last that matches decides.
pub(super) fn rules(record: &Record) -> Result<Vec<LinuxDeviceCgroup>, SpecError> {
    if record.options.privileged {
        return Ok(vec![rule(true, Kind::A, None, None, "rwm")?]);
    }
    let mut rules = vec![
        rule(false, Kind::A, None, None, "rwm")?,
        rule(true, Kind::C, None, None, "m")?,
        rule(true, Kind::B, None, None, "m")?,
    ];
    for (major, minor) in DEFAULT {
        rules.push(rule(true, Kind::C, Some(major), Some(minor).filter(|minor| *minor >= 0), "rwm")?);
    }
    for (option, path) in expanded(record)? {
        let (kind, major, minor) = identity(&path)?;
        rules.push(rule(true, kind, Some(major), Some(minor), option.access.as_str())?);
    }
    for text in &record.options.device_cgroup_rules {
        rules.push(parse_rule(text)?);
    }
    Ok(rules)
}

/// Nodes besides those that every container has.
pub(super) fn nodes(record: &Record) -> Result<Vec<LinuxDevice>, SpecError> {
    if record.options.privileged {
        return host_nodes();
    }
    let nodes = expanded(record)?.into_iter().map(|(option, path)| {
        let below = path.strip_prefix(&option.host).unwrap_or(Path::new(""));
        let target = if below.as_os_str().is_empty() { option.container.clone() } else { option.container.join(below) };
        node(&path, target)
    });
    nodes.collect()
}

/// Refuses what does not exist.
pub(super) fn check(record: &Record) -> Result<(), InvalidOption> {
    expanded(record)?;
    record.options.device_cgroup_rules.iter().try_for_each(|text| match parse_rule(text) {
        Err(SpecError::Option(error)) => Err(error),
        _ => Ok(()),
    })
}

/// Every device that was asked for; a directory stands for the devices in it.
fn expanded(record: &Record) -> Result<Vec<(&DeviceOption, PathBuf)>, InvalidOption> {
    let mut found = Vec::new();
    for option in &record.options.devices {
        let gather = |_| {
            InvalidOption(format!(
                "error gathering device information while adding custom device {:?}: no such file or directory",
                option.host.display().to_string()
            ))
        };
        if fs::metadata(&option.host).map_err(gather)?.is_dir() {
            let mut paths = Vec::new();
            walk(&option.host, &mut paths);
            found.extend(paths.into_iter().map(|path| (option, path)));
        } else if identity(&option.host).is_ok() {
            found.push((option, option.host.clone()));
        } else {
            return Err(InvalidOption(format!("{} is not a device node", option.host.display())));
        }
    }
    Ok(found)
}

/// All of the host's devices, for `--privileged`.
fn host_nodes() -> Result<Vec<LinuxDevice>, SpecError> {
    let mut paths = Vec::new();
    walk(Path::new("/dev"), &mut paths);
    // The console is the container's own terminal.
    paths.retain(|path| path != Path::new("/dev/console") && path != Path::new("/dev/ptmx"));
    paths.into_iter().map(|path| node(&path, path.clone())).collect()
}

/// Device nodes below a directory, without other file systems in it (pts, shm, mqueue), links, and what vanishes
/// meanwhile.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(here) = fs::symlink_metadata(directory) else { return };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && metadata.dev() == here.dev() {
            walk(&entry.path(), found);
        } else if identity(&entry.path()).is_ok() && !metadata.is_symlink() {
            found.push(entry.path());
        }
    }
}

/// A node like the host's.
fn node(source: &Path, target: PathBuf) -> Result<LinuxDevice, SpecError> {
    let (kind, major, minor) = identity(source)?;
    let metadata = fs::metadata(source).map_err(crate::StateError::io("read", source))?;
    Ok(LinuxDeviceBuilder::default()
        .path(target)
        .typ(kind)
        .major(major)
        .minor(minor)
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()?)
}

/// Type and numbers of a device node.
fn identity(path: &Path) -> Result<(Kind, i64, i64), InvalidOption> {
    let metadata = fs::metadata(path);
    let metadata = metadata.map_err(|error| InvalidOption(format!("cannot read {}: {error}", path.display())))?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => Kind::C,
        kind if kind.is_block_device() => Kind::B,
        _ => return Err(InvalidOption(format!("{} is not a device node", path.display()))),
    };
    let device = metadata.rdev();
    Ok((kind, rustix::fs::major(device).into(), rustix::fs::minor(device).into()))
}

/// `c 13:* rwm`.
fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup, SpecError> {
    let invalid = || InvalidOption(format!("invalid device cgroup rule {text:?}: use TYPE MAJOR:MINOR ACCESS"));
    let words: Vec<&str> = text.split_whitespace().collect();
    let &[kind, numbers, access] = words.as_slice() else { return Err(invalid().into()) };
    let kind = match kind {
        "a" => Kind::A,
        "b" => Kind::B,
        "c" => Kind::C,
        _ => return Err(invalid().into()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text.parse::<u32>().map(|number| Some(number.into())).map_err(|_| invalid()),
    };
    let access: crate::options::DeviceAccess = access.parse().map_err(|_| invalid())?;
    rule(true, kind, number(major)?, number(minor)?, access.as_str())
}

/// One rule.
fn rule(
    allow: bool,
    kind: Kind,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> Result<LinuxDeviceCgroup, SpecError> {
    let mut rule = LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access).build()?;
    rule.set_major(major).set_minor(minor);
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::super::process::tests::record;
    use super::*;
    use crate::ContainerOptions;

    #[test]
    fn rule_texts() {
        let check = |text: &str, expected: Option<(Option<i64>, Option<i64>, &str)>| {
            let rule = parse_rule(text).ok();
            let found = rule.as_ref().map(|rule| (rule.major(), rule.minor(), rule.access().as_deref().unwrap_or("")));
            assert_eq!(found, expected, "{text:?}");
        };
        check("c 13:* rwm", Some((Some(13), None, "rwm")));
        check("b 8:1 r", Some((Some(8), Some(1), "r")));
        for bad in ["", "c 1:2", "x 1:2 r", "c 1 r", "c 1:-2 r", "c 1:2 q"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_device_gets_a_node_and_a_rule() {
        let options =
            ContainerOptions { devices: vec!["/dev/null:/dev/nothing:r".parse().unwrap()], ..Default::default() };
        let record = record(options);
        let node = nodes(&record).unwrap().remove(0);
        assert_eq!((node.path().as_path(), node.major(), node.minor()), (Path::new("/dev/nothing"), 1, 3));
        let last = rules(&record).unwrap().pop().unwrap();
        assert_eq!((last.major(), last.minor(), last.access().as_deref()), (Some(1), Some(3), Some("r")));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/dev/does-not-exist", "/etc/passwd"] {
            let options = ContainerOptions { devices: vec![path.parse().unwrap()], ..Default::default() };
            assert!(check(&record(options)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_privileged_container_may_use_every_device() {
        let record = record(ContainerOptions { privileged: true, ..Default::default() });
        assert_eq!(rules(&record).unwrap().len(), 1);
        assert!(nodes(&record).unwrap().iter().any(|node| node.path() == Path::new("/dev/null")));
    }
}
