//! A pipe within the process: unlike pipe(2) it raises no SIGPIPE when its reader gives up.

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

const CHUNKS: usize = 8;

/// Where the bytes come out.
pub(in super::super) struct PipeReader {
    chunks: Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
}

/// Where the bytes go in.
pub(in super::super) struct PipeWriter {
    chunks: SyncSender<Vec<u8>>,
}

/// A pipe of a few chunks; each chunk is one `write`.
pub(in super::super) fn pipe() -> (PipeReader, PipeWriter) {
    let (sender, receiver) = sync_channel(CHUNKS);
    (PipeReader { chunks: receiver, chunk: io::Cursor::default() }, PipeWriter { chunks: sender })
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 if !buffer.is_empty() => match self.chunks.recv() {
                    Ok(chunk) => self.chunk = io::Cursor::new(chunk),
                    Err(_) => return Ok(0),
                },
                bytes => return Ok(bytes),
            }
        }
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunks.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
