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

/// C programs that are built and tested, as Debian has their sources.
const SOURCES: &[&str] = &["gzip", "zlib"];

/// Debian with the packages of the fast selection, and sources in `/usr/src`.
pub fn fast(dir: &Path, debian: &Path) -> Result<()> {
    with_packages(dir, debian, FAST)?;
    in_root(dir, UNPACK, SOURCES)
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
    in_root(dir, INSTALL, packages)?;
    fs::remove_file(policy).context("allow service starts again")
}

/// Runs a script about a root and packages in namespaces of its own.
fn in_root(dir: &Path, script: &str, packages: &[&str]) -> Result<()> {
    let unshare = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec"];
    let mut command = sh::cmd("unshare", unshare);
    command.arg([ENTER, script].concat()).arg("sh").arg(dir).args(packages);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.with_file_name("packages.log"))?;
    sh::run(debian::with_proxy(&mut command)?.stdout(log))?;
    Ok(())
}

/// The first word is the root, the others are packages.
const ENTER: &str = r#"root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
in_root() { chroot "$root" "$@"; }
"#;

const INSTALL: &str = r#"in_root apt-get update --quiet
in_root apt-get install --yes --quiet --no-install-recommends "$@"
in_root apt-get clean
rm -rf "$root"/var/lib/apt/lists/*"#;

/// Sources as their authors released them, each in a directory of its own.
const UNPACK: &str = r#"list=$root/etc/apt/sources.list.d/source.list
sed 's/^deb /deb-src /' "$root/etc/apt/sources.list" >"$list"
in_root apt-get update --quiet
for name; do
    in_root sh -ec 'cd /usr/src; apt-get source --quiet --download-only "$1"; mkdir "$1"' sh "$name"
    tar --extract --directory "$root/usr/src/$name" --strip-components 1 --file "$root/usr/src/$name"_*.orig.tar.*[z2]
    rm "$root/usr/src/$name"_*
done
rm -rf "$list" "$root"/var/lib/apt/lists/*"#;
