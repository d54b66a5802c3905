//! Which hierarchies this host has, and where the caller is in them (proc_pid_mountinfo(5), cgroups(7)).

use std::path::{Path, PathBuf};

use super::{CgroupError, Version, file};

/// One mounted hierarchy as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    pub version: Version,
    pub controllers: Vec<String>,
    pub mountpoint: PathBuf,
    /// The caller's own cgroup, relative to the mount point.
    pub own: PathBuf,
}

/// Reads the two files of /proc and, where v2 is mounted, its list of controllers.
pub(super) fn detect() -> Result<Vec<Mounted>, CgroupError> {
    let mountinfo = file::read(Path::new("/proc/self"), "mountinfo")?;
    let own = file::read(Path::new("/proc/self"), "cgroup")?;
    let mut mounted = parse(&mountinfo, &own);
    for hierarchy in mounted.iter_mut().filter(|hierarchy| hierarchy.version == Version::V2) {
        hierarchy.controllers = v2_controllers(&hierarchy.mountpoint)?;
    }
    if mounted.is_empty() {
        return Err(CgroupError::Unsupported {
            what: "limit or group processes".to_owned(),
            why: "no cgroup file system is mounted: mount cgroup2 at /sys/fs/cgroup".to_owned(),
        });
    }
    Ok(mounted)
}

pub(super) fn v2_controllers(dir: &Path) -> Result<Vec<String>, CgroupError> {
    Ok(file::read(dir, "cgroup.controllers")?.split_whitespace().map(str::to_owned).collect())
}

/// Pure half of [`detect`]: each hierarchy once, at the mount that shows most of it.
fn parse(mountinfo: &str, own: &str) -> Vec<Mounted> {
    let mut found: Vec<(Mounted, PathBuf)> = Vec::new();
    for mount in mountinfo.lines().filter_map(Mount::parse) {
        let Some(own) = own.lines().find_map(|line| mount.own_path(line)) else { continue };
        let hierarchy = Mounted {
            version: mount.version,
            controllers: mount.controllers.iter().map(|&name| name.to_owned()).collect(),
            mountpoint: mount.mountpoint,
            own: relative(&own, &mount.root),
        };
        let same = |(other, _): &&mut (Mounted, PathBuf)| {
            (other.version, &other.controllers) == (hierarchy.version, &hierarchy.controllers)
        };
        match found.iter_mut().find(same) {
            Some(other) if other.1.starts_with(&mount.root) && other.1 != mount.root => {
                *other = (hierarchy, mount.root)
            }
            Some(_) => {}
            None => found.push((hierarchy, mount.root)),
        }
    }
    found.into_iter().map(|(hierarchy, _)| hierarchy).collect()
}

/// The caller's cgroup below a mount whose root is `root`. A root above the cgroup namespace shows as `/..`.
fn relative(own: &Path, root: &Path) -> PathBuf {
    own.strip_prefix(root).or_else(|_| own.strip_prefix("/")).unwrap_or(own).to_owned()
}

/// A line of mountinfo that is a cgroup mount.
struct Mount<'a> {
    version: Version,
    controllers: Vec<&'a str>,
    mountpoint: PathBuf,
    root: PathBuf,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let version = match file_system.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let options = file_system.nth(1)?;
        let mut mount = mount.split(' ').skip(3);
        let (root, mountpoint) = (unescape(mount.next()?), unescape(mount.next()?));
        let controllers = if version == Version::V1 { v1_controllers(options) } else { Vec::new() };
        Some(Self { version, controllers, mountpoint, root })
    }

    /// The path in a line `ID:CONTROLLERS:PATH` of /proc/self/cgroup, if the line is this hierarchy's.
    fn own_path(&self, line: &str) -> Option<PathBuf> {
        let mut parts = line.splitn(3, ':');
        let (id, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let same = match self.version {
            Version::V2 => id == "0" && names.is_empty(),
            Version::V1 => names.split(',').any(|name| self.controllers.first() == Some(&name)),
        };
        same.then(|| PathBuf::from(path))
    }
}

/// Super block options less those that are not controllers.
fn v1_controllers(options: &str) -> Vec<&str> {
    let other = ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods", "none", "all"];
    options.split(',').filter(|option| !other.contains(option) && !option.starts_with("release_agent=")).collect()
}

/// Undoes mountinfo's octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(escapes.iter().fold(field.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, own: &str, expected: &[(&str, &str, &str)]) {
        let found = parse(mountinfo, own);
        let found: Vec<_> = found
            .iter()
            .map(|m| (m.controllers.join(","), m.mountpoint.to_str().unwrap(), m.own.to_str().unwrap()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(c, m, o)| (c.to_string(), *m, *o)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn hybrid() {
        check(
            "23 1 0:1 / / rw - ext4 /dev/vda rw\n\
             33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate",
            "9:name=systemd:/user.slice\n3:cpu,cpuacct:/\n0::/user.slice/a:b",
            &[
                ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", ""),
                ("name=systemd", "/sys/fs/cgroup/systemd", "user.slice"),
                ("", "/sys/fs/cgroup/unified", "user.slice/a:b"),
            ],
        );
    }

    #[test]
    fn a_container_without_cgroup_namespace_sees_its_own_part() {
        check(
            "41 31 0:38 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids",
            "2:pids:/docker/abc/sub",
            &[("pids", "/sys/fs/cgroup/pids", "sub")],
        );
    }

    #[test]
    fn a_second_mount_counts_only_when_it_shows_more() {
        check(
            "41 31 0:38 /deep /mnt rw - cgroup2 none rw\n42 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw\n\
             43 31 0:38 / /again rw - cgroup2 none rw",
            "0::/deep/x",
            &[("", "/sys/fs/cgroup", "deep/x")],
        );
    }

    #[test]
    fn escaped_mount_points() {
        check("41 31 0:38 / /a\\040b rw - cgroup2 none rw", "0::/", &[("", "/a b", "")]);
    }
}
