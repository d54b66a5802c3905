//! The network card against a hostile driver, with some frames waiting for it.
#![no_main]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use libfuzzer_sys::fuzz_target;
use stockade_vmm::devices::virtio::limiter::Limiter;
use stockade_vmm::devices::virtio::net::{Identity, Net, Tap};

fuzz_target!(|bytes: &[u8]| {
    let (network, card) = UnixDatagram::pair().expect("pair");
    card.set_nonblocking(true).expect("non-blocking");
    network.set_nonblocking(true).expect("non-blocking");
    for len in [60, 1514, 30_000] {
        network.send(&vec![7; len]).expect("send");
    }
    let limiter = || Limiter::new(None).expect("timer");
    let tap = Tap::over(File::from(OwnedFd::from(card)));
    stockade_vm_fuzz::drive(&mut Net::new(tap, Identity::default(), limiter(), limiter()), bytes);
});
