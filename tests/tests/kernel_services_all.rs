//! Class `kernel`: database servers do the same as in class `native`.

mod kernel;

use std::time::Duration;

use kernel::{ALL_WORKLOADS, Kernel, WORKLOADS};

#[test]
fn postgresql() {
    let scripts = include_str!("kernel/services/postgresql.sh");
    Kernel::shared(ALL_WORKLOADS).same_scripts_within(Duration::from_secs(600), "bash", scripts);
}

#[test]
fn redis() {
    let scripts = include_str!("kernel/services/redis.sh");
    Kernel::shared(WORKLOADS).same_scripts_within(Duration::from_secs(300), "bash", scripts);
}
