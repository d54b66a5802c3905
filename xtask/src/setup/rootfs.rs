//! Root file systems as directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::debian;
use crate::sh;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nuser:x:1000:1000::/home/user:/bin/sh\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nuser:x:1000:\nextra:x:2000:user\n";

/// One static binary and a link per applet, with the accounts `root`, `daemon` and `user`.
pub fn busybox(dir: &Path) -> Result<()> {
    for name in [
        "bin",
        "dev",
        "etc",
        "home/user",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/bin",
        "usr/sbin",
        "sbin",
        "var/tmp",
    ] {
        fs::create_dir_all(dir.join(name))?;
    }
    fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    std::os::unix::fs::chown(dir.join("home/user"), Some(1000), Some(1000))?;
    fs::write(dir.join("etc/passwd"), PASSWD)?;
    fs::write(dir.join("etc/group"), GROUP)?;
    fs::copy("/bin/busybox", dir.join("bin/busybox")).context("copy the static busybox")?;
    for applet in sh::output(&mut sh::cmd("/bin/busybox", ["--list-full"]))?.lines() {
        let link = dir.join(applet);
        if !link.exists() && link.parent().is_some_and(Path::exists) {
            symlink("/bin/busybox", &link).with_context(|| format!("link {applet}"))?;
        }
    }
    let answer = sh::output(&mut sh::cmd("chroot", [dir.as_os_str(), "/bin/echo".as_ref(), "static".as_ref()]))?;
    if answer != "static\n" {
        bail!("busybox does not run alone in its root: is busybox-static installed?");
    }
    Ok(())
}

/// debootstrap's smallest variant as it leaves it, apt's lists and archives included: about 200 MB.
/// It runs in mount and pid namespaces of its own, so that killing it leaves no mount and no process.
pub fn debian(dir: &Path) -> Result<()> {
    let mirror = debian::mirror()?;
    let unshare = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];
    let mut command = sh::cmd("unshare", unshare);
    command.args(["debootstrap", "--variant=minbase", debian::SUITE]).arg(dir).arg(&mirror);
    sh::run(debian::with_proxy(&mut command)?.stdout(fs::File::create(dir.with_file_name("debootstrap.log"))?))?;
    Ok(())
}
