//! Class `kernel`: servers and their clients over the loopback of one sandbox do the same as in class `native`.

mod kernel;

use kernel::{Kernel, WORKLOADS};

#[test]
fn redis() {
    Kernel::shared(WORKLOADS).same_scripts("bash", include_str!("kernel/services/redis.sh"));
}

#[test]
fn nginx() {
    Kernel::shared(WORKLOADS).same_scripts("bash", include_str!("kernel/services/nginx.sh"));
}
