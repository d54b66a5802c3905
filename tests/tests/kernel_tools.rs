//! Class `kernel`: the tools that people run every day say and return the same as in class `native`.

mod kernel;

use std::time::Duration;

use kernel::{Kernel, WORKLOADS};

#[test]
fn coreutils() {
    check(include_str!("kernel/tools/coreutils.sh"));
}

#[test]
fn findutils() {
    check(include_str!("kernel/tools/findutils.sh"));
}

#[test]
fn text() {
    check(include_str!("kernel/tools/text.sh"));
}

#[test]
fn archives() {
    check(include_str!("kernel/tools/archives.sh"));
}

#[test]
fn packages() {
    check(include_str!("kernel/tools/packages.sh"));
}

#[test]
fn git() {
    check(include_str!("kernel/tools/git.sh"));
}

#[test]
fn compilers() {
    check(include_str!("kernel/tools/builds.sh"));
}

#[test]
fn a_c_program_is_built_and_tested() {
    check(include_str!("kernel/tools/build_source.sh"));
}

#[test]
fn job_control() {
    check(include_str!("kernel/tools/jobs.sh"));
}

#[test]
fn sqlite() {
    check(include_str!("kernel/tools/sqlite.sh"));
}

#[track_caller]
fn check(scripts: &str) {
    Kernel::shared(WORKLOADS).same_scripts_within(Duration::from_secs(300), "bash", scripts);
}
