//! The machine's own Debian mirror, as apt knows it: this tree names no host.

use std::process::Command;

use anyhow::{Context, Result};

use crate::sh;

/// The suite the test images are made of.
pub const SUITE: &str = "bookworm";

/// The mirror that apt uses for the suite; another Debian's mirror serves it too.
pub fn mirror() -> Result<String> {
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    let targets = sh::output(&mut sh::cmd("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]))?;
    let mains: Vec<(&str, &str)> = targets.lines().filter_map(main_component).collect();
    let best = mains.iter().find(|(_, release)| *release == SUITE).or(mains.first());
    let (uri, _) = best.context("apt has no source with the component main: add one to /etc/apt/sources.list")?;
    Ok((*uri).to_owned())
}

fn main_component(line: &str) -> Option<(&str, &str)> {
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [uri, release, "main"] if !release.contains('-') => Some((uri, release)),
        _ => None,
    }
}

/// Lets a downloader that knows only the environment use apt's proxy.
pub fn with_proxy(command: &mut Command) -> Result<&mut Command> {
    for kind in ["http", "https"] {
        let name = format!("Acquire::{kind}::Proxy");
        let line = sh::output(&mut sh::cmd("apt-config", ["shell", "PROXY", &name]))?;
        if let Some(proxy) = line.trim().strip_prefix("PROXY='").and_then(|rest| rest.strip_suffix('\'')) {
            command.env(format!("{kind}_proxy"), proxy);
        }
    }
    Ok(command)
}
