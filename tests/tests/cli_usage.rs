//! The grammar of `stockade`, its documents, its config file and its exit statuses, without a container.

mod people;

use people::People;
use std::fs;

#[test]
fn help_is_for_everyone_and_mistakes_are_125() {
    let people = People::empty();
    let help = people.scratch.marked(stockade_tests::Cmd::new(stockade_tests::bin("stockade"))).ok();
    assert!(help.stdout.contains("Usage: stockade") && help.stderr.is_empty(), "{help}");
    assert!(people.stockade(&["run", "--help"]).ok().stdout.contains("--cap-drop"));
    let check = |args: &[&str], expected: &str| {
        let output = people.stockade(args).exits(125);
        assert!(output.stdout.is_empty() && output.stderr.contains(expected), "{output}");
    };
    check(&["inspct"], "'inspect'");
    check(&["run", "--naem", "x", "busybox"], "'--name'");
    check(&["run"], "required");
    check(&["run", "-m", "lots", "busybox"], "invalid size");
    check(&["run", "--network", "bridge", "busybox"], "container networks are not in this build");
    check(&["run", "-p", "80:80", "busybox"], "--publish: published ports need container networks");
    check(&["run", "--restart", "always", "busybox"], "restart policies are not in this build");
    check(&["run", "--health-cmd", "true", "busybox"], "health checks are not in this build");
}

#[test]
fn a_lacking_class_is_refused_however_it_was_chosen() {
    let people = People::empty();
    let check = |args: &[&str], class: &str| {
        let error = people.stockade(args).exits(125).stderr;
        assert!(error.contains(&format!("isolation class {class} cannot run a guest: ")), "{error}");
    };
    check(&["run", "--isolation", "vm", "busybox"], "vm");
    check(&["create", "--isolation=vm", "busybox"], "vm");
    check(&["run", "--annotation", "dev.stockade.isolation=vm", "busybox"], "vm");
    let config = people.scratch.path("config.toml");
    fs::write(&config, "isolation = 'vm'\n").unwrap();
    check(&["--config", config.to_str().unwrap(), "run", "busybox"], "vm");
    check(&["--config", config.to_str().unwrap(), "run", "--annotation", "dev.stockade.isolation=vm", "busybox"], "vm");
    check(&["run", "--isolation", "vm", "--guest-kernel", "small", "busybox"], "vm");
    let error = people.stockade(&["run", "--guest-kernel", "small", "busybox"]).exits(125).stderr;
    assert!(error.contains("only class vm has one, and this is native"), "{error}");
    let error = people.stockade(&["run", "--isolation", "xen", "busybox"]).exits(125).stderr;
    assert!(error.contains("choose native, kernel or vm"), "{error}");
}

#[test]
fn unknown_config_keys_are_refused_with_the_nearest() {
    let people = People::empty();
    let config = people.scratch.path("config.toml");
    let path = config.to_str().unwrap();
    let check = |text: &str, expected: &str| {
        fs::write(&config, text).unwrap();
        let error = people.stockade(&["--config", path, "ps"]).exits(1).stderr;
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("isolatoin = 'native'", "unknown key \"isolatoin\": did you mean \"isolation\"?");
    check("[image]\nparalel_downloads = 1", "did you mean \"parallel_downloads\"?");
    check("[container]\nulimits = 1", "invalid type");
    let error = people.stockade(&["--config", "/nonexistent.toml", "ps"]).exits(1).stderr;
    assert!(error.contains("/nonexistent.toml") && error.contains("No such file"), "{error}");
}

#[test]
fn the_default_config_is_accepted_as_it_is() {
    let people = People::empty();
    let sample = people.stockade(&["info", "--default-config"]).ok().stdout;
    let config = people.scratch.path("config.toml");
    fs::write(&config, &sample).unwrap();
    people.stockade(&["--config", config.to_str().unwrap(), "images"]).ok();
    assert!(sample.contains("#isolation = \"native\""), "{sample}");
}

#[test]
fn completion_and_man_pages_name_every_verb() {
    let people = People::empty();
    let directory = people.scratch.path("man");
    people.stockade(&["man", directory.to_str().unwrap()]).ok();
    for shell in ["bash", "zsh", "fish"] {
        let script = people.stockade(&["completion", shell]).ok().stdout;
        for verb in ["run", "exec", "stats", "unpause", "completion"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        assert!(script.contains("cap-drop"), "{shell}");
    }
    for verb in ["run", "create", "exec", "logs", "image", "image-ls", "events"] {
        let page = fs::read_to_string(directory.join(format!("stockade-{verb}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{verb}: {page}");
    }
}

#[test]
fn version_and_info_speak_template_and_json() {
    let people = People::empty();
    assert!(people.stockade(&["version"]).ok().stdout.contains("Version:"));
    assert!(people.stockade(&["--version"]).ok().stdout.starts_with("stockade "));
    let version = people.stockade(&["version", "--format", "json"]).ok().json();
    let plain = people.stockade(&["version", "-f", "{{.Version}} {{upper .Os}}"]).ok();
    assert_eq!(plain.out(), format!("{} LINUX", version["Version"].as_str().unwrap()));
    let info = people.stockade(&["info", "--format", "json"]).ok().json();
    assert_eq!(info["Containers"], 0);
    assert_eq!(info["RootDir"], people.scratch.root().to_str().unwrap());
    let classes = people.stockade(&["info", "-f", "{{range .Classes}}{{.Name}}={{.Available}} {{end}}"]).ok();
    assert_eq!(classes.out(), "native=true kernel=true vm=false");
    // There is no guest kernel, wherever this runs, and often no KVM that runs guests.
    let said = people.stockade(&["info"]).ok();
    let reason = said.stdout.lines().find_map(|line| line.trim().strip_prefix("vm: not available: "));
    let remedies = ["stockade vm kernel import", "/dev/kvm"];
    assert!(reason.is_some_and(|reason| remedies.iter().any(|remedy| reason.contains(remedy))), "{said}");
    let error = people.stockade(&["info", "-f", "{{.Nmae}}"]).exits(1).stderr;
    assert!(error.contains("did you mean \"Name\""), "{error}");
}

#[test]
fn a_closed_pipe_ends_a_listing_quietly() {
    let people = People::empty();
    let program = stockade_tests::bin("stockade");
    let script = format!("{} completion bash | true; echo ${{PIPESTATUS[0]}}", program.display());
    let output = stockade_tests::Cmd::new("bash").args(["-c", &script]).ok();
    assert!(output.stderr.is_empty() && ["141", "0"].contains(&output.out()), "{output}");
    drop(people);
}
