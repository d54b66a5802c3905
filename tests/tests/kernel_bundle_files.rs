//! Class `kernel` on a bundle's directory: each family of calls about files, large directories and large files, and
//! listings that are believed for a moment, compared with class `native`.

mod kernel;

use std::fs;

use kernel::PATIENCE;
use kernel::bundles::{CAPABILITIES, debian, oci, run, same_scripts, with_capabilities};
use kernel::conformance::{DRIVER, assert_same, install};
use serde_json::json;
use stockade_tests::{Bundle, Scratch, wait_until};

/// Programs of `tests/conformance` that work on files; they run in a directory of the bundle.
const PROGRAMS: [&str; 8] = ["acls", "directories", "files", "locks", "pipes", "tasks", "unix", "xattrs"];

fn with_programs(scratch: &Scratch) -> Bundle {
    let args = [&["sh", "-c", DRIVER, "sh", "/data"], &PROGRAMS[..]].concat();
    // A link to an open file by its number takes this one before Linux 6.10, and in our kernel.
    let all = json!([&CAPABILITIES[..], &["CAP_DAC_READ_SEARCH"]].concat());
    let bundle = with_capabilities(scratch.bundle(&args))
        .set("/process/capabilities", json!({"bounding": all, "effective": all, "permitted": all}));
    install(&PROGRAMS, &bundle.rootfs());
    bundle
}

#[test]
fn programs_about_files_say_the_same_on_linux() {
    let scratch = Scratch::new();
    let [native, kernel] = ["native", "kernel"].map(|class| run(&scratch, class, &with_programs(&scratch)).stdout);
    assert_same(&PROGRAMS, &native, &kernel);
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
