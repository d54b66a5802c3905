//! Reading and writing fields in order.

use alloc::vec::Vec;

/// A value with a fixed layout.
pub trait Abi: Sized {
    /// Bytes that it takes.
    const LEN: usize;

    /// Takes it from the front.
    fn decode(from: &mut Decoder<'_>) -> Self;

    /// Appends it.
    fn encode(&self, to: &mut Encoder);

    /// All of it as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(Self::LEN);
        self.encode(&mut encoder);
        encoder.finish()
    }

    /// From exactly as many bytes as it takes.
    ///
    /// # Panics
    /// When there are fewer.
    fn from_bytes(bytes: &[u8]) -> Self {
        Self::decode(&mut Decoder::new(bytes))
    }
}

/// Fields from the front of a buffer, which must be long enough for what is taken: its length is the caller's to check.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// From the front of these.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        front
    }

    /// Passes over padding.
    pub fn skip(&mut self, len: usize) {
        self.bytes(len);
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next value.
    pub fn take<T: Abi>(&mut self) -> T {
        T::decode(self)
    }
}

/// Fields appended to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty, with room.
    pub fn with_capacity(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends padding.
    pub fn zeros(&mut self, len: usize) -> &mut Self {
        self.0.resize(self.0.len() + len, 0);
        self
    }

    /// Appends a value.
    pub fn put<T: Abi>(&mut self, value: T) -> &mut Self {
        value.encode(self);
        self
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buffer.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Abi for $number {
            const LEN: usize = size_of::<$number>();

            fn decode(from: &mut Decoder<'_>) -> Self {
                let mut bytes = [0; Self::LEN];
                bytes.copy_from_slice(from.bytes(Self::LEN));
                $number::from_le_bytes(bytes)
            }

            fn encode(&self, to: &mut Encoder) {
                to.bytes(&self.to_le_bytes());
            }
        }
    )*};
}

numbers! { u8 u16 u32 u64 i8 i16 i32 i64 }

impl<T: Abi + Copy + Default, const N: usize> Abi for [T; N] {
    const LEN: usize = T::LEN * N;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = from.take();
        }
        values
    }

    fn encode(&self, to: &mut Encoder) {
        for value in self {
            value.encode(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order() {
        let mut encoder = Encoder::new();
        encoder.put(1_u8).zeros(3).put(-2_i32).put([3_u16, 4]).bytes(b"end");
        assert_eq!(encoder.len(), 15);
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.take::<u8>(), 1);
        decoder.skip(3);
        assert_eq!(decoder.take::<i32>(), -2);
        assert_eq!(decoder.take::<[u16; 2]>(), [3, 4]);
        assert_eq!(decoder.rest(), b"end");
    }
}
