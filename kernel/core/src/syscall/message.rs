//! `struct msghdr`.

use alloc::vec::Vec;

use super::Call;
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::io::{UserBuffer, UserRange};
use crate::mm::Memory;
use crate::wait::Stop;

/// UIO_MAXIOV: most messages in one call, and most parts of one.
pub(super) const MESSAGES_MAX: u64 = 1024;

/// A message: where its address, its parts and its control messages are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Where the address is; 0 for none.
    pub name: u64,
    /// Its bytes.
    pub name_len: u32,
    /// Where the parts are.
    pub vectors: u64,
    /// How many.
    pub vector_count: u64,
    /// Where control messages are.
    pub control: u64,
    /// Their bytes.
    pub control_len: u64,
    /// What recvmsg(2) found.
    pub flags: u32,
}

impl Header {
    /// Bytes of it.
    pub const BYTES: u64 = 56;
    /// Bytes of `struct mmsghdr`.
    pub const WITH_COUNT_BYTES: u64 = 64;

    /// Its parts: `EMSGSIZE` when there are too many.
    pub fn vectors<'a>(&self, memory: &'a Memory) -> Result<UserBuffer<'a>, Errno> {
        Ok(memory.buffer_of(self.ranges(memory)?))
    }

    /// The same as mere ranges.
    pub fn ranges(&self, memory: &Memory) -> Result<Vec<UserRange>, Errno> {
        if self.vector_count > MESSAGES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        memory.vector_ranges(self.vectors, usize::try_from(self.vector_count).map_err(|_| Errno::EMSGSIZE)?)
    }

    /// Bytes of control messages; 0 when there are none.
    pub fn control_len(&self) -> usize {
        if self.control == 0 { 0 } else { usize::try_from(self.control_len).unwrap_or(usize::MAX) }
    }
}

impl Call {
    /// Messages that a call for many has moved whole: what it returns when a signal ends it.
    pub(super) fn messages_done(&self) -> u64 {
        self.resume.done as u64
    }

    /// Moves one message of many, and counts it. Its bytes so far are kept apart meanwhile.
    pub(super) fn within_message(
        &mut self,
        transfer: impl FnOnce(&mut Self) -> Result<usize, Stop>,
    ) -> Result<usize, Stop> {
        let messages = self.resume.done;
        self.resume.done = usize::try_from(self.resume.state).unwrap_or(0);
        let result = transfer(self);
        let bytes = core::mem::replace(&mut self.resume.done, messages);
        self.resume.state = if result.is_ok() { 0 } else { bytes as u64 };
        self.resume.done += usize::from(result.is_ok());
        result
    }
}

impl Abi for Header {
    const LEN: usize = 56;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let (name, name_len) = (from.take(), from.take());
        from.skip(4);
        let (vectors, vector_count, control, control_len) = (from.take(), from.take(), from.take(), from.take());
        Self { name, name_len, vectors, vector_count, control, control_len, flags: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.name).put(self.name_len).zeros(4).put(self.vectors).put(self.vector_count);
        to.put(self.control).put(self.control_len).put(self.flags).zeros(4);
    }
}
