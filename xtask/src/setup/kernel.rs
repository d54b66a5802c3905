//! Debian's kernel for clouds, unpacked and not installed: the lab runs on it, and guests can.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::sh;

/// Matches the signed images of one series for clouds; the newest is taken.
const PACKAGES: &str = r"^linux-image-6\.[0-9.]+\+deb[0-9]+(\+[0-9]+)?-cloud-amd64$";

/// `vmlinuz`, `vmlinux` unpacked from it, `config`, `version`, and uncompressed `modules` as `/lib/modules/VERSION` is.
pub fn debian(dir: &Path) -> Result<()> {
    let package = newest_package()?;
    let work = tempfile::tempdir()?;
    let tree = unpack(&package, work.path())?;
    let version = package.trim_start_matches("linux-image-");
    for name in ["vmlinuz", "config"] {
        fs::copy(tree.join(format!("boot/{name}-{version}")), dir.join(name))
            .with_context(|| format!("copy {name}"))?;
    }
    let image = fs::read(dir.join("vmlinuz"))?;
    decompress(bz_payload(&image)?, &dir.join("vmlinux"))?;
    unpack_modules(&tree, version)?;
    let modules = tree.join("lib/modules").join(version);
    sh::check(sh::cmd("cp", ["--archive"]).arg(modules).arg(dir.join("modules")))?;
    Ok(fs::write(dir.join("version"), version)?)
}

fn newest_package() -> Result<String> {
    let found = sh::output(&mut sh::cmd("apt-cache", ["search", "--names-only", PACKAGES]))?;
    let names = found.lines().filter_map(|line| line.split(' ').next());
    let newest = names.max_by_key(|name| numbers(name)).map(str::to_owned);
    newest.context("apt knows no linux-image-6.*-cloud-amd64: run `apt-get update`; Debian 12's security suite has it")
}

/// The numbers of a name, to compare versions by.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn unpack(package: &str, work: &Path) -> Result<PathBuf> {
    println!("downloading {package}");
    sh::output(sh::cmd("apt-get", ["download", "--quiet", package]).current_dir(work))?;
    let deb = fs::read_dir(work)?.flatten().map(|entry| entry.path()).next().context("apt-get downloads a file")?;
    let tree = work.join("tree");
    sh::check(sh::cmd("dpkg-deb", ["--extract"]).arg(deb).arg(&tree))?;
    Ok(tree)
}

/// The lab's first process is no modprobe: it loads plain modules.
fn unpack_modules(tree: &Path, version: &str) -> Result<()> {
    let script = r#"find "$1" -name '*.ko.xz' -print0 | xargs --null --no-run-if-empty xz --decompress
depmod --basedir "$2" "$3""#;
    sh::check(sh::cmd("sh", ["-ec", script, "sh"]).arg(tree.join("lib/modules")).arg(tree).arg(version))
}

/// The compressed kernel inside a bzImage, found by its set-up header (Documentation/arch/x86/boot.rst, protocol 2.08).
fn bz_payload(image: &[u8]) -> Result<&[u8]> {
    let word = |at: usize| -> Option<usize> {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(0x202..0x206) != Some(b"HdrS") {
        bail!("the kernel image has no set-up header");
    }
    let sectors = match image.get(0x1f1) {
        Some(0) | None => 4,
        Some(sectors) => usize::from(*sectors),
    };
    let payload = || {
        let begin = ((sectors + 1) * 512).checked_add(word(0x248)?)?;
        // The build appends the uncompressed size (scripts/Makefile.lib, size_append).
        image.get(begin..begin.checked_add(word(0x24c)?)?.checked_sub(4)?)
    };
    payload().context("the kernel image is cut short")
}

fn decompress(payload: &[u8], to: &Path) -> Result<()> {
    let program = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', ..] => "xz",
        _ => bail!("the kernel image is compressed in a way that is not zstd or xz"),
    };
    let mut command = sh::cmd(program, ["--decompress", "--stdout"]);
    let mut child = command.stdin(Stdio::piped()).stdout(File::create(to)?).spawn().context(program)?;
    child.stdin.take().context("a pipe")?.write_all(payload).with_context(|| format!("feed {program}"))?;
    if !child.wait()?.success() {
        bail!("{program} cannot unpack the kernel image");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let name = |patch: &str| format!("linux-image-6.12.{patch}+deb12-cloud-amd64");
        assert!(numbers(&name("117")) > numbers(&name("99")));
        assert!(numbers(&name("9")) > numbers("linux-image-6.1.0-50-cloud-amd64"));
    }

    #[test]
    fn a_payload_is_found_by_the_header() {
        let mut image = vec![0; 5 * 512];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x1f1] = 2;
        image[0x248..0x24c].copy_from_slice(&8_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&10_u32.to_le_bytes());
        image[1544..1550].copy_from_slice(b"kernel");
        assert_eq!(bz_payload(&image).unwrap(), b"kernel");
        assert!(bz_payload(&image[..1549]).is_err() && bz_payload(&[0; 100]).is_err());
    }
}
