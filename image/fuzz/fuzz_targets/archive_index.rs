//! Any bytes as an archive of images: indexed or refused, and every file that is found lies within the archive.
#![no_main]

use std::fs::File;
use std::io::{Read, Write};

use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};

#[allow(dead_code)]
#[path = "../../src/archive/index.rs"]
mod index;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    check(&sealed);
});

fn check(tar: &[u8]) {
    let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).expect("memfd"));
    file.write_all(tar).expect("write");
    let Ok(index) = index::TarIndex::read(file) else { return };
    for name in ["manifest.json", "index.json", "a", "a/b", "../a"] {
        if let Some((mut section, length)) = index.open(name) {
            let mut content = Vec::new();
            section.read_to_end(&mut content).expect("read");
            assert_eq!(content.len() as u64, length);
        }
    }
}

/// Gives every block a right checksum, or few inputs would get past the first header.
fn seal(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| block.iter().any(|byte| *byte != 0)) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
