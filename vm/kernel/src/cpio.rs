//! Archives in the format of an initramfs: cpio, "newc", as the kernel's Documentation/driver-api/early-userspace/
//! buffer-format.rst describes it.

use std::io::{self, Write};

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const DEVICE: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";

/// A writer of one archive. Parents must be added before what lies in them.
#[derive(Debug)]
pub struct Archive<W> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    /// Adds a directory with mode 755.
    pub fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[])
    }

    /// Adds a regular file with the given permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, data: &[u8]) -> io::Result<()> {
        self.entry(path, FILE | permissions & 0o7777, (0, 0), data)
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, SYMLINK | 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a character device with mode 600.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, DEVICE | 0o600, (major, minor), &[])
    }

    /// Ends the archive and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.header(TRAILER, 0, (0, 0), 0)?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), data: &[u8]) -> io::Result<()> {
        self.inode += 1;
        self.header(path.trim_start_matches('/'), mode, device, data.len())?;
        self.out.write_all(data)?;
        pad(&mut self.out, data.len())
    }

    fn header(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), len: usize) -> io::Result<()> {
        let len = u32::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let name_len = u32::try_from(path.len() + 1).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
        // Inode, mode, owner, group, links, time, length, device of the file, device it is, name, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, len, 0, 0, major, minor, name_len, 0];
        self.out.write_all(b"070701")?;
        fields.iter().try_for_each(|field| write!(self.out, "{field:08X}"))?;
        write!(self.out, "{path}\0")?;
        pad(&mut self.out, HEADER_LEN + path.len() + 1)
    }
}

const HEADER_LEN: usize = 6 + 13 * 8;

fn pad(out: &mut impl Write, written: usize) -> io::Result<()> {
    out.write_all(&[0; 3][..written.next_multiple_of(4) - written])
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.file("/bin/hello", 0o755, b"hello").unwrap();
        archive.symlink("bin/link", "hello").unwrap();
        archive.device("console", 5, 1).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn is_aligned_and_ends_with_the_trailer() {
        let bytes = archive();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701") && bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn busybox_reads_it() {
        let list = ["cpio", "-t", "-v"];
        let mut busybox = Command::new("busybox");
        busybox.args(list).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut busybox = busybox.spawn().unwrap();
        busybox.stdin.take().unwrap().write_all(&archive()).unwrap();
        let output = busybox.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let names = |at: usize| (lines[at][0], *lines[at].last().unwrap());
        assert_eq!(names(0), ("drwxr-xr-x", "bin"));
        assert_eq!(names(1), ("-rwxr-xr-x", "bin/hello"));
        assert!(lines[2][0].starts_with('l') && text.contains("bin/link"), "{text}");
        assert!(lines[3][0].starts_with('c') && text.contains("console"), "{text}");
    }
}
