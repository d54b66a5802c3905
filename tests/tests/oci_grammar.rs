//! `stockade-oci`'s command line where no container is needed: what callers parse, and how mistakes are answered.

use std::fs;

use stockade_tests::{Output, Scratch};

#[test]
fn the_version_is_three_lines_that_callers_take_apart() {
    let scratch = Scratch::new();
    for flag in ["--version", "-v"] {
        let version = stockade_tests::Cmd::new(stockade_tests::bin("stockade-oci")).arg(flag).ok();
        let lines: Vec<&str> = version.stdout.lines().collect();
        assert!(lines[0].starts_with("stockade-oci version "), "{version}");
        assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("spec: 1."), "{version}");
    }
    // The root directory is given before the flag.
    assert!(scratch.oci(&["--version"]).ok().stdout.starts_with("stockade-oci version "));
    assert!(scratch.oci(&["--help"]).ok().stdout.contains("--isolation"));
    assert!(scratch.oci(&["create", "--help"]).ok().stdout.contains("--console-socket"));
}

#[test]
fn features_are_a_document_of_the_specification() {
    let features = Scratch::new().oci(&["features"]).ok().json();
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    let namespaces = features["linux"]["namespaces"].as_array().expect("a list");
    assert!(namespaces.contains(&"time".into()) && namespaces.contains(&"user".into()), "{namespaces:?}");
}

#[test]
fn spec_writes_a_bundle_that_runs_and_never_overwrites() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["true"]);
    let dir = bundle.path().to_str().expect("a path of ASCII");
    let again = scratch.oci(&["spec", "--bundle", dir]).exits(1);
    assert!(again.stderr.contains("exists. Remove it first"), "{again}");

    let path = bundle.path().join("config.json");
    fs::remove_file(&path).expect("remove config.json");
    scratch.oci(&["spec", "-b", dir]).ok();
    let text = fs::read_to_string(&path).expect("read config.json");
    let text = text.replace("\"terminal\": true", "\"terminal\": false").replace("\"sh\"", "\"hostname\"");
    fs::write(&path, text).expect("write config.json");
    assert_eq!(scratch.oci(&["run", "--bundle", dir, &scratch.id("spec")]).ok().out(), "stockade");

    fs::remove_file(&path).expect("remove config.json");
    scratch.oci(&["spec", "--rootless", "--bundle", dir]).ok();
    let rootless: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    assert_eq!(rootless["linux"]["uidMappings"][0]["size"], 1);
}

#[test]
fn errors_are_logged_in_both_forms_and_places() {
    let scratch = Scratch::new();
    let text = scratch.oci(&["state", "absent"]).exits(1);
    assert!(text.stderr.starts_with("time=\"2"), "{text}");
    assert!(text.stderr.ends_with(" level=error msg=\"container does not exist\"\n"), "{text}");

    let json = scratch.oci(&["--log-format", "json", "state", "absent"]).exits(1);
    let line: serde_json::Value = serde_json::from_str(&json.stderr).expect("a line of JSON");
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container does not exist");
    assert!(line["time"].as_str().expect("a time").ends_with('Z'));

    let log = scratch.path("log");
    let file = log.to_str().expect("a path of ASCII");
    for _ in 0..2 {
        let output = scratch.oci(&["--log", file, "--log-format=json", "state", "absent"]).exits(1);
        assert_eq!(output.err(), "container does not exist");
    }
    let lines = fs::read_to_string(&log).expect("read the log");
    assert_eq!(lines.lines().filter(|line| line.contains("\"level\":\"error\"")).count(), 2, "{lines}");
    fs::remove_file(&log).expect("remove the log");

    let mistake = scratch.oci(&["--log", file, "--log-format", "json", "no-such-verb"]).exits(1);
    assert!(mistake.stderr.contains("unrecognized subcommand"), "{mistake}");
    let line: serde_json::Value =
        serde_json::from_slice(&fs::read(&log).expect("read the log")).expect("a line of JSON");
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "unrecognized subcommand 'no-such-verb'");
    fs::remove_file(&log).expect("remove the log");

    scratch.oci(&["--log", file, "state"]).exits(1);
    let lines = fs::read_to_string(&log).expect("read the log");
    let reason = "the following required arguments were not provided: <CONTAINER-ID>";
    assert!(lines.contains(&format!("msg=\"{reason}\"")), "{lines}");
    fs::remove_file(&log).expect("remove the log");
}

#[test]
fn mistakes_have_statuses_and_reasons() {
    let scratch = Scratch::new();
    let check = |args: &[&str], code: i32, text: &str| {
        let output: Output = scratch.oci(args).run();
        assert!(output.code == code && output.stderr.contains(text), "expected {code} and {text:?}\n{output}");
    };
    check(&["no-such-verb"], 1, "unrecognized subcommand");
    check(&["state"], 1, "CONTAINER-ID");
    check(&["state", "--no-such-flag", "x"], 1, "--no-such-flag");
    check(&["state", "a/b"], 1, "invalid container ID format");
    check(&["delete", "absent"], 1, "container does not exist");
    check(&["delete", "--force", "absent"], 0, "");
    check(&["kill", "absent", "KILL"], 1, "container does not exist");
    check(&["start", "absent"], 1, "container does not exist");
    check(&["exec", "absent", "true"], 255, "exec failed: container does not exist");
    check(&["pause", "absent"], 1, "container does not exist");
    check(&["ps", "absent"], 1, "container does not exist");
    check(&["events", "absent"], 1, "container does not exist");
    check(&["update", "--memory", "1m", "absent"], 1, "container does not exist");
    check(&["update", "--memory", "1x", "absent"], 1, "invalid size");
    check(&["run", "--bundle", "/no/such/dir", "absent"], 1, "run failed: chdir /no/such/dir: No such file");
    check(&["checkpoint", "absent"], 1, "this build lacks it");
    check(&["restore", "-no-subreaper", "absent"], 1, "this build lacks it");
    assert_eq!(scratch.oci(&["list", "--quiet"]).ok().stdout, "");
    assert_eq!(scratch.oci(&["list", "-f", "json"]).ok().out(), "[]");
}

#[test]
fn a_class_that_is_lacking_is_an_error_wherever_it_is_named() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["true"]);
    let dir = bundle.path().to_str().expect("a path of ASCII").to_owned();
    let id = scratch.id("class");
    let refused = scratch.oci(&["--isolation", "vm", "run", "--bundle", &dir, &id]).exits(1);
    assert!(refused.stderr.contains("isolation class vm cannot run a guest"), "{refused}");
    scratch.oci(&["--isolation", "kernel", "run", "--bundle", &dir, &id]).ok();
    let bundle = bundle.set("/annotations", serde_json::json!({"dev.stockade.isolation": "vm"}));
    let refused = scratch.oci(&["run", "--bundle", &dir, &id]).exits(1);
    assert!(refused.stderr.contains("isolation class vm"), "{refused}");
    scratch.oci(&["--isolation", "native", "run", "--bundle", &dir, &id]).ok();
    drop(bundle);
}
