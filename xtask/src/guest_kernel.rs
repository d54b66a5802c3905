//! `cargo xtask guest-kernel`: Linux for guests of class `vm`, built from Debian's sources with `vm/kernel/config`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use stockade_tests::{fixtures_dir, workspace_root};

use crate::setup::{packages, stamp};
use crate::sh;

/// Debian's package of sources, of the series that Debian 12 and 13 have.
const SOURCE: &str = "linux-source-6.12";

/// Fixture: `vmlinux` and the whole `config` that it was built with.
const FIXTURE: &str = "guest-kernel";

/// Options of `guest-kernel`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Compilers at once [default: one per processor]
    #[arg(long, short)]
    jobs: Option<usize>,
}

/// Builds, and says how to use it.
pub fn run(options: &Options) -> Result<()> {
    build_missing(options.jobs)?;
    let image = fixtures_dir().join(FIXTURE).join("vmlinux");
    println!("guest kernel: {}", image.display());
    println!("use it: stockade vm kernel import {}", image.display());
    Ok(())
}

/// Builds with so many compilers at once, unless that was done with this config and these sources.
pub fn build_missing(jobs: Option<usize>) -> Result<()> {
    packages::install_missing(packages::GUEST_KERNEL)?;
    let config = workspace_root().join("vm/kernel/config");
    let version = source_version()?;
    let key = key(&version, &config)?;
    let is_built = stamp::Folder::open(fixtures_dir())?.has(FIXTURE, &key);
    if !is_built {
        // The fixtures stay unlocked meanwhile: tests and the lab need them.
        let work = tempfile::tempdir()?;
        let out = build(work.path(), &config, jobs)?;
        stamp::Folder::open(fixtures_dir())?.build_version(FIXTURE, &key, |dir| keep(&out, dir))?;
    }
    Ok(())
}

/// The version that apt would install.
fn source_version() -> Result<String> {
    let text = sh::output(&mut sh::cmd("apt-cache", ["show", "--no-all-versions", SOURCE]))?;
    let version = text.lines().find_map(|line| line.strip_prefix("Version: ")).map(str::to_owned);
    version.with_context(|| format!("apt knows no {SOURCE}: run `apt-get update`; Debian 12's security suite has it"))
}

fn key(version: &str, config: &Path) -> Result<String> {
    let sum = sh::output(&mut sh::cmd("sha256sum", [config]))?;
    Ok(format!("{version} {} {FLAGS}", sum.split(' ').next().unwrap_or_default()))
}

/// Ten minutes of a processor, nearly all of it in the last step. Returns where the result lies.
fn build(work: &Path, config: &Path, jobs: Option<usize>) -> Result<PathBuf> {
    let tree = unpack(work)?;
    let out = work.join("out");
    fs::create_dir(&out)?;
    let asked = format!("KCONFIG_ALLCONFIG={}", config.display());
    sh::run(make(&tree, &out).arg(asked).arg("allnoconfig"))?;
    check_config(&fs::read_to_string(config)?, &fs::read_to_string(out.join(".config"))?)?;
    let jobs = jobs.map_or_else(|| std::thread::available_parallelism().map(usize::from), Ok)?;
    sh::run(make(&tree, &out).arg(format!("--jobs={jobs}")).arg("vmlinux"))?;
    Ok(out)
}

fn keep(out: &Path, dir: &Path) -> Result<()> {
    fs::copy(out.join("vmlinux"), dir.join("vmlinux")).context("keep vmlinux")?;
    fs::copy(out.join(".config"), dir.join("config")).context("keep the config")?;
    Ok(())
}

fn unpack(work: &Path) -> Result<PathBuf> {
    println!("downloading {SOURCE}: 150 MB");
    sh::output(sh::cmd("apt-get", ["download", "--quiet", SOURCE]).current_dir(work))?;
    let deb = fs::read_dir(work)?.flatten().map(|entry| entry.path()).next().context("apt-get downloads a file")?;
    sh::check(sh::cmd("dpkg-deb", ["--extract"]).arg(&deb).arg(work))?;
    fs::remove_file(deb)?;
    let archive = work.join(format!("usr/src/{SOURCE}.tar.xz"));
    sh::check(sh::cmd("tar", ["--extract", "--file"]).arg(&archive).arg("--directory").arg(work))?;
    fs::remove_file(archive)?;
    Ok(work.join(SOURCE))
}

/// Each return is rewritten when Linux boots: a tenth fewer when the compiler copies no short endings of functions.
const FLAGS: &str = "KCFLAGS=--param=max-grow-copy-bb-insns=1";

/// Says the same on every machine that builds it.
fn make(tree: &Path, out: &Path) -> std::process::Command {
    let mut command = sh::cmd("make", ["--silent", "--directory"]);
    command.arg(tree).arg(format!("O={}", out.display())).args(["ARCH=x86_64", "LOCALVERSION=", FLAGS]);
    command.env("KBUILD_BUILD_USER", "stockade").env("KBUILD_BUILD_HOST", "localhost");
    command.env("KBUILD_BUILD_TIMESTAMP", "1970-01-01");
    command
}

/// Options whose conditions do not hold are dropped without a word: each that was asked for must be there.
fn check_config(asked: &str, made: &str) -> Result<()> {
    let is_option = |line: &&str| line.starts_with("CONFIG_");
    let dropped: Vec<&str> =
        asked.lines().filter(is_option).filter(|option| !made.lines().any(|line| line == *option)).collect();
    if !dropped.is_empty() {
        bail!("these sources do not take from vm/kernel/config:\n{}", dropped.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_options_are_named() {
        let asked = "# why\nCONFIG_A=y\nCONFIG_B=\"x\"\nCONFIG_GONE=y\n";
        let made = "# CONFIG_GONE is not set\nCONFIG_A=y\nCONFIG_B=\"x\"\nCONFIG_MORE=y\n";
        let error = check_config(asked, made).unwrap_err().to_string();
        assert!(error.ends_with("config:\nCONFIG_GONE=y"), "{error}");
        assert!(check_config("CONFIG_A=y\n", made).is_ok());
    }
}
