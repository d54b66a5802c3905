//! ttrpc's frames: length and stream id (big endian), a type, flags, then the message.

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 10;
/// ttrpc's limit of a message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub len_bytes: usize,
    pub stream: u32,
    pub kind: Kind,
}

impl Header {
    /// As on the wire.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let len = u32::try_from(self.len_bytes).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8] = match self.kind {
            Kind::Request => 1,
            Kind::Response => 2,
        };
        bytes
    }

    /// From the wire; `None` for what this version does not speak or would not hold.
    pub(crate) fn parse(bytes: [u8; HEADER_BYTES]) -> Option<Self> {
        let [l0, l1, l2, l3, s0, s1, s2, s3, kind, _] = bytes;
        let len_bytes = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let kind = match kind {
            1 => Kind::Request,
            2 => Kind::Response,
            _ => return None,
        };
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        (len_bytes <= MESSAGE_BYTES_MAX).then_some(Self { len_bytes, stream, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_wire() {
        let header = Header { len_bytes: 70_000, stream: 3, kind: Kind::Response };
        assert_eq!(Header::parse(header.encode()), Some(header));
    }

    #[test]
    fn what_is_too_long_or_unknown_is_refused() {
        let header = Header { len_bytes: MESSAGE_BYTES_MAX + 1, stream: 1, kind: Kind::Request };
        assert_eq!(Header::parse(header.encode()), None);
        assert_eq!(Header::parse([0; HEADER_BYTES]), None);
    }
}
