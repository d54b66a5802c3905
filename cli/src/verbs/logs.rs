//! `logs`.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use stockade_engine::{LogLine, LogStream, LogsOptions};

use super::context::Context;
use crate::args::LogsArgs;

/// `stockade logs`: what the container wrote to each stream goes to ours.
pub fn logs(context: &Context, args: &LogsArgs) -> Result<u8> {
    let options = LogsOptions {
        follow: args.follow,
        tail: tail(&args.tail)?,
        since_ns: args.since.map(jiff::Timestamp::as_nanosecond),
        until_ns: args.until.map(jiff::Timestamp::as_nanosecond),
    };
    let mut streams = Streams { stdout: io::stdout(), stderr: io::stderr(), timestamps: args.timestamps };
    context.engine()?.logs(&args.name, &options, &mut |line| streams.write(line))?;
    Ok(0)
}

/// A number of lines, or all of them; Docker takes a negative number for all.
fn tail(text: &str) -> Result<Option<usize>> {
    if text == "all" || text.starts_with('-') {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("invalid --tail {text:?}: use a number of lines, or all"))
}

struct Streams {
    stdout: io::Stdout,
    stderr: io::Stderr,
    timestamps: bool,
}

impl Streams {
    fn write(&mut self, line: &LogLine) -> io::Result<()> {
        let stream: &mut dyn Write = match line.stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        if self.timestamps {
            write!(stream, "{} ", line.time)?;
        }
        stream.write_all(line.text.as_bytes())?;
        stream.flush()
    }
}
