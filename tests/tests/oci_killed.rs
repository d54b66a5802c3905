//! A `create` that is killed at any point leaves nothing that `delete --force` does not remove, and no volume half
//! filled.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use stockade_tests::{Bundle, Scratch};

const POINTS: u32 = 40;

#[test]
fn delete_removes_what_a_killed_create_left() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sleep", "1000"]);
    let whole = time_of_create(&scratch, &bundle);
    for point in 0..POINTS {
        let id = scratch.id(&format!("killed-{point}"));
        let create = scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(&id).spawn();
        sleep(whole * point / POINTS);
        create.signal(Signal::KILL);
        drop(create.wait());
        scratch.oci(&["delete", "--force", &id]).ok();
        let state = scratch.oci(&["state", &id]).exits(1);
        assert!(state.stderr.contains("container does not exist"), "{state}");
    }
    assert_eq!(scratch.oci(&["list", "--quiet"]).ok().stdout, "");
}

#[test]
fn the_next_container_fills_the_volume_of_a_killed_one() {
    let scratch = Scratch::new();
    let (volume, bundle) = (scratch.path("volume"), scratch.bundle(&["sleep", "1000"]));
    let mount =
        json!({"type": "bind", "source": &volume, "destination": "/bin", "options": ["rbind", "ro", "tmpcopyup"]});
    let bundle = bundle.mount(mount);
    fs::create_dir(&volume).unwrap();
    let whole = time_of_create(&scratch, &bundle);
    let expected = names(&bundle.rootfs().join("bin"));
    let mut begun = 0;
    for point in 0..POINTS {
        fs::remove_dir_all(&volume).unwrap();
        fs::create_dir(&volume).unwrap();
        let create = scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(scratch.id("killed")).spawn();
        sleep(whole * point / POINTS);
        create.signal(Signal::KILL);
        drop(create.wait());
        begun += u32::from(volume.join(".stockade-filling").exists());
        scratch.oci(&["delete", "--force", &scratch.id("killed")]).ok();
        time_of_create(&scratch, &bundle);
        assert_eq!(names(&volume), expected, "killed at point {point}");
    }
    assert!(begun > 0, "no copy was cut short");
}

fn names(dir: &Path) -> BTreeSet<OsString> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

fn time_of_create(scratch: &Scratch, bundle: &Bundle) -> Duration {
    let id = scratch.id("timed");
    let start = Instant::now();
    scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    let whole = start.elapsed();
    scratch.oci(&["delete", "--force", &id]).ok();
    whole
}
