//! Flags of every verb that starts a process, and of every verb that joins one.

use std::path::PathBuf;

use clap::Args;

/// What `run`, `create` and `exec` say of a process.
#[derive(Debug, Args)]
pub struct ProcessFlags {
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Set environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
}

/// What `run` and `attach` say of their session.
#[derive(Debug, Args)]
pub struct SessionFlags {
    /// Send signals on to the container
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub sig_proxy: bool,
    /// Keys that detach from the container's terminal
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
}
