//! The memory balloon, with all its queues, against a hostile driver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_vmm::config::BalloonConfig;
use stockade_vmm::devices::virtio::balloon::Balloon;

fuzz_target!(|bytes: &[u8]| {
    let config = BalloonConfig { stats_polling_interval_s: 1, free_page_reporting: true, ..Default::default() };
    stockade_vm_fuzz::drive(&mut Balloon::new(config).expect("timer"), bytes);
});
