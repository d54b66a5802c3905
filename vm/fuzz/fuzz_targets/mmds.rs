//! The metadata service: the input is a document, a zero byte, and what a guest writes to a connection; or, where it
//! begins with a zero byte, a guest's frames, each after its length in two bytes.
#![no_main]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use stockade_vmm::config::{MmdsConfig, MmdsVersion};
use stockade_vmm::mmds::{Mmds, Stack, answers};

const LIMIT: usize = 4096;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (document, rest) = bytes.split_at(end);
    let rest = rest.get(1..).unwrap_or_default();
    if document.is_empty() { frames(rest) } else { requests(document, rest) }
});

fn requests(document: &[u8], guest: &[u8]) {
    for version in [MmdsVersion::V1, MmdsVersion::V2] {
        let mut mmds = Mmds::new(LIMIT);
        let imds_compat = document.len() % 2 == 0;
        mmds.configure(&MmdsConfig { version, network_interfaces: Vec::new(), ipv4_address: None, imds_compat });
        if let Ok(document) = serde_json::from_slice(document) {
            let _ = mmds.put(document);
        }
        for answer in answers(&mut mmds, guest, Instant::now()) {
            assert!(answer.starts_with(b"HTTP/1.1 ") && answer.len() < 4 * LIMIT);
        }
    }
}

fn frames(mut bytes: &[u8]) {
    let now = Instant::now();
    let mut stack = Stack::new(ADDRESS, Arc::new(Mutex::new(Mmds::new(LIMIT))), now);
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*len))));
        if stack.takes(frame) {
            let _ = stack.handle(frame, now);
        }
        bytes = rest;
    }
    let _ = stack.poll(now);
    let _ = stack.poll_delay(now);
}
