//! Process 1 of a guest of class `vm`, in a guest: what a host can show of it, `vm/agent/tests` does.

use std::path::PathBuf;

use stockade_tests::{Lab, bin, fixture};

use super::Case;

pub(super) const CASES: &[Case] = &[("the agent in a guest", agent_in_a_guest)];

/// One boot for all looks.
fn agent_in_a_guest(lab: &mut Lab) {
    let words = [example(), bin("stockade"), bin("stockade-agent"), fixture("lab/kernel")];
    let output = lab.run(words.map(|word| word.display().to_string()));
    assert_eq!(output.code, 0, "{output}");
}

/// Cargo builds a crate's examples with its tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("a test lies in the target directory");
    let path = target.join("examples/agent_guest");
    assert!(path.exists(), "{} is not built: cargo build -p stockade-agent --examples", path.display());
    path
}
