//! The reference pages say what the binaries say.

use std::fs;

use stockade_tests::{reference, workspace_root};

#[test]
fn reference_pages_are_current() {
    for page in reference::pages() {
        let stored = fs::read_to_string(workspace_root().join(page.path)).unwrap_or_default();
        assert!(stored == page.text, "{} is out of date: run `cargo xtask docs`", page.path);
    }
}
