//! A guest of `--config-file`, without an API: a bzImage by the 64-bit protocol, one processor, the first version of
//! the metadata service, and the end by ACPI.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::super::guest::{Vmm, boot_source};
use super::tap::Tap;

pub(super) fn boot(dir: &Path) {
    let _tap = Tap::new("tap2", 2);
    let place = TempDir::new().expect("a directory");
    let config = json!({
        "boot-source": boot_source(dir, "vmlinuz", "console=ttyS0 panic=1 quiet"),
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 256},
        "network-interfaces": [{"iface_id": "eth0", "host_dev_name": "tap2"}],
        "mmds-config": {"version": "V1", "network_interfaces": ["eth0"], "ipv4_address": "169.254.170.2"},
    });
    fs::write(place.path().join("config.json"), config.to_string()).expect("write a file");
    fs::write(place.path().join("metadata.json"), r#"{"latest": {"name": "box"}}"#).expect("write a file");
    let flags = ["--no-api", "--config-file", "config.json", "--metadata", "metadata.json"];
    let mut vmm = Vmm::spawn(place, &flags);
    vmm.wait_up();
    assert_eq!(vmm.sh("nproc"), "1");
    let name = vmm.sh("ip addr add 172.16.2.2/30 dev eth0; ip link set eth0 up; ip route add 169.254.170.2 dev eth0
        wget -q -O - http://169.254.170.2/latest/name");
    assert_eq!(name, "box");
    vmm.send("poweroff -f");
    let (status, serial) = vmm.end();
    assert_eq!(status, 0, "{serial}");
}
