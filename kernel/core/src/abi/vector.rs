//! Scatter and gather.

use super::{Abi, Decoder, Encoder};

/// `struct iovec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iovec {
    /// Start.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

impl Abi for Iovec {
    const LEN: usize = 16;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { base: from.take(), len: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.base).put(self.len);
    }
}
