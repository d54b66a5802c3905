//! `stockade-oci delete` where nobody waits for the container's orphans.

use rustix::process::{getpid, set_child_subreaper};
use stockade_tests::{Scratch, leaks};

/// A detached exec's process is the child of nobody in the container's pid namespace, and the namespace's init cannot
/// end before somebody has waited for it. This test is the one test of its process, for it is the reaper and does not
/// reap.
#[test]
fn delete_does_not_wait_for_the_hosts_reaper() {
    set_child_subreaper(Some(getpid())).expect("become a subreaper");
    {
        let scratch = Scratch::new();
        let bundle = scratch.bundle(&["sleep", "1000"]);
        let id = scratch.id("unreaped");
        scratch.oci(&["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).ok();
        scratch.oci(&["exec", "--detach", &id, "sleep", "1001"]).ok();
        scratch.oci(&["delete", "--force", &id]).ok();
        assert!(!scratch.oci_root().join(&id).exists());
    }
    assert_eq!(leaks::descendants_left(), Vec::<String>::new());
}
