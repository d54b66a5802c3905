//! The verbs on containers, except `run` and `create`.

use clap::Args;
use stockade_engine::options::Signal;

use super::limits::LimitFlags;
use super::process::{ProcessFlags, SessionFlags};

/// Verbs that take only containers.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct StartArgs {
    /// Join standard output and error, and send signals on
    #[arg(short, long)]
    pub attach: bool,
    /// Join standard input too
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that detach from the container's terminal
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct StopArgs {
    /// The signal to ask with
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Seconds to wait before SIGKILL; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_hyphen_values = true)]
    pub time: Option<i32>,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct KillArgs {
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: Signal,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Kill running containers first
    #[arg(short, long)]
    pub force: bool,
    /// Remove anonymous volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Leave the process running in the background
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub process: ProcessFlags,
    /// All capabilities
    #[arg(long)]
    pub privileged: bool,
    /// Keys that detach from the terminal
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// The container, and the command to run in it
    #[arg(value_names = ["CONTAINER", "COMMAND"], required = true, num_args = 2.., trailing_var_arg = true)]
    pub container_and_command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Do not join standard input
    #[arg(long)]
    pub no_stdin: bool,
    #[command(flatten)]
    pub session: SessionFlags,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on as more is written
    #[arg(short, long)]
    pub follow: bool,
    /// Only what was written since: 10m, 2026-01-02T15:04:05Z
    #[arg(long, value_name = "TIME", value_parser = crate::parse::instant)]
    pub since: Option<jiff::Timestamp>,
    /// Only what was written until
    #[arg(long, value_name = "TIME", value_parser = crate::parse::instant)]
    pub until: Option<jiff::Timestamp>,
    /// Only the last lines, or all
    #[arg(short = 'n', long, value_name = "N", default_value = "all", allow_hyphen_values = true)]
    pub tail: String,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

/// Which containers to list.
#[derive(Debug, Args)]
pub struct PsFilter {
    /// Also containers that do not run
    #[arg(short, long)]
    pub all: bool,
    /// Only containers that match, for example status=exited, name=web, label=a=b, ancestor=IMAGE, isolation=native
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Only the last N that were made, whatever their status
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, hide_default_value = true,
        allow_hyphen_values = true)]
    pub last: i64,
    /// Only the last one that was made
    #[arg(short, long)]
    pub latest: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub filter: PsFilter,
    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// Show the size of what each container wrote
    #[arg(short, long)]
    pub size: bool,
    /// json, a template, or "table TEMPLATE"
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    /// Name or id, and options of ps(1)
    #[arg(value_names = ["CONTAINER", "PS_OPTIONS"], required = true, num_args = 1.., trailing_var_arg = true)]
    pub container_and_options: Vec<String>,
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Also containers that do not run
    #[arg(short, long)]
    pub all: bool,
    /// Print one sample and end
    #[arg(long)]
    pub no_stream: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// json, a template, or "table TEMPLATE"
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Names or ids; all running ones when none is given
    #[arg(value_name = "CONTAINER")]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Not in this build
    #[arg(long, value_name = "POLICY", hide = true)]
    pub restart: Option<String>,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Its new name
    pub new_name: String,
}
