//! What this machine lacks is refused by name, not passed over: security modules and the systemd cgroup driver.
//!
//! Where a machine has them, the same requests are for it to judge, so each case looks first.

use std::path::Path;

use serde_json::json;
use stockade_tests::{Output, Scratch};

fn run(scratch: &Scratch, options: &[&str], pointer: &str, value: &str) -> Output {
    let bundle = scratch.bundle(&["true"]).set(pointer, json!(value));
    let path = bundle.path().to_str().expect("a UTF-8 path").to_owned();
    scratch.oci(&[options, &["run", "--bundle", &path, &scratch.id("absent")]].concat()).run()
}

#[track_caller]
fn check(options: &[&str], pointer: &str, value: &str, named: &str) {
    let scratch = Scratch::new();
    let output = run(&scratch, options, pointer, value);
    assert_ne!(output.code, 0, "{output}");
    assert!(output.stderr.to_lowercase().contains(named), "the message does not name {named}\n{output}");
}

#[test]
fn labels_of_absent_security_modules_are_refused() {
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        check(&[], "/process/apparmorProfile", "some-profile", "apparmor");
    }
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        check(&[], "/process/selinuxLabel", "system_u:system_r:container_t:s0", "selinux");
    }
}

#[test]
fn the_systemd_driver_is_refused() {
    check(&["--systemd-cgroup"], "/linux/cgroupsPath", "system.slice:stockade:absent", "systemd");
}
