//! Class `kernel`: a larger database server does the same as in class `native`.

mod kernel;

use std::time::Duration;

use kernel::{ALL_WORKLOADS, Kernel};

#[test]
fn postgresql() {
    let scripts = include_str!("kernel/services/postgresql.sh");
    Kernel::shared(ALL_WORKLOADS).same_scripts_within(Duration::from_secs(600), "bash", scripts);
}
