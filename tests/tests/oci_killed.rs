//! A `create` that is killed at any point leaves nothing that `delete --force` does not remove.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
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

fn time_of_create(scratch: &Scratch, bundle: &Bundle) -> Duration {
    let id = scratch.id("timed");
    let start = Instant::now();
    scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    let whole = start.elapsed();
    scratch.oci(&["delete", "--force", &id]).ok();
    whole
}
