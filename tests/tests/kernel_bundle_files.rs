//! Class `kernel` on a bundle's directory: each family of calls about files, large directories and large files, and
//! listings that are believed for a moment, compared with class `native`.

mod kernel;

use std::fs;
use std::path::Path;
use std::process::Command;

use kernel::PATIENCE;
use kernel::bundles::{CAPABILITIES, debian, oci, run, same_scripts, with_capabilities};
use serde_json::json;
use stockade_tests::{Bundle, Scratch, wait_until, workspace_root};

/// Programs of `tests/conformance` about files; they run in a directory of the bundle.
const PROGRAMS: [&str; 6] = ["directories", "files", "locks", "pipes", "unix", "xattrs"];

const DRIVER: &str = "for n; do mkdir -p /data/$n; cd /data/$n; echo == $n; timeout 30 /conformance/$n 2>&1 </dev/null; \
                      echo exit code $?; done";

fn with_programs(scratch: &Scratch) -> Bundle {
    let args = [&["sh", "-c", DRIVER, "sh"], &PROGRAMS[..]].concat();
    // A link to an open file by its number takes this one before Linux 6.10, and in our kernel.
    let all = json!([&CAPABILITIES[..], &["CAP_DAC_READ_SEARCH"]].concat());
    let bundle = with_capabilities(scratch.bundle(&args))
        .set("/process/capabilities", json!({"bounding": all, "effective": all, "permitted": all}));
    let programs = bundle.rootfs().join("conformance");
    fs::create_dir(&programs).expect("make a directory");
    PROGRAMS.iter().for_each(|name| compile(name, &programs));
    bundle
}

#[track_caller]
fn compile(name: &str, directory: &Path) {
    let source = workspace_root().join("tests/conformance").join(name).with_extension("c");
    let flags = ["-O1", "-Wall", "-Werror", "-static", "-pthread", "-o"];
    let built = Command::new("cc").args(flags).arg(directory.join(name)).arg(source).status();
    assert!(built.expect("run cc").success(), "cc builds {name}");
}

/// Programs wait for what happens elsewhere, and a busy machine may keep it waiting longer: a difference counts when it
/// shows as often as this.
const ATTEMPTS: usize = 3;

#[test]
fn programs_about_files_say_the_same_on_linux() {
    let mut report = String::new();
    for _ in 0..ATTEMPTS {
        let scratch = Scratch::new();
        let [native, kernel] = ["native", "kernel"].map(|class| run(&scratch, class, &with_programs(&scratch)).stdout);
        report = differences(&native, &kernel);
        if report.is_empty() {
            return;
        }
        eprintln!("{report}");
    }
    panic!("classes native (-) and kernel (+) differ:\n{report}");
}

fn differences(native: &str, kernel: &str) -> String {
    let (native, kernel): (Vec<&str>, Vec<&str>) = (native.lines().collect(), kernel.lines().collect());
    assert!(native.iter().filter(|line| **line == "exit code 0").count() == PROGRAMS.len(), "{native:?}");
    let pairs = (0..native.len().max(kernel.len())).map(|index| (native.get(index), kernel.get(index)));
    let program = |index: usize| native[..index.min(native.len())].iter().rev().find(|line| line.starts_with("=="));
    let differ = pairs.enumerate().filter(|(_, (native, kernel))| native != kernel);
    differ.map(|(index, (native, kernel))| format!("{:?}:\n- {native:?}\n+ {kernel:?}\n", program(index))).collect()
}

/// What was listed a moment ago is believed, and yet each change by a program shows at once.
const AFTER_A_LISTING: &str = include_str!("kernel/after_a_listing.sh");

#[test]
fn what_was_listed_changes_at_once() {
    same_scripts("bash", AFTER_A_LISTING);
}

/// Fifos, sockets, links, unnamed files, attributes, holes.
const KINDS: &str = include_str!("kernel/kinds_of_files.sh");

#[test]
fn kinds_of_files_are_what_they_are() {
    same_scripts("bash", KINDS);
}

#[test]
fn a_directory_of_100_000_names_is_whole() {
    let script = "ls /d | md5sum; stat -c %n /d/1 /d/50000 /d/100000; cat /d/100001; rm /d/7 /d/77; touch /d/new; \
                  ls /d/7; mv /d /e; cat /e/9; rmdir /e; ls /d";
    let scratch = Scratch::new();
    let [native, kernel] = ["native", "kernel"].map(|class| {
        let bundle = debian(&["sh", "-c", script]);
        let directory = bundle.rootfs().join("d");
        fs::create_dir(&directory).expect("make a directory");
        (1..=100_000)
            .for_each(|number| drop(fs::File::create(directory.join(number.to_string())).expect("make a file")));
        oci(&scratch, class, &["run", "--bundle"])
            .arg(bundle.path())
            .arg(scratch.id(class))
            .timeout(PATIENCE * 10)
            .run()
    });
    assert!(native.stdout.contains("/d/100000\n"), "{native}");
    assert_eq!((&kernel.stdout, &kernel.stderr, kernel.code), (&native.stdout, &native.stderr, native.code));
}

/// The host is believed for a second, no longer.
#[test]
fn what_the_host_changes_shows_soon() {
    let scratch = Scratch::new();
    let script = "ls /d; cat /d/*; echo >/up; until [ -e /d/new ]; do sleep 0.1; done; until [ ! -e /d/gone ]; do sleep 0.1; done; \
                  until [ $(cat /d/swapped) = two ]; do sleep 0.1; done; until [ -d /d/kind ]; do sleep 0.1; done; \
                  until [ $(stat -c %s /d/long) = 9 ]; do ls -l /d >/dev/null; sleep 0.1; done; ls /d; cat /d/new";
    let bundle = with_capabilities(scratch.bundle(&["sh", "-c", script]));
    let directory = bundle.rootfs().join("d");
    fs::create_dir(&directory).expect("make a directory");
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("write a file");
    ["gone", "swapped", "kind", "long"].iter().for_each(|name| write(name, "one"));
    let running = oci(&scratch, "kernel", &["run", "--bundle"]).arg(bundle.path()).arg(scratch.id("soon")).spawn();
    wait_until("it to look", PATIENCE, || bundle.rootfs().join("up").exists());
    write("new", "new\n");
    fs::remove_file(directory.join("gone")).expect("remove a file");
    write("other", "two");
    fs::rename(directory.join("other"), directory.join("swapped")).expect("rename a file");
    fs::remove_file(directory.join("kind")).expect("remove a file");
    fs::create_dir(directory.join("kind")).expect("make a directory");
    write("long", "nine long");
    let output = running.wait();
    assert!(output.stdout.ends_with("kind\nlong\nnew\nswapped\nnew\n") && output.code == 0, "{output}");
}
