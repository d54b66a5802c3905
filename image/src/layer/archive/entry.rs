//! What a file of the host gives for its entry.

use std::{
    ffi::{CStr, OsStr},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{SeekFrom as Whence, Stat},
    io::Errno,
};

use super::{
    super::to_u64,
    header::{Header, pad},
};

/// Runs of data: offset and length.
type Segments = Vec<(u64, u64)>;

/// The xattrs of `name` in `directory`, or of the directory itself if the name is `.`; no symbolic link is followed.
pub(super) fn xattrs(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // There is no getxattrat(2) before Linux 6.13; this is what glibc's manual advises.
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    path.push(OsStr::from_bytes(name.to_bytes()));
    let mut names = sorted_names(&path)?;
    names.sort();
    names.into_iter().map(|name| Ok((name.clone(), value(&path, &name)?))).collect()
}

fn sorted_names(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut list = vec![0_u8; 1 << 16];
    let bytes = match rustix::fs::llistxattr(path, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        listed => listed?,
    };
    let names = list[..bytes].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn value(path: &Path, name: &[u8]) -> io::Result<Vec<u8>> {
    let mut value = vec![0_u8; 1 << 16];
    let bytes = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..])?;
    value.truncate(bytes);
    Ok(value)
}

/// Owner, permissions and time; kind, size and what depends on them are the caller's.
pub(super) fn header(path: Vec<u8>, stat: &Stat) -> Header {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    let permissions = u16::try_from(stat.st_mode & 0o7777).unwrap_or_default();
    Header { path, permissions, uid: stat.st_uid, gid: stat.st_gid, mtime: (stat.st_mtime, nanos), ..Header::default() }
}

/// Writes a regular file's header and data. Fails with `UnexpectedEof` if the file shrinks meanwhile.
pub(super) fn write_file(mut header: Header, file: &File, stat: &Stat, out: &mut impl Write) -> Result<(), FileError> {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let allocated = u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512);
    let segments = if allocated < size { data_segments(file, size)? } else { vec![(0, size)] };
    header.kind = b'0';
    if segments == [(0, size)] || size == 0 {
        header.size = size;
        header.write(out).map_err(FileError::Output)?;
        copy(file, 0, size, out)?;
        return pad(out, size).map_err(FileError::Output);
    }
    let map = sparse_map(&segments);
    header.sparse_size = Some(size);
    header.size = to_u64(map.len()) + segments.iter().map(|(_, bytes)| bytes).sum::<u64>();
    header.write(out).and_then(|()| out.write_all(&map)).map_err(FileError::Output)?;
    for &(offset, bytes) in &segments {
        copy(file, offset, bytes, out)?;
    }
    pad(out, header.size).map_err(FileError::Output)
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum FileError {
    Input(io::Error),
    Output(io::Error),
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        Self::Input(error.into())
    }
}

fn data_segments(file: &File, size: u64) -> Result<Segments, FileError> {
    let (mut segments, mut position) = (Segments::new(), 0);
    while position < size {
        let start = match rustix::fs::seek(file.as_fd(), Whence::Data(position)) {
            // No more data.
            Err(Errno::NXIO) => break,
            // A file system that does not tell.
            Err(Errno::INVAL) => return Ok(vec![(0, size)]),
            start => start?.min(size),
        };
        let end = rustix::fs::seek(file.as_fd(), Whence::Hole(start))?.min(size);
        if end <= start {
            break;
        }
        segments.push((start, end - start));
        position = end;
    }
    Ok(segments)
}

/// GNU sparse format 1.0: decimal lines, padded to a block.
fn sparse_map(segments: &Segments) -> Vec<u8> {
    let mut map = format!("{}\n", segments.len());
    for (offset, bytes) in segments {
        map.push_str(&format!("{offset}\n{bytes}\n"));
    }
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

fn copy(mut file: &File, offset: u64, bytes: u64, out: &mut impl Write) -> Result<(), FileError> {
    let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(1 << 18)];
    let mut rest = bytes;
    file.seek(SeekFrom::Start(offset)).map_err(FileError::Input)?;
    while rest > 0 {
        let piece = &mut buffer[..usize::try_from(rest).unwrap_or(usize::MAX).min(1 << 18)];
        file.read_exact(piece).map_err(FileError::Input)?;
        out.write_all(piece).map_err(FileError::Output)?;
        rest -= to_u64(piece.len());
    }
    Ok(())
}
