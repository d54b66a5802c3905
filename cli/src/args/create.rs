//! `run` and `create`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stockade_engine::options::{DeviceOption, MountOption, NamespaceMode, SecurityOption, Signal, Ulimit, parse_size};
use stockade_image::Platform;
use stockade_sandbox::IsolationClass;
use stockade_vm_kernel::Name;

use super::later::LaterFlags;
use super::limits::LimitFlags;
use super::process::{ProcessFlags, SessionFlags};
use crate::parse::pair;

/// When to ask the registry for the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    Always,
    Missing,
    Never,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Leave the container running in the background and print its id
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub session: SessionFlags,
    #[command(flatten)]
    pub create: CreateArgs,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    pub flags: CreateFlags,
    /// The image, and the command to run in place of the image's own
    #[arg(value_names = ["IMAGE", "COMMAND"], required = true, num_args = 1.., trailing_var_arg = true)]
    pub image_and_command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CreateFlags {
    #[command(flatten)]
    pub init: InitFlags,
    #[command(flatten)]
    pub files: FileFlags,
    #[command(flatten)]
    pub security: SecurityFlags,
    #[command(flatten)]
    pub network: NetworkFlags,
    #[command(flatten)]
    pub limits: LimitFlags,
    #[command(flatten)]
    pub keep: KeepFlags,
    #[command(flatten)]
    pub later: LaterFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct InitFlags {
    #[command(flatten)]
    pub process: ProcessFlags,
    /// Join only these streams: stdin, stdout, stderr
    #[arg(short, long, value_name = "STREAM", value_enum)]
    pub attach: Vec<Stream>,
    /// Further groups, by number
    #[arg(long, value_name = "GID")]
    pub group_add: Vec<u32>,
    /// Replace the image's entry point
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// The signal that stops the container
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<Signal>,
    /// Seconds from the stop signal to SIGKILL; -1 waits for ever
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub stop_timeout: Option<i32>,
    /// Limits of processes, for example nofile=1024:4096
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<Ulimit>,
    /// Print the system calls of its processes, to standard error or to the end of a file (class kernel)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub strace: Option<Option<PathBuf>>,
    /// How soon the kernel kills it for lack of memory, -1000 to 1000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i32>,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    #[value(alias = "STDIN")]
    Stdin,
    #[value(alias = "STDOUT")]
    Stdout,
    #[value(alias = "STDERR")]
    Stderr,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct FileFlags {
    /// Mount a host path or a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = MountOption::parse_volume)]
    pub volume: Vec<MountOption>,
    /// Mount: type=bind|volume|tmpfs,source=…,target=…,readonly
    #[arg(long, value_name = "KEY=VALUE,…", value_parser = MountOption::parse_mount)]
    pub mount: Vec<MountOption>,
    /// Mount memory
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = MountOption::parse_tmpfs)]
    pub tmpfs: Vec<MountOption>,
    /// Make the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub shm_size: Option<u64>,
    /// Give access to a host device
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]")]
    pub device: Vec<DeviceOption>,
    /// Allow devices by type and number, for example 'c 13:* rwm'
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityFlags {
    /// Isolation class: native, kernel or vm
    #[arg(long, value_name = "CLASS")]
    pub isolation: Option<IsolationClass>,
    /// Guest kernel of class vm, one of `stockade vm kernel ls`
    #[arg(long, value_name = "NAME")]
    pub guest_kernel: Option<Name>,
    /// All capabilities and devices, and no filters: as good as root on the host
    #[arg(long)]
    pub privileged: bool,
    /// Add a capability, or ALL
    #[arg(long, value_name = "NAME")]
    pub cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "NAME")]
    pub cap_drop: Vec<String>,
    /// seccomp=unconfined|FILE, apparmor=PROFILE, label=…, no-new-privileges, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<SecurityOption>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub sysctl: Vec<(String, String)>,
    /// Process namespace: private, host or container:ID
    #[arg(long, value_name = "MODE")]
    pub pid: Option<NamespaceMode>,
    /// IPC namespace: private, host or container:ID
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<NamespaceMode>,
    /// UTS namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub uts: Option<NamespaceMode>,
    /// Cgroup namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<NamespaceMode>,
    /// The cgroup to make the container's below
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// none, host, container:ID or ns:PATH
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = network)]
    pub network: Option<NamespaceMode>,
    /// Host name
    #[arg(long, value_name = "NAME", short = 'h')]
    pub hostname: Option<String>,
    /// NIS domain name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Search domain
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Resolver option
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Private namespaces have a loopback device only, so a bridge that was asked for would be silently missing.
fn network(text: &str) -> Result<NamespaceMode, String> {
    let lacking = || "container networks are not in this build: use none, host, container:ID or ns:PATH";
    match text {
        "none" | "host" => text.parse().map_err(|_| String::new()),
        other if other.starts_with("container:") || other.starts_with("ns:") => {
            other.parse().map_err(|error: stockade_engine::options::InvalidOption| error.to_string())
        }
        _ => Err(lacking().to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Container")]
pub struct KeepFlags {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Attach a label
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = pair)]
    pub label: Vec<(String, String)>,
    /// Attach labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Add an annotation to the runtime specification
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub annotation: Vec<(String, String)>,
    /// Where output goes: json-file or none
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option of the log driver: max-size, max-file
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
    /// When to pull the image
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: Pull,
    /// Platform to choose from an index, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,
    /// Say nothing while pulling
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the container's id to a new file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
}
