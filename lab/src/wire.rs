//! What the host and the lab's agent say to each other over one virtio-serial port: frames of a kind, a length and
//! bytes. Both ends are ours and trust each other.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// More than any frame of ours has: a longer one means that the port carries something else.
const MAX_LEN: u32 = 1 << 20;

/// A command to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// Program, by path or looked for in `PATH`, and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Files to read once before it starts, so that the host's disk has no part in its time.
    pub warm: Vec<PathBuf>,
}

impl Command {
    /// A command in `/` with root's ordinary environment.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = [("PATH", path), ("HOME", "/root")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let argv = argv.into_iter().map(Into::into).collect();
        Self { argv, env: env.into(), cwd: "/".into(), warm: Vec::new() }
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.insert(key.to_owned(), value.into());
        self
    }
}

/// A command's output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// From the host to the agent.
#[derive(Debug)]
pub(crate) enum Order {
    Run(Command),
    /// End the command that runs.
    Kill,
}

/// From the agent to the host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The lab is up.
    Ready,
    Output(Stream, Vec<u8>),
    /// The command ended, and nothing that it started is left.
    Ended(i32),
    /// The command did not start.
    Failed(String),
}

impl Order {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Run(command) => frame(out, b'r', &serde_json::to_vec(command)?),
            Self::Kill => frame(out, b'k', &[]),
        }
    }

    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        match read_frame(from)? {
            (b'r', bytes) => Ok(Self::Run(serde_json::from_slice(&bytes)?)),
            (b'k', _) => Ok(Self::Kill),
            (kind, _) => Err(unknown(kind)),
        }
    }
}

impl Report {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Ready => frame(out, b'h', &[]),
            Self::Output(Stream::Stdout, bytes) => frame(out, b'o', bytes),
            Self::Output(Stream::Stderr, bytes) => frame(out, b'e', bytes),
            Self::Ended(code) => frame(out, b'x', &code.to_le_bytes()),
            Self::Failed(why) => frame(out, b'f', why.as_bytes()),
        }
    }

    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let (kind, bytes) = read_frame(from)?;
        Ok(match kind {
            b'h' => Self::Ready,
            b'o' => Self::Output(Stream::Stdout, bytes),
            b'e' => Self::Output(Stream::Stderr, bytes),
            b'x' => Self::Ended(i32::from_le_bytes(bytes.try_into().map_err(|_| unknown(kind))?)),
            b'f' => Self::Failed(String::from_utf8_lossy(&bytes).into_owned()),
            _ => return Err(unknown(kind)),
        })
    }
}

fn frame(out: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len <= MAX_LEN);
    let len = len.ok_or(io::Error::from(io::ErrorKind::FileTooLarge))?;
    out.write_all(&[&[kind], len.to_le_bytes().as_slice(), bytes].concat())
}

fn read_frame(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 5];
    from.read_exact(&mut header)?;
    let [kind, len @ ..] = header;
    let len = u32::from_le_bytes(len);
    if len > MAX_LEN {
        return Err(unknown(kind));
    }
    let mut bytes = Vec::new();
    from.take(len.into()).read_to_end(&mut bytes)?;
    if bytes.len() < usize::try_from(len).unwrap_or(usize::MAX) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((kind, bytes))
}

fn unknown(kind: u8) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no frame of the lab's protocol (kind {kind:#x})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let check = |report: Report| {
            let mut bytes = Vec::new();
            report.write(&mut bytes).unwrap();
            assert_eq!(Report::read(&mut bytes.as_slice()).unwrap(), report);
        };
        check(Report::Ready);
        check(Report::Output(Stream::Stdout, b"text".to_vec()));
        check(Report::Output(Stream::Stderr, Vec::new()));
        check(Report::Ended(-1));
        check(Report::Failed("no such file".into()));
        let mut bytes = Vec::new();
        Order::Run(Command::new(["true"]).env("KEY", "value")).write(&mut bytes).unwrap();
        let Ok(Order::Run(command)) = Order::read(&mut bytes.as_slice()) else { panic!("not what was written") };
        assert_eq!((command.argv, command.env["KEY"].as_str()), (vec!["true".to_owned()], "value"));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let check = |bytes: &[u8]| assert!(Report::read(&mut &*bytes).is_err());
        check(b"");
        check(b"o\x05\0\0\0half");
        check(b"console text that is no frame");
        check(b"x\x01\0\0\0\0");
    }
}
