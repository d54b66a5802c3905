//! Disks as a guest sees them, and what of it reaches the host's files.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use serde_json::json;

use super::super::guest::Vmm;
use super::devices::configured;
use super::loop_device::LoopDevice;

const MIB: usize = 1 << 20;

/// The device is one of the disks.
pub(super) fn configure(vmm: &Vmm) -> LoopDevice {
    fs::write(vmm.path("data"), vec![b'd'; 4 * MIB]).expect("make a disk");
    fs::write(vmm.path("fixed"), vec![b'f'; MIB]).expect("make a disk");
    fs::write(vmm.path("other"), vec![b'o'; 2 * MIB]).expect("make a disk");
    let data = json!({
        "drive_id": "data", "path_on_host": "data", "is_root_device": false, "cache_type": "Writeback",
        "io_engine": "Async"
    });
    let fixed = json!({"drive_id": "fixed", "path_on_host": "fixed", "is_root_device": false, "is_read_only": true});
    vmm.put("/drives/data", data);
    vmm.put("/drives/fixed", fixed);
    fs::write(vmm.path("behind"), vec![b'b'; 2 * MIB]).expect("make a disk");
    let device = LoopDevice::new(&vmm.path("behind"));
    let block = json!({
        "drive_id": "block", "path_on_host": device.path(), "is_root_device": false, "cache_type": "Writeback",
        "io_engine": "Async"
    });
    vmm.put("/drives/block", block);
    device
}

pub(super) fn look(vmm: &mut Vmm) {
    let seen = vmm.sh("cd /sys/block; cat vda/serial vda/queue/write_cache vda/ro vdb/ro vdb/queue/write_cache
        head -c 4 /dev/vda; head -c 4 /dev/vdb");
    assert_eq!(seen, "datawrite back\n0\n1\nwrite through\nddddffff");
    assert_eq!(threads(vmm), 1, "the disk without io_uring has one");
    writes(vmm);
    many_writes(vmm);
    discards(vmm);
    block_device(vmm);
    changes(vmm);
}

/// What was flushed is in the file; what may only be read stays as it is.
fn writes(vmm: &mut Vmm) {
    vmm.sh("echo written | dd of=/dev/vda bs=512 seek=3 conv=sync,fsync,notrunc 2>/dev/null");
    let mut bytes = [0; 8];
    File::open(vmm.path("data")).expect("the disk").read_exact_at(&mut bytes, 3 * 512).expect("read");
    assert_eq!(&bytes, b"written\n");
    let (status, said) = vmm.run("dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=notrunc,fsync");
    assert_ne!(status, 0, "{said}");
    assert!(fs::read(vmm.path("fixed")).expect("read").iter().all(|byte| *byte == b'f'));
}

/// Threads of disks.
fn threads(vmm: &Vmm) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", vmm.pid())).expect("threads").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "disk").count()
}

/// All of it arrives, and comes back.
fn many_writes(vmm: &mut Vmm) {
    vmm.sh("seq 200000 | head -c 786432 >/tmp/seq");
    vmm.sh("dd if=/tmp/seq of=/dev/vda bs=4k seek=800 conv=notrunc,fsync 2>/dev/null; blockdev --flushbufs /dev/vda");
    assert_eq!(vmm.sh("dd if=/dev/vda bs=4k skip=800 count=192 2>/dev/null | cmp - /tmp/seq && rm /tmp/seq"), "");
    let mut expected: Vec<u8> = (1..=200_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    expected.truncate(786_432);
    let mut bytes = vec![0; expected.len()];
    File::open(vmm.path("data")).expect("the disk").read_exact_at(&mut bytes, 800 * 4096).expect("read");
    assert!(bytes == expected, "what was flushed is in the file");
}

/// Discarded space is the host's again.
fn discards(vmm: &mut Vmm) {
    let space = || fs::metadata(vmm.path("data")).expect("the disk").blocks() * 512;
    let before = space();
    vmm.sh("blkdiscard -o 1048576 -l 2097152 /dev/vda");
    let after = fs::metadata(vmm.path("data")).expect("the disk").blocks() * 512;
    assert_eq!(before - after, 2 << 20);
    assert_eq!(vmm.sh("dd if=/dev/vda bs=1M skip=1 count=2 2>/dev/null | tr -d '\\0' | wc -c"), "0");
}

/// A block device of the host serves as a file does.
fn block_device(vmm: &mut Vmm) {
    assert_eq!(vmm.sh("blockdev --getsize64 /dev/vdc; head -c 4 /dev/vdc"), "2097152\nbbbb");
    vmm.sh("echo written | dd of=/dev/vdc bs=512 seek=5 conv=sync,fsync,notrunc 2>/dev/null");
    vmm.sh("blkdiscard -o 1048576 -l 1048576 /dev/vdc");
    let bytes = fs::read(vmm.path("behind")).expect("what is behind the device");
    assert_eq!(&bytes[5 * 512..5 * 512 + 8], b"written\n");
    assert!(bytes[MIB..].iter().all(|byte| *byte == 0), "what was discarded reads as zeroes");
}

/// Another file behind a drive, and limits.
fn changes(vmm: &mut Vmm) {
    vmm.patch("/drives/data", json!({"drive_id": "data", "path_on_host": "other"}));
    let seen = vmm.sh("until [ $(blockdev --getsize64 /dev/vda) = 2097152 ]; do sleep 0.1; done
        blockdev --flushbufs /dev/vda; head -c 4 /dev/vda");
    assert_eq!(seen, "oooo");
    let limits = json!({"ops": {"size": 1000, "refill_time": 100, "one_time_burst": null}, "bandwidth": null});
    vmm.patch("/drives/data", json!({"drive_id": "data", "rate_limiter": limits}));
    assert_eq!(configured(vmm, "drives", "drive_id", "data")["rate_limiter"], limits);
    assert_eq!(vmm.sh("dd if=/dev/vda bs=64k 2>/dev/null | wc -c"), "2097152");
    let (status, _) =
        vmm.request("PATCH", "/drives/data", &json!({"drive_id": "data", "path_on_host": "/nonexistent"}));
    assert_eq!(status, 400);
}
