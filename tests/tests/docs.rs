//! The reference pages say what the binaries say.

use std::fs;

use stockade_kernel_platform::host_calls::{Allowed, OF_STUBS};
use stockade_tests::{reference, workspace_root};

#[test]
fn reference_pages_are_current() {
    for page in reference::pages() {
        let stored = fs::read_to_string(workspace_root().join(page.path)).unwrap_or_default();
        assert!(stored == page.text, "{} is out of date: run `cargo xtask docs`", page.path);
    }
}

/// Which host calls there are is one list in code; the page shows it.
#[test]
fn the_trap_paths_page_lists_every_host_call() {
    let page = fs::read_to_string(workspace_root().join("docs/rfcs/0001-trap-path.md")).expect("read the page");
    let monitor = format!("| monitor | {} | a filter of its own |", stockade_kernel_monitor::host_calls().join(", "));
    for row in OF_STUBS.iter().map(Allowed::row).chain([monitor]) {
        assert!(page.contains(&format!("{row}\n")), "docs/rfcs/0001-trap-path.md lacks the row\n{row}");
    }
}
