//! A `create` that is killed at any point leaves nothing that `delete --force` does not remove, and no volume half
//! filled.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use stockade_tests::{Bundle, Scratch, wait_until};

const POINTS: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Whoever enters a frozen control group stops there: class `kernel`'s monitor and proxy were cloned, nothing answers.
#[test]
fn a_create_that_is_killed_before_its_monitor_answers_is_removed() {
    let scratch = Scratch::new();
    let id = scratch.id("unanswered");
    let bundle = scratch.bundle(&["sleep", "1000"]).set("/linux/cgroupsPath", format!("/{id}").into());
    let cgroup = frozen_cgroup(&id);
    let create = || scratch.oci(&["--isolation", "kernel", "create", "--bundle"]).arg(bundle.path()).arg(&id);
    let unanswered = create().spawn();
    wait_until("its monitor, file server and proxy to stop", PATIENCE, || processes(&cgroup) == 3);
    unanswered.signal(Signal::KILL);
    drop(unanswered.wait());
    assert_eq!(processes(&cgroup), 3);
    scratch.oci(&["delete", "--force", &id]).ok();
    assert!(!cgroup.exists());
    create().ok();
    scratch.oci(&["delete", "--force", &id]).ok();
}

fn frozen_cgroup(id: &str) -> PathBuf {
    let v1 = Path::new("/sys/fs/cgroup/freezer");
    let (hierarchy, file, frozen) =
        if v1.exists() { (v1, "freezer.state", "FROZEN") } else { (Path::new("/sys/fs/cgroup"), "cgroup.freeze", "1") };
    let cgroup = hierarchy.join(id);
    fs::create_dir(&cgroup).expect("make a control group");
    fs::write(cgroup.join(file), frozen).expect("freeze it");
    cgroup
}

/// How many there are in a container's control group, or in the monitor's part of it.
fn processes(cgroup: &Path) -> usize {
    let count = |dir: &Path| fs::read_to_string(dir.join("cgroup.procs")).map_or(0, |text| text.lines().count());
    count(cgroup) + count(&cgroup.join("monitor"))
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
