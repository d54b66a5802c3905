//! The block device on a small file, with either engine, against a hostile driver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_vmm::config::{CacheType, IoEngine};
use stockade_vmm::devices::virtio::block::{Access, Block, Disk};
use stockade_vmm::devices::virtio::limiter::Limiter;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::tempfile().expect("file");
    file.set_len(64 << 10).expect("grow");
    let (engine, bytes) = match bytes.split_first() {
        Some((first, rest)) if first % 2 == 1 => (IoEngine::Async, rest),
        _ => (IoEngine::Sync, bytes),
    };
    let disk = Disk::new(file, Access::ReadWrite, CacheType::Writeback).expect("disk");
    stockade_vm_fuzz::drive(&mut Block::new(disk, Limiter::new(None).expect("timer"), engine), bytes);
});
