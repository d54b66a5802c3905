//! The Debian packages that build and tests need, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::sh;

/// Package, and what uses it.
pub type Package = (&'static str, &'static str);

/// What builds, tests and the lab need.
pub const PACKAGES: &[Package] = &[
    ("gcc", "links Rust programs, compiles zstd"),
    ("g++", "libFuzzer"),
    ("libc6-dev", "static glibc for the binaries"),
    ("debootstrap", "builds the Debian root file system"),
    ("ca-certificates", "debootstrap over https"),
    ("wget", "debootstrap's downloader"),
    ("busybox-static", "the small root file system"),
    ("umoci", "builds OCI layouts"),
    ("skopeo", "fills the registry; oracle for save and load"),
    ("docker-registry", "the registry that tests pull from"),
    ("erofs-utils", "fsck.erofs and dump.erofs, oracles for our EROFS"),
    ("containerd", "caller of stockade-oci; peer in benchmarks"),
    ("docker.io", "caller of stockade-oci; peer in benchmarks"),
    ("podman", "caller of stockade-oci"),
    ("conmon", "Podman's monitor, caller of stockade-oci"),
    ("containernetworking-plugins", "CNI networks of class vm's containers"),
    ("runc", "peer in benchmarks; oracle for command-line habits"),
    ("crun", "peer in benchmarks"),
    ("runsc", "gVisor, class kernel's peer in benchmarks"),
    ("iproute2", "ip and tc in tests of networks"),
    ("iptables", "dockerd's and Podman's bridge networks"),
    ("acl", "files with ACLs in test images"),
    ("attr", "files with extended attributes in test images"),
    ("libcap2-bin", "files with capabilities in test images; capsh"),
    ("jq", "JSON in tests' shell lines"),
    ("strace", "counts system calls in tests and benchmarks"),
    ("procps", "ps, as dockerd's top calls it"),
    ("zstd", "zstd layers in test images"),
    ("qemu-system-x86", "the lab's machine"),
    ("qemu-system-common", "virtiofsd, the lab's files"),
    ("kmod", "depmod for the lab's kernel; modprobe in the lab"),
    ("xz-utils", "unpacks kernel modules"),
    ("curl", "Firecracker's getting-started session"),
    ("perl", "bcrypt for the registry with a login"),
];

/// What building a guest kernel needs.
pub const GUEST_KERNEL: &[Package] = &[
    ("gcc", "compiles it"),
    ("make", "runs its build"),
    ("flex", "its configuration language"),
    ("bison", "its configuration language"),
    ("bc", "its time constants"),
    ("libelf-dev", "objtool, for its defences"),
    ("xz-utils", "unpacks the sources"),
];

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_MARK: &str =
    "# Made by `cargo xtask setup` and removed by it: no service starts while packages are installed.";

/// Installs the packages that are missing. Services that come with them are not started.
pub fn install_missing(packages: &'static [Package]) -> Result<()> {
    remove_own_policy()?;
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing Debian packages:");
    missing.iter().for_each(|(name, why)| println!("  {name:16} {why}"));
    check_can_install()?;
    apt_get(&["update", "--quiet"])?;
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    without_services(|| {
        apt_get(&[&["install", "--yes", "--quiet", "--no-install-recommends"], names.as_slice()].concat())
    })
}

fn missing(packages: &'static [Package]) -> Result<Vec<Package>> {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        bail!(
            "set-up installs Debian packages and this is no Debian system; install the equivalents of:\n{}",
            list(packages)
        );
    }
    let installed = sh::output(&mut sh::cmd("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n"]))?;
    let is_installed = |name: &str| installed.lines().any(|line| line == format!("{name} installed"));
    Ok(packages.iter().copied().filter(|(name, _)| !is_installed(name)).collect())
}

fn list(packages: &[Package]) -> String {
    packages.iter().map(|(name, why)| format!("  {name:16} {why}\n")).collect()
}

fn check_can_install() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "installing packages needs root: run `cargo xtask setup` as root, or install the packages above yourself"
        );
    }
    Ok(())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];
    sh::run(sh::cmd("apt-get", options.iter().chain(args)).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// invoke-rc.d asks /usr/sbin/policy-rc.d before it starts a service (its manual page); ours forbids, unless the
/// machine has its own.
fn without_services(install: impl FnOnce() -> Result<()>) -> Result<()> {
    if Path::new(POLICY).exists() {
        return install();
    }
    fs::write(POLICY, format!("#!/bin/sh\n{POLICY_MARK}\nexit 101\n")).context("forbid service starts")?;
    fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
    let result = install();
    remove_own_policy()?;
    result
}

fn remove_own_policy() -> Result<()> {
    if fs::read_to_string(POLICY).is_ok_and(|text| text.contains(POLICY_MARK)) {
        fs::remove_file(POLICY).context("allow service starts again")?;
    }
    Ok(())
}
