//! A kernel that is no Linux: it is entered by PVH, and resets its machine by ACPI.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use stockade_tests::workspace_root;
use tempfile::TempDir;

use super::super::guest::Vmm;

pub(super) fn boot(_: &Path) {
    let place = TempDir::new().expect("a directory");
    let source = workspace_root().join("tests/lab/pvh.S");
    let mut gcc = Command::new("gcc");
    gcc.args(["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-Ttext-segment=0x200000", "-o"]);
    assert!(gcc.arg(place.path().join("kernel")).arg(source).status().expect("start gcc").success());
    let config = json!({
        "boot-source": {"kernel_image_path": "kernel", "boot_args": "words for a kernel"},
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 128},
    });
    fs::write(place.path().join("config.json"), config.to_string()).expect("write a file");
    let flags = ["--no-api", "--config-file", "config.json", "--log-path", "log"];
    let (status, serial) = Vmm::spawn(place, &flags).end();
    assert!(status == 0 && serial.starts_with("words for a kernel"), "{status}\n{serial}");
}
