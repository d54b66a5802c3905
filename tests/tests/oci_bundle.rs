//! Bundles that cannot be run: a clear error, and nothing left behind.

use std::fs;

use serde_json::{Value, json};
use stockade_tests::Scratch;

#[track_caller]
fn check(pointer: &str, value: Value, text: &str) {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["true"]).set(pointer, value);
    let id = scratch.id("bad");
    let output = scratch.oci(&["run", "--bundle"]).arg(bundle.path()).arg(&id).exits(1);
    assert!(output.stderr.to_lowercase().contains(text), "expected {text:?}\n{output}");
    assert!(scratch.oci(&["state", &id]).exits(1).stderr.contains("does not exist"));
}

#[test]
fn fields_that_cannot_be_honoured_are_named() {
    check("/process", Value::Null, "process");
    check("/process/args", json!([]), "args");
    check("/process/cwd", json!("relative"), "cwd");
    check("/process/cwd", json!(""), "cwd");
    check("/root/path", json!("no-such-root"), "no-such-root");
    check("/linux/namespaces/0/type", json!("galaxy"), "galaxy");
    check("/process/rlimits/0/type", json!("RLIMIT_PATIENCE"), "rlimit_patience");
    check("/mounts/0/type", json!("no-such-fs"), "no-such-fs");
    check("/process/capabilities/bounding", json!(["CAP_FLY"]), "fly");
    check("/linux/resources/memory", json!({"limit": "many"}), "invalid type");
}

#[test]
fn config_json_must_be_there_and_be_json() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["true"]);
    let path = bundle.path().join("config.json");
    let run = || scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(scratch.id("bad")).exits(1);
    fs::write(&path, "{").expect("write config.json");
    let broken = run();
    assert!(broken.stderr.contains("config.json") && broken.stderr.contains("EOF"), "{broken}");
    fs::remove_file(&path).expect("remove config.json");
    let absent = run();
    assert!(absent.stderr.contains("config.json not found"), "{absent}");
}
