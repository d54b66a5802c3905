//! The verbs on everything.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct EventsArgs {
    /// From this time on, the past included: 10m, 2026-01-02T15:04:05Z
    #[arg(long, value_name = "TIME", value_parser = crate::parse::instant)]
    pub since: Option<jiff::Timestamp>,
    /// Until this time
    #[arg(long, value_name = "TIME", value_parser = crate::parse::instant)]
    pub until: Option<jiff::Timestamp>,
    /// Only events that match: container=NAME, image=NAME, event=start, type=container, label=KEY[=VALUE]
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// json or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// json or a template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Look only among these
    #[arg(long, value_name = "TYPE")]
    pub r#type: Option<InspectType>,
    /// Add the size of what the container wrote
    #[arg(short, long)]
    pub size: bool,
    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// What `inspect` looks among.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InspectType {
    Container,
    Image,
}

#[derive(Debug, Args)]
pub struct FormatArg {
    /// json or a template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// json or a template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print a config file with every key and its default
    #[arg(long, conflicts_with = "format")]
    pub default_config: bool,
}

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// For which shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to write them
    pub directory: PathBuf,
}
