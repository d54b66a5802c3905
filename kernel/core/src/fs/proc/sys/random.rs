//! /proc/sys/kernel/random (random(4)).

use alloc::vec::Vec;

use super::{fact, value};
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};

pub(super) static RANDOM: Directory<ProcSystem> = Directory::of(&[
    Entry::text("boot_id", |system, _| uuid(system.kernel.boot_id())),
    fact("entropy_avail", "256\n"),
    fact("poolsize", "256\n"),
    value("urandom_min_reseed_secs", "60\n"),
    Entry::text("uuid", fresh),
    value("write_wakeup_threshold", "256\n"),
]);

fn fresh(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut bytes = [0; 16];
    system.kernel.machine().random(&mut bytes);
    uuid(bytes)
}

/// A version 4 UUID (RFC 9562) of random bits.
fn uuid(mut bytes: [u8; 16]) -> Result<Vec<u8>, Errno> {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = Text::new();
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(text, "{dash}{byte:02x}");
    }
    text.bytes(b"\n");
    text.finish()
}
