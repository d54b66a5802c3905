//! `cargo xtask lab run --exact`: time is executed instructions.

use std::time::Duration;

use stockade_tests::{Cmd, LAB};

/// A lab's boot on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(300);

#[test]
fn a_million_instructions_are_a_millisecond() {
    let dir = tempfile::tempdir().expect("make a directory");
    LAB.build(&["spin"], dir.path());
    let xtask =
        Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(["lab", "run", "--exact", "--"]).arg(dir.path().join("spin"));
    let output = xtask.timeout(TIMEOUT).ok();
    let passed_us: u64 = output.out().parse().expect("a number");
    // Two ticks of the lab's clock, and the page fault of the clock's page, are in it.
    assert!((10_000..11_000).contains(&passed_us), "{passed_us} us for ten million instructions");
}
