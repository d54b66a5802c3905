//! What a person may ask of a new container: one plain struct per concern, with parsers for Docker's flag syntax.

mod device;
mod log;
mod mount;
mod namespace;
mod parse;
mod resources;
mod security;
mod signal;
mod ulimit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stockade_sandbox::{IsolationClass, Trace};

pub use device::{DeviceAccess, DeviceOption};
pub use log::{LogConfig, LogDriver};
pub(crate) use mount::clean_target;
pub use mount::{Access, BindOption, MissingSource, MountOption, Propagation, TmpfsOption, VolumeOption};
pub use namespace::NamespaceMode;
pub use parse::{InvalidOption, parse_cpus, parse_size};
pub use resources::Resources;
pub use security::{SeccompProfile, SecurityOption, SecurityOptions};
pub use signal::Signal;
pub use ulimit::Ulimit;

/// Everything that `create` and `run` can be told about a container. `Default` is a container without options.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOptions {
    /// `--name`; a random one when absent.
    pub name: Option<String>,
    /// What follows the image: replaces the image's `Cmd` when not empty.
    pub command: Vec<String>,
    /// `--entrypoint`, split in words: replaces the image's, and drops its `Cmd`. `Some([])` resets it (`--entrypoint
    /// ""`).
    pub entrypoint: Option<Vec<String>>,
    /// `-t`: a terminal.
    pub tty: bool,
    /// `-i`: standard input stays open.
    pub interactive: bool,
    /// Standard input ends when its first client leaves: true for a foreground `run -i`, false with `-d`.
    pub stdin_once: bool,
    /// `--rm`: remove the container, and its anonymous volumes, when it ends.
    pub auto_remove: bool,
    /// `-e`, `--env-file`: `NAME=value`; a bare `NAME` removes the image's variable.
    pub env: Vec<String>,
    /// `-v`, `--mount`, `--tmpfs`, in the order given; a later one wins over an earlier one with the same target.
    pub mounts: Vec<MountOption>,
    /// `-w`: replaces the image's working directory.
    pub workdir: Option<String>,
    /// `-u`: `user[:group]`, by name or number, resolved inside the root file system.
    pub user: Option<String>,
    /// `--group-add`: numeric group ids.
    pub group_add: Vec<u32>,
    /// `--hostname`; the short id when absent.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// `--read-only`: the root file system.
    pub read_only: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// `--cap-add`: names with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--security-opt`.
    pub security: SecurityOptions,
    /// `--device`.
    pub devices: Vec<DeviceOption>,
    /// `--device-cgroup-rule`: `c 13:* rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// `--ulimit`; later ones win.
    pub ulimits: Vec<Ulimit>,
    /// `--network`: [`NamespaceMode::Private`] is `none`, a namespace with only a loopback interface.
    pub network: NamespaceMode,
    /// `--pid`.
    pub pid: NamespaceMode,
    /// `--ipc`.
    pub ipc: NamespaceMode,
    /// `--uts`; `container:` is not defined for it.
    pub uts: NamespaceMode,
    /// `--cgroupns`; `host` shows the host's cgroup tree. Private by default.
    pub cgroupns: NamespaceMode,
    /// `--isolation`; the config file's class when absent, else `native`.
    pub isolation: Option<IsolationClass>,
    /// `--strace`: where the trace of class `kernel` goes; an absolute path.
    pub strace: Option<Trace>,
    /// Limits; what `update` changes.
    pub resources: Resources,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--stop-signal`; the image's when absent, else SIGTERM.
    pub stop_signal: Option<Signal>,
    /// `--stop-timeout` in seconds; 10 when absent, -1 for no limit.
    pub stop_timeout_s: Option<i32>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`: passed into the OCI spec.
    pub annotations: BTreeMap<String, String>,
    /// `--shm-size` in bytes; 64 MiB when absent.
    pub shm_size_bytes: Option<u64>,
    /// `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// `--add-host`: lines of /etc/hosts as `name:address` (or `name=address`).
    pub add_hosts: Vec<String>,
    /// `--dns`.
    pub dns: Vec<String>,
    /// `--dns-search`.
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    pub dns_options: Vec<String>,
    /// `--log-driver`, `--log-opt`.
    pub log: LogConfig,
    /// `--cgroup-parent`; `/stockade` when absent.
    pub cgroup_parent: Option<String>,
}
