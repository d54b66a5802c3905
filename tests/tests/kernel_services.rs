//! Class `kernel`: servers and their clients over the loopback of one sandbox do the same as in class `native`.

mod kernel;

use std::time::Duration;

use kernel::{Kernel, WORKLOADS};

#[test]
fn nginx() {
    check(include_str!("kernel/services/nginx.sh"));
}

#[test]
fn redis() {
    check(include_str!("kernel/services/redis.sh"));
}

#[track_caller]
fn check(scripts: &str) {
    Kernel::shared(WORKLOADS).same_scripts_within(Duration::from_secs(300), "bash", scripts);
}
