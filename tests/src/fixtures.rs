//! Where the binaries under test and the fixtures are.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the source tree.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace").to_owned()
}

/// A binary under test: in `STOCKADE_BIN_DIR`, else beside the running test's own target profile.
#[track_caller]
pub fn bin(name: &str) -> PathBuf {
    let dir = env::var_os("STOCKADE_BIN_DIR").map_or_else(profile_dir, PathBuf::from);
    let path = dir.join(name);
    assert!(
        path.is_file(),
        "{} is absent: run `cargo xtask test`, or build it and set STOCKADE_BIN_DIR",
        path.display()
    );
    path
}

/// `target/PROFILE`: the running test is `target/PROFILE/deps/NAME-HASH`.
fn profile_dir() -> PathBuf {
    let deps = deps_dir();
    if deps.ends_with("deps") { deps.parent().expect("deps lies in the profile's directory").to_owned() } else { deps }
}

/// Where cargo puts the programs of tests.
pub(crate) fn deps_dir() -> PathBuf {
    let exe = env::current_exe().expect("a test knows its own path");
    exe.parent().expect("a binary lies in a directory").to_owned()
}

/// An example of some crate, which `cargo test --workspace` builds.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let path = profile_dir().join("examples").join(name);
    assert!(path.exists(), "the example {name} is not built: run `cargo build --workspace --examples`");
    path
}

/// The folder that `cargo xtask setup` fills: `STOCKADE_FIXTURES`, else `target/fixtures` of the workspace.
pub fn fixtures_dir() -> PathBuf {
    env::var_os("STOCKADE_FIXTURES").map_or_else(|| workspace_root().join("target/fixtures"), PathBuf::from)
}

/// A fixture by its path below [`fixtures_dir`]. Fixtures are shared: read them only.
#[track_caller]
pub fn fixture(path: &str) -> PathBuf {
    let found = fixtures_dir().join(path);
    assert!(found.exists(), "fixture {} is absent: run `cargo xtask setup` as root", found.display());
    found
}

/// A root file system as a directory: `busybox` (static, one link per applet), `debian` (debootstrap's minbase),
/// `workloads` (with the programs that CI runs) or, with feature `all`, `workloads-all`.
#[track_caller]
pub fn rootfs(name: &str) -> PathBuf {
    fixture("rootfs").join(name)
}

/// The OCI layout with the tags `busybox`, `debian`, `debian-layers` and `multi`.
#[track_caller]
pub fn oci_layout() -> PathBuf {
    fixture("oci")
}
