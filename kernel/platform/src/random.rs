//! Entropy of the host, asked for a block at a time: every process and every program takes a few bytes.

use std::sync::{Mutex, PoisonError};

use rustix::rand::{GetRandomFlags, getrandom};

/// What the host gives at once without being interrupted (getrandom(2)).
const BLOCK_BYTES: usize = 256;

/// Bytes that nobody had yet: those behind `used`.
struct Block {
    bytes: [u8; BLOCK_BYTES],
    used: usize,
}

static BLOCK: Mutex<Block> = Mutex::new(Block { bytes: [0; BLOCK_BYTES], used: BLOCK_BYTES });

/// Fills a buffer.
pub(crate) fn fill(buffer: &mut [u8]) {
    if buffer.len() > BLOCK_BYTES / 2 {
        return ask(buffer);
    }
    let mut block = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if block.used + buffer.len() > BLOCK_BYTES {
        ask(&mut block.bytes);
        block.used = 0;
    }
    let (start, end) = (block.used, block.used + buffer.len());
    buffer.copy_from_slice(&block.bytes[start..end]);
    // Nobody is to find them here later.
    block.bytes[start..end].fill(0);
    block.used = end;
}

fn ask(mut rest: &mut [u8]) {
    while !rest.is_empty() {
        let len = getrandom(&mut *rest, GetRandomFlags::empty()).unwrap_or(0);
        rest = &mut rest[len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let values: std::collections::HashSet<[u8; 16]> = (0..1000)
            .map(|_| {
                let mut bytes = [0; 16];
                fill(&mut bytes);
                bytes
            })
            .collect();
        assert_eq!(values.len(), 1000);
        let mut long = [0; 1000];
        fill(&mut long);
        assert!(long.chunks(100).all(|part| part.iter().any(|byte| *byte != 0)));
    }
}
