//! Completion scripts and man pages, from the same definitions as the parser.

use std::io;

use anyhow::{Context as _, Result};

use crate::args::{self, CompletionArgs, ManArgs};

/// `stockade completion`.
pub fn completion(args: &CompletionArgs) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "stockade", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(0)
}

/// `stockade man`: one page per verb.
pub fn man(args: &ManArgs) -> Result<u8> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    clap_mangen::generate_to(args::command(), directory)
        .with_context(|| format!("write man pages to {}", directory.display()))?;
    Ok(0)
}
