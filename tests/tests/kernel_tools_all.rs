//! Class `kernel`: the longer runs of the tools that people use.

mod kernel;

use std::time::Duration;

use kernel::{Kernel, WORKLOADS};

#[test]
fn git_with_20000_files() {
    check(include_str!("kernel/tools/git_large.sh"));
}

#[test]
fn sqlite_with_100000_rows() {
    check(include_str!("kernel/tools/sqlite_large.sh"));
}

#[test]
fn a_c_program_configures_itself() {
    check(include_str!("kernel/tools/build_configured.sh"));
}

#[track_caller]
fn check(scripts: &str) {
    Kernel::shared(WORKLOADS).same_scripts_within(Duration::from_secs(600), "bash", scripts);
}
