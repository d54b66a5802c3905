//! `stockade vm kernel`: Debian's kernel for clouds is imported with its drivers, listed and removed.

use stockade_tests::{Scratch, fixture};

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
