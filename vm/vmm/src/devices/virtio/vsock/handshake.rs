//! What a process of the host says to reach a port of the guest: `CONNECT port`, answered by `OK port`.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

/// The longest line is `CONNECT 4294967295` and its end.
const LINE_MAX: usize = 19;

/// How far a process came.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its line is not complete.
    Waiting,
    /// It wants this port.
    Port(u32),
    /// It said something else, or left.
    Failed,
}

/// A socket whose first line is being read. What follows the line belongs to the guest and is left alone.
pub struct Handshake {
    stream: UnixStream,
    line: Vec<u8>,
}

impl Handshake {
    /// A new socket.
    pub fn new(stream: UnixStream) -> Self {
        Handshake { stream, line: Vec::new() }
    }

    /// Reads on.
    pub fn advance(&mut self) -> Progress {
        loop {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(1) if byte == *b"\n" => return port(&self.line).map_or(Progress::Failed, Progress::Port),
                Ok(1) if self.line.len() < LINE_MAX => self.line.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return Progress::Failed,
            }
        }
    }

    /// The socket, once its line was read.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }
}

fn port(line: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?;
    let (word, port) = line.trim_end_matches('\r').split_once(' ')?;
    if word.eq_ignore_ascii_case("connect") { port.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(said: &[u8], expected: Progress) {
        let (mut process, ours) = UnixStream::pair().expect("pair");
        ours.set_nonblocking(true).expect("non-blocking");
        process.write_all(said).expect("write");
        assert_eq!(Handshake::new(ours).advance(), expected, "{said:?}");
    }

    #[test]
    fn only_the_right_words_reach_a_port() {
        check(b"CONNECT 1024\n", Progress::Port(1024));
        check(b"connect 4294967295\n", Progress::Port(u32::MAX));
        check(b"CONNECT 10", Progress::Waiting);
        check(b"CONNECT 4294967296\n", Progress::Failed);
        check(b"CONNECT\n", Progress::Failed);
        check(b"GET / HTTP/1.1\n", Progress::Failed);
        check(&[b'x'; 64], Progress::Failed);
    }

    #[test]
    fn what_follows_the_line_is_the_guests() {
        let (mut process, ours) = UnixStream::pair().expect("pair");
        process.write_all(b"CONNECT 7\nhello").expect("write");
        let mut handshake = Handshake::new(ours);
        assert_eq!(handshake.advance(), Progress::Port(7));
        let mut rest = [0; 5];
        handshake.into_stream().read_exact(&mut rest).expect("read");
        assert_eq!(&rest, b"hello");
    }
}
