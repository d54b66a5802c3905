//! `stockade vm kernel`: Debian's kernel for clouds is imported with its drivers, listed and removed. And what class
//! `vm` says on a host that cannot run its guests.

use stockade_tests::{Scratch, fixture, rootfs};

#[test]
fn kernels_are_imported_listed_and_removed() {
    let scratch = Scratch::new();
    let kernel = fixture("lab/kernel");
    let path = |name: &str| kernel.join(name).display().to_string();
    let release = std::fs::read_to_string(kernel.join("version")).expect("the fixture tells its version");
    let import = |args: &[&str]| scratch.stockade(&[&["vm", "kernel", "import"], args].concat());
    let list =
        || scratch.stockade(&["vm", "kernel", "ls", "--format", "{{.Name}} {{.Format}} {{.Drivers}} {{.Release}}"]);
    assert_eq!(list().ok().out(), "");
    let digest = import(&["--modules", &path("modules"), &path("vmlinuz")]).ok();
    assert!(digest.out().starts_with("sha256:"), "{digest}");
    import(&["--name", "plain", &path("vmlinux")]).ok();
    let expected = format!("default bzimage modules {release}\nplain elf built in {release}");
    assert_eq!(list().ok().out(), expected);
    let again = import(&[&path("vmlinuz")]).exits(1);
    assert!(again.stderr.contains("a guest kernel named default is there"), "{again}");
    let other = import(&["--name", "x", "/bin/sh"]).exits(1);
    assert!(other.stderr.contains("/bin/sh is no guest kernel"), "{other}");
    scratch.stockade(&["vm", "kernel", "rm", "default", "plain"]).ok();
    scratch.stockade(&["vm", "kernel", "rm", "default"]).exits(1);
    assert_eq!(list().ok().out(), "");
}

/// With all else at hand, a machine runs, or the host's KVM is named as what cannot run it.
#[test]
fn a_kvm_that_cannot_run_guests_is_named() {
    let scratch = Scratch::new();
    let kernel = fixture("lab/kernel");
    let path = |name: &str| kernel.join(name).display().to_string();
    scratch.stockade(&["vm", "kernel", "import", "--modules", &path("modules"), &path("vmlinux")]).ok();
    let image = "localhost/busybox:vm";
    scratch.stockade(&["image", "import", &rootfs("busybox").display().to_string(), image]).ok();
    let info = scratch.stockade(&["info"]).ok();
    let run = scratch.stockade(&["run", "--rm", "--isolation", "vm", image, "true"]);
    if info.stdout.contains("vm: available") {
        run.ok();
        return;
    }
    let refused = run.exits(125);
    assert!(refused.stderr.contains("isolation class vm cannot run a guest on this host"), "{refused}");
    assert!(refused.stderr.contains("/dev/kvm") || refused.stderr.contains("this KVM lacks"), "{refused}");
    assert_eq!(scratch.stockade(&["ps", "-aq"]).ok().out(), "");
}
