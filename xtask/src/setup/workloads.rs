//! Root file systems with the programs that people run, made from Debian's packages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::debian;
use crate::sh;

/// What the fast selection of CI runs.
const FAST: &[&str] = &[
    "bc",
    "binutils",
    "bsdextrautils",
    "bzip2",
    "file",
    "gcc",
    "git",
    "jq",
    "less",
    "libc6-dev",
    "libpython3.11-testsuite",
    "make",
    "nginx-light",
    "patch",
    "procps",
    "psmisc",
    "python3",
    "redis-server",
    "redis-tools",
    "sqlite3",
    "strace",
    "unzip",
    "wget",
    "xz-utils",
    "zip",
    "zstd",
];

/// What `cargo xtask test --all` runs besides.
const ALL: &[&str] = &[
    "ffmpeg",
    "golang-go",
    "nodejs",
    "openjdk-17-jdk-headless",
    "postgresql",
    "postgresql-contrib",
    "ruby",
    "stress-ng",
];

/// Debian with the packages of the fast selection.
pub fn fast(dir: &Path, debian: &Path) -> Result<()> {
    with_packages(dir, debian, FAST)
}

/// The fast selection's root with all others.
pub fn all(dir: &Path, fast: &Path) -> Result<()> {
    with_packages(dir, fast, ALL)
}

/// The packages are unpacked and configured by the root's own apt, in mount and pid namespaces of its own: killing it
/// leaves no mount and no process. Services that come with them are not started.
fn with_packages(dir: &Path, base: &Path, packages: &[&str]) -> Result<()> {
    sh::check(sh::cmd("cp", ["--archive", "--reflink=auto"]).arg(base.join(".")).arg(dir))?;
    let policy = dir.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n").context("forbid service starts")?;
    sh::check(sh::cmd("chmod", ["755"]).arg(&policy))?;
    fs::copy("/etc/resolv.conf", dir.join("etc/resolv.conf")).context("let the root resolve names")?;
    let unshare =
        ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec", INSTALL, "sh"];
    let mut command = sh::cmd("unshare", unshare);
    command.arg(dir).args(packages).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    let log = fs::File::create(dir.with_file_name("packages.log"))?;
    sh::run(debian::with_proxy(&mut command)?.stdout(log))?;
    fs::remove_file(policy).context("allow service starts again")
}

/// The first word is the root, the others are packages.
const INSTALL: &str = r#"root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
in_root() { chroot "$root" "$@"; }
in_root apt-get update --quiet
in_root apt-get install --yes --quiet --no-install-recommends "$@"
in_root apt-get clean
rm -rf "$root"/var/lib/apt/lists/*"#;
