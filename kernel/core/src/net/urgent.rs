//! Out-of-band data of a stream: at most one byte, which a reader sees apart from all others (tcp(7), MSG_OOB).

use super::Taking;

/// Where the byte is in the stream.
#[derive(Debug, Default)]
pub(super) struct Urgent {
    byte: Option<Byte>,
    inline: bool,
}

#[derive(Debug)]
struct Byte {
    at: u64,
    is_read: bool,
}

impl Urgent {
    /// One came; the one before becomes ordinary.
    pub fn put(&mut self, at: u64) {
        self.byte = Some(Byte { at, is_read: false });
    }

    /// Reads it, unless it was read, or comes with all other data.
    pub fn take(&mut self, taking: Taking) -> Option<u64> {
        let byte = self.byte.as_mut().filter(|byte| !self.inline && !byte.is_read)?;
        byte.is_read = taking == Taking::Remove;
        Some(byte.at)
    }

    /// SO_OOBINLINE
    pub fn set_inline(&mut self, inline: bool) {
        self.inline = inline;
    }

    /// Whether it is there and was not read.
    pub fn is_unread(&self) -> bool {
        self.byte.as_ref().is_some_and(|byte| !byte.is_read)
    }

    /// How far it is from a place in the stream.
    pub fn offset(&self, from: u64) -> Option<u64> {
        self.byte.as_ref()?.at.checked_sub(from)
    }

    /// How many bytes at this place are not for ordinary reads: it is skipped.
    pub fn hidden(&self, from: u64) -> usize {
        usize::from(!self.inline && self.offset(from) == Some(0))
    }

    /// How many bytes from a place on were read apart.
    pub fn read_at(&self, from: u64) -> usize {
        usize::from(self.byte.as_ref().is_some_and(|byte| byte.is_read && byte.at >= from))
    }

    /// How much an ordinary read from here gets: it ends before the byte.
    pub fn limit(&self, from: u64) -> usize {
        let offset = self.offset(from).filter(|offset| *offset > 0);
        offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX)
    }

    /// How many of `len` bytes from here are before it (`tcp_inq` of Linux).
    pub fn before(&self, from: u64, len: usize) -> usize {
        match self.offset(from).filter(|_| !self.inline) {
            Some(offset) => len.min(usize::try_from(offset).unwrap_or(len)),
            None => len,
        }
    }

    /// Ordinary reads came this far: behind it, it is lost.
    pub fn pass(&mut self, reached: u64) {
        if self.byte.as_ref().is_some_and(|byte| byte.at < reached) {
            self.byte = None;
        }
    }
}
