//! Builds tars, also those that no tool would.

/// A tar in the making.
#[derive(Clone, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// A header in the making.
pub struct Header {
    block: [u8; 512],
}

impl Header {
    pub fn new(kind: u8, path: &str) -> Self {
        let mut header = Self { block: [0; 512] };
        let path = path.as_bytes();
        header.put(0, &path[..path.len().min(100)]);
        header.put(156, &[kind]);
        header.put(257, b"ustar\x0000");
        let mode = if kind == b'5' { 0o755 } else { 0o644 };
        header.mode(mode).owner(0, 0).mtime(0)
    }

    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn octal(mut self, at: usize, width: usize, value: u64) -> Self {
        self.put(at, format!("{value:0width$o}\0", width = width - 1).as_bytes());
        self
    }

    pub fn mode(self, mode: u64) -> Self {
        self.octal(100, 8, mode)
    }

    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.octal(108, 8, uid).octal(116, 8, gid)
    }

    pub fn size(self, size: u64) -> Self {
        self.octal(124, 12, size)
    }

    pub fn mtime(self, secs: u64) -> Self {
        self.octal(136, 12, secs)
    }

    pub fn link(mut self, target: &str) -> Self {
        self.put(157, target.as_bytes());
        self
    }

    pub fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329, 8, major).octal(337, 8, minor)
    }

    pub fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.put(at, bytes);
        self
    }

    fn sealed(mut self) -> [u8; 512] {
        self.put(148, b"        ");
        let sum: u32 = self.block.iter().map(|&byte| u32::from(byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.block
    }
}

impl Tar {
    /// A header alone.
    pub fn header(mut self, header: Header) -> Self {
        self.bytes.extend_from_slice(&header.sealed());
        self
    }

    /// A header whose size is that of the data behind it.
    pub fn with_data(self, header: Header, data: &[u8]) -> Self {
        let mut tar = self.header(header.size(data.len() as u64));
        tar.bytes.extend_from_slice(data);
        tar.bytes.resize(tar.bytes.len().next_multiple_of(512), 0);
        tar
    }

    pub fn file(self, path: &str, data: &[u8]) -> Self {
        self.with_data(Header::new(b'0', path), data)
    }

    pub fn dir(self, path: &str) -> Self {
        self.header(Header::new(b'5', path))
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.header(Header::new(b'2', path).link(target))
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.header(Header::new(b'1', path).link(target))
    }

    /// A pax header for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.with_data(Header::new(b'x', "pax"), &pax_records(records))
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The tar without its end.
    pub fn cut(self) -> Vec<u8> {
        self.bytes
    }

    /// Ends the tar.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }
}

pub fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    records.iter().flat_map(|(key, value)| pax_record(key, value)).collect()
}

fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let digits = (1..).find(|&digits| (body + digits).to_string().len() == digits).unwrap();
    [format!("{} {key}=", body + digits).as_bytes(), value, b"\n"].concat()
}
