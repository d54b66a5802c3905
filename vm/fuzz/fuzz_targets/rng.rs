//! The entropy source against a hostile driver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_vmm::devices::virtio::rng::Rng;

fuzz_target!(|bytes: &[u8]| stockade_vm_fuzz::drive(&mut Rng::default(), bytes));
