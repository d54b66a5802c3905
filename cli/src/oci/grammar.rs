//! The grammar: runc's verbs and flags. Help texts are the documentation.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Command, Parser, Subcommand, ValueEnum};
use stockade_sandbox::{ContainerId, IsolationClass};

/// Runs containers from OCI bundles, in runc's place.
///
/// A bundle is a directory with a config.json and a root file system. Container managers (containerd, Docker, Podman)
/// call this command; people will prefer `stockade`.
#[derive(Debug, Parser)]
#[command(name = "stockade-oci", disable_version_flag = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The grammar of one of the verbs that container managers wait for: the first in a command line. To build that of all
/// verbs takes longer than parsing; it is for the others, for mistakes and for calls for help, which it has the words
/// for.
pub fn brief(words: &[OsString]) -> Command {
    let command = Global::augment_args(Command::new("stockade-oci")).disable_help_subcommand(true);
    command.subcommands(words.iter().find_map(|word| frequent(word)))
}

fn frequent(word: &OsStr) -> Option<Command> {
    Some(match word.to_str()? {
        "create" => Create::augment_args(Command::new("create")),
        "start" => Container::augment_args(Command::new("start")),
        "run" => Run::augment_args(Command::new("run")),
        "exec" => Exec::augment_args(Command::new("exec")),
        "kill" => Kill::augment_args(Command::new("kill")),
        "delete" => Delete::augment_args(Command::new("delete")),
        "state" => Container::augment_args(Command::new("state")),
        _ => return None,
    })
}

/// Options before the verb.
#[derive(Debug, Args)]
pub struct Global {
    /// Directory of the containers' state; it should be on a tmpfs
    #[arg(long, value_name = "DIR", default_value = "/run/stockade/oci")]
    pub root: PathBuf,
    /// File that log lines are appended to
    #[arg(long, value_name = "FILE", default_value = super::log::STDERR)]
    pub log: PathBuf,
    /// Form of log lines
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log what is being done
    #[arg(long)]
    pub debug: bool,
    /// Have systemd make the control groups; `cgroupsPath` is then slice:prefix:name
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Isolation class of a new container: native, kernel or vm
    #[arg(long, value_name = "CLASS")]
    pub isolation: Option<IsolationClass>,
    /// Accepted for runc's callers: whether control groups may be denied
    #[arg(long, value_name = "BOOL|auto")]
    pub rootless: Option<String>,
    /// Accepted for runc's callers
    #[arg(long, value_name = "PATH", hide = true)]
    pub criu: Option<PathBuf>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `time="…" level=… msg="…"`
    Text,
    /// One JSON object per line, keys level, msg and time.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create a container whose process waits for `start`
    Create(Create),
    /// Let a created container's process run
    Start(Container),
    /// Create and start a container
    Run(Run),
    /// Run one more process in a running container
    Exec(Exec),
    /// Send a signal to a container's init, SIGTERM unless named
    Kill(Kill),
    /// Remove a container and all it held
    Delete(Delete),
    /// Print a container's state as JSON
    State(Container),
    /// List the containers of the state directory
    List(List),
    /// Show the processes of a container
    Ps(Ps),
    /// Freeze all processes of a container
    Pause(Container),
    /// Thaw all processes of a container
    Resume(Container),
    /// Change the limits of a running container
    Update(Update),
    /// Print resource use and out-of-memory events as JSON lines
    Events(Events),
    /// Write a starter config.json
    Spec(Spec),
    /// Print what this runtime supports as JSON
    Features,
    /// Not in this build
    Checkpoint(Unbuilt),
    /// Not in this build
    Restore(Unbuilt),
}

/// A verb's only argument.
#[derive(Debug, Args)]
pub struct Container {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
}

/// What `create` and `run` share.
#[derive(Debug, Args)]
pub struct Create {
    /// The container's new id
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
    /// The bundle directory
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// How the process is wired to the caller
    #[command(flatten)]
    pub wiring: Wiring,
    /// Move the root instead of pivot_root(2), for a host that runs from a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
}

/// How a process is wired to the caller.
#[derive(Debug, Args)]
pub struct Wiring {
    /// Unix socket that receives the terminal's master side
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// File to write the host pid to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Descriptors to pass on beside standard streams and $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// As for create
    #[command(flatten)]
    pub create: Create,
    /// Return once the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// Keep the container when its process has ended
    #[arg(long)]
    pub keep: bool,
    /// Leave orphans of the container to the host's init
    #[arg(long)]
    pub no_subreaper: bool,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The container and, unless --process is given, the command; nothing after the id is an option
    #[arg(value_names = ["CONTAINER-ID", "COMMAND"], required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
    /// File with the process as JSON
    #[arg(long, short, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// What to change in the container's own process
    #[command(flatten)]
    pub change: ProcessChange,
    /// How the process is wired to the caller
    #[command(flatten)]
    pub wiring: Wiring,
    /// Return once the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// Control group below the container's own
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Run although the container is paused
    #[arg(long)]
    pub ignore_paused: bool,
}

/// What `exec` changes in the container's own process.
#[derive(Debug, Default, Args)]
pub struct ProcessChange {
    /// Working directory in the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set an environment variable
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Allocate a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// User, by number or by a name in the container
    #[arg(long, short, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Supplementary group
    #[arg(long, short = 'g', value_name = "GID", value_delimiter = ',')]
    pub additional_gids: Vec<u32>,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Refuse new privileges on exec
    #[arg(long)]
    pub no_new_privs: bool,
    /// Add a capability
    #[arg(long, short, value_name = "CAPABILITY")]
    pub cap: Vec<String>,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
    /// Name or number
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
    /// Signal every process of the container
    #[arg(long, short)]
    pub all: bool,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
    /// Kill it first if it runs; an absent one is no error
    #[arg(long, short)]
    pub force: bool,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: OutputFormat,
    /// Only ids
    #[arg(long, short)]
    pub quiet: bool,
}

/// `ps`.
#[derive(Debug, Args)]
pub struct Ps {
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: OutputFormat,
    /// The container and the options of ps(1), -ef unless given
    #[arg(value_names = ["CONTAINER-ID", "PS-OPTION"], required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
}

/// A table for people or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns.
    Table,
    /// JSON.
    Json,
}

/// `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
    /// File with LinuxResources as JSON, - for standard input; the other options are then ignored
    #[arg(long, short, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
    /// Length of a CPU period in microseconds
    #[arg(long, value_name = "US")]
    pub cpu_period: Option<u64>,
    /// CPU time per period in microseconds, -1 for no limit
    #[arg(long, value_name = "US")]
    pub cpu_quota: Option<i64>,
    /// CPU time that may be saved up, in microseconds
    #[arg(long, value_name = "US")]
    pub cpu_burst: Option<u64>,
    /// Share of CPU time against other containers
    #[arg(long, value_name = "SHARES")]
    pub cpu_share: Option<u64>,
    /// Length of a real-time period in microseconds
    #[arg(long, value_name = "US")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time per period in microseconds
    #[arg(long, value_name = "US")]
    pub cpu_rt_runtime: Option<i64>,
    /// 1 to let only the cpu group idle
    #[arg(long, value_name = "0|1")]
    pub cpu_idle: Option<i64>,
    /// CPUs to use, for example 0-3,6
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory limit, for example 64m; -1 for none
    #[arg(long, value_name = "BYTES", value_parser = crate::parse::size_or_unlimited)]
    pub memory: Option<i64>,
    /// Soft memory limit
    #[arg(long, value_name = "BYTES", value_parser = crate::parse::size_or_unlimited)]
    pub memory_reservation: Option<i64>,
    /// Limit of memory and swap together, -1 for none
    #[arg(long, value_name = "BYTES", value_parser = crate::parse::size_or_unlimited)]
    pub memory_swap: Option<i64>,
    /// Accepted for runc's callers: kernel memory is counted as memory
    #[arg(long, value_name = "BYTES", hide = true)]
    pub kernel_memory: Option<String>,
    /// Accepted for runc's callers: kernel memory is counted as memory
    #[arg(long, value_name = "BYTES", hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Most processes and threads, -1 for no limit
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<i64>,
    /// Intel RDT L3 cache schema
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Intel RDT memory bandwidth schema
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
    /// Time between two samples
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = super::parse::duration)]
    pub interval: std::time::Duration,
    /// Print one sample and end
    #[arg(long)]
    pub stats: bool,
}

/// `spec`.
#[derive(Debug, Args)]
pub struct Spec {
    /// Where to write config.json
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// Describe a container that an unprivileged user can run
    #[arg(long)]
    pub rootless: bool,
}

/// Arguments of a verb that this build lacks.
#[derive(Debug, Args)]
pub struct Unbuilt {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<OsString>,
}
