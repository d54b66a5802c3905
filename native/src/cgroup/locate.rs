//! From the spec's `cgroupsPath` to a directory in each hierarchy.

use std::path::{Component, Path, PathBuf};

use stockade_sandbox::{CgroupManager, ContainerId};

use super::host::Mounted;
use super::{CgroupError, Hierarchy, Version};

/// The path asked for: absolute, or relative to the caller's cgroup.
pub(super) fn wanted(path: Option<&Path>, id: &ContainerId, manager: CgroupManager) -> Result<PathBuf, CgroupError> {
    let path = path.filter(|path| !path.as_os_str().is_empty());
    match manager {
        CgroupManager::Cgroupfs => without_traversal(path.unwrap_or(Path::new(id.as_str()))),
        CgroupManager::Systemd => Err(systemd(path)),
    }
}

/// Why systemd cannot make the cgroup; first whether the path has its form.
fn systemd(path: Option<&Path>) -> CgroupError {
    let text = path.map(|path| path.to_string_lossy()).unwrap_or_default();
    if !text.is_empty() && text.split(':').count() != 3 {
        let reason =
            format!("expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {text:?}");
        return CgroupError::invalid("cgroupsPath", reason);
    }
    let why = if Path::new("/run/systemd/private").exists() {
        "this build does not speak to systemd: leave out --systemd-cgroup and give cgroupsPath as a path"
    } else {
        "systemd does not run on this host: leave out --systemd-cgroup and give cgroupsPath as a path"
    };
    CgroupError::Unsupported { what: "make cgroups through systemd".to_owned(), why: why.to_owned() }
}

pub(super) fn without_traversal(path: &Path) -> Result<PathBuf, CgroupError> {
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(CgroupError::Traversal(path.to_owned()));
    }
    Ok(path.components().filter(|part| *part != Component::CurDir).collect())
}

/// The container's directory in one hierarchy.
pub(super) fn place(mounted: Mounted, wanted: &Path) -> Hierarchy {
    let path = match wanted.strip_prefix("/") {
        Ok(below_root) => mounted.mountpoint.join(below_root),
        Err(_) => mounted.mountpoint.join(start(&mounted)).join(wanted),
    };
    Hierarchy { version: mounted.version, controllers: mounted.controllers, mountpoint: mounted.mountpoint, path }
}

fn start(mounted: &Mounted) -> &Path {
    match mounted.version {
        Version::V1 => &mounted.own,
        Version::V2 => mounted.own.parent().unwrap_or(Path::new("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(version: Version) -> Mounted {
        Mounted { version, controllers: Vec::new(), mountpoint: "/sys/fs/cgroup/x".into(), own: "user/me".into() }
    }

    #[test]
    fn paths_start_where_runc_starts_them() {
        let check = |version, path: Option<&str>, expected: &str| {
            let id = "web".parse().unwrap();
            let wanted = wanted(path.map(Path::new), &id, CgroupManager::Cgroupfs).unwrap();
            assert_eq!(place(mounted(version), &wanted).path, Path::new(expected));
        };
        for version in [Version::V1, Version::V2] {
            check(version, Some("/docker/web"), "/sys/fs/cgroup/x/docker/web");
            check(version, Some("/./docker//web/"), "/sys/fs/cgroup/x/docker/web");
        }
        check(Version::V1, None, "/sys/fs/cgroup/x/user/me/web");
        check(Version::V1, Some(""), "/sys/fs/cgroup/x/user/me/web");
        check(Version::V2, None, "/sys/fs/cgroup/x/user/web");
        check(Version::V2, Some("a/b"), "/sys/fs/cgroup/x/user/a/b");
    }

    #[test]
    fn traversal_is_refused() {
        for path in ["..", "/a/../../b", "a/..", "/.."] {
            let answer = wanted(Some(Path::new(path)), &"web".parse().unwrap(), CgroupManager::Cgroupfs);
            assert!(matches!(answer, Err(CgroupError::Traversal(_))), "{path}");
        }
    }

    #[test]
    fn systemd_paths_are_recognised_and_declined() {
        let ask = |path| wanted(Some(Path::new(path)), &"web".parse().unwrap(), CgroupManager::Systemd).unwrap_err();
        assert!(matches!(ask("system.slice:docker:web"), CgroupError::Unsupported { .. }));
        assert!(ask("/docker/web").to_string().contains("slice:prefix:name"));
    }
}
