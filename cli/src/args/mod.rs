//! The grammar of `stockade`: every verb and flag, declared once. Parsing, help, completion and man pages come from
//! here.

mod alone;
mod container;
mod create;
mod image;
mod later;
mod limits;
mod process;
mod system;
mod vm;
mod vmm;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use container::{
    AttachArgs, ExecArgs, KillArgs, ListArgs, LogsArgs, NamesArgs, PruneArgs, PsFilter, RemoveArgs, RenameArgs,
    StartArgs, StatsArgs, StopArgs, TopArgs, UpdateArgs,
};
pub use create::{CreateArgs, CreateFlags, FileFlags, KeepFlags, Pull, RunArgs, Stream};
pub use image::{
    HistoryArgs, ImageVerb, ImagesArgs, ImportArgs, LoadArgs, PruneArgs as ImagePruneArgs, PullArgs, PullSource,
    RemoveImageArgs, SaveArgs, TagArgs,
};
pub use process::{ProcessFlags, SessionFlags};
pub use system::{CompletionArgs, EventsArgs, FormatArg, InfoArgs, InspectArgs, InspectType, ManArgs};
pub use vm::{KernelImportArgs, KernelListArgs, KernelNamesArgs, KernelVerb, VmVerb};
pub use vmm::VmmArgs;

/// Secure containers: one engine, three isolation classes.
#[derive(Debug, Parser)]
#[command(name = "stockade", version, propagate_version = false, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that come before the verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Data directory [default: /var/lib/stockade]
    #[arg(long, value_name = "DIR", env = "STOCKADE_ROOT", hide_env = true)]
    pub root: Option<PathBuf>,
    /// Run-time state directory [default: /run/stockade, or DIR/run with --root DIR]
    #[arg(long, value_name = "DIR", env = "STOCKADE_STATE", hide_env = true)]
    pub state: Option<PathBuf>,
    /// Config file [default: /etc/stockade/config.toml, if it exists]
    #[arg(long, value_name = "FILE", env = "STOCKADE_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// What to log on stderr
    #[arg(short = 'l', long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// The same as --log-level debug
    #[arg(short = 'D', long)]
    pub debug: bool,
    /// How to log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    #[command(flatten)]
    On(OnContainers),
    /// List containers
    #[command(visible_aliases = ["ls", "list"])]
    Ps(ListArgs),
    /// Show everything about containers and images
    Inspect(InspectArgs),
    /// Show what happens to containers and images
    Events(EventsArgs),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// List images
    Images(ImagesArgs),
    /// Work on images
    #[command(subcommand)]
    Image(ImageVerb),
    /// Work on containers: the verbs above, with Docker's prefix
    #[command(subcommand)]
    Container(ContainerVerb),
    /// Remove images
    Rmi(RemoveImageArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Write images to an OCI archive
    Save(SaveArgs),
    /// Read images from an archive or a layout
    Load(LoadArgs),
    /// Make an image of a root file system
    Import(ImportArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Run a microVM in the foreground, with Firecracker's flags and API
    Vmm(Box<VmmArgs>),
    /// Work on virtual machines
    #[command(subcommand)]
    Vm(VmVerb),
    /// Show the host, the classes, and what is stored
    Info(InfoArgs),
    /// Show the version
    Version(FormatArg),
    /// Print a completion script
    Completion(CompletionArgs),
    /// Write man pages
    #[command(hide = true)]
    Man(ManArgs),
}

/// Verbs that work with and without the prefix `container`.
#[derive(Debug, Subcommand)]
pub enum OnContainers {
    /// Make a container from an image and run it
    #[command(disable_help_flag = true)]
    Run(Box<RunArgs>),
    /// Make a container without starting it
    #[command(disable_help_flag = true)]
    Create(Box<CreateArgs>),
    /// Start containers
    Start(StartArgs),
    /// Stop containers: the stop signal, then SIGKILL
    Stop(StopArgs),
    /// Stop containers and start them again
    Restart(StopArgs),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
    /// Run one more process in a running container
    Exec(ExecArgs),
    /// Join a running container's standard streams
    Attach(AttachArgs),
    /// Show what a container wrote
    Logs(LogsArgs),
    /// Wait for containers to end and print their exit codes
    Wait(NamesArgs),
    /// List the processes of a container
    Top(TopArgs),
    /// Show the resource use of containers
    Stats(StatsArgs),
    /// Freeze all processes of containers
    Pause(NamesArgs),
    /// Thaw paused containers
    Unpause(NamesArgs),
    /// Change the limits of containers
    Update(UpdateArgs),
    /// Give a container another name
    Rename(RenameArgs),
}

/// `stockade container VERB`.
#[derive(Debug, Subcommand)]
pub enum ContainerVerb {
    #[command(flatten)]
    On(OnContainers),
    /// List containers
    #[command(visible_aliases = ["ps", "list"])]
    Ls(ListArgs),
    /// Show everything about containers
    Inspect(InspectArgs),
    /// Remove all containers that do not run
    Prune(PruneArgs),
}

/// The whole grammar, as clap has it.
pub fn command() -> Command {
    as_docker(Cli::command()).styles(Styles::styled().header(AnsiColor::Green.on_default().bold()))
}

/// Parses a command line, the program's name first.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    alone::parse(arguments).map_or_else(|| parse_by_all(arguments), Ok)
}

fn parse_by_all(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Go's flag rules for every verb: switches take `=true` and `=false`, and a repeated flag replaces the earlier one.
fn as_docker(command: Command) -> Command {
    let command = command.args_override_self(true).mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .value_parser(clap::value_parser!(bool))
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_name("BOOL"),
        _ => arg,
    });
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command, |command, verb| command.mut_subcommand(verb, as_docker))
}

#[cfg(test)]
mod tests;
