//! `stockade vmm`: Firecracker's flags.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct VmmArgs {
    /// Unix socket that the API is served on
    #[arg(long, value_name = "PATH", default_value = "/run/firecracker.socket")]
    pub api_sock: PathBuf,
    /// Name of the microVM: letters, digits and hyphens
    #[arg(long, value_name = "ID", default_value = "anonymous-instance")]
    pub id: String,
    /// JSON file with the whole microVM, which is started at once
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// JSON file with the first content of the metadata service
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<PathBuf>,
    /// Serve no API
    #[arg(long, requires = "config_file")]
    pub no_api: bool,
    /// Log how long the guest took to boot
    #[arg(long)]
    pub boot_timer: bool,
    /// Run without system call filters
    #[arg(long)]
    pub no_seccomp: bool,
    /// File or named pipe for the log [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub log_path: Option<PathBuf>,
    /// Least important level to log: Off, Error, Warning, Info, Debug or Trace
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Log only modules whose path begins so
    #[arg(long, value_name = "PREFIX")]
    pub module: Option<String>,
    /// Show the level in the log
    #[arg(long)]
    pub show_level: bool,
    /// Show source files and lines in the log
    #[arg(long)]
    pub show_log_origin: bool,
    /// File or named pipe for metrics
    #[arg(long, value_name = "FILE")]
    pub metrics_path: Option<PathBuf>,
    /// Longest body of a request to the API
    #[arg(long, value_name = "BYTES", default_value_t = 51_200)]
    pub http_api_max_payload_size: usize,
    /// Longest content of the metadata service [default: --http-api-max-payload-size]
    #[arg(long, value_name = "BYTES")]
    pub mmds_size_limit: Option<usize>,
    /// When the process was started, by the monotonic clock
    #[arg(long, value_name = "MICROSECONDS")]
    pub start_time_us: Option<u64>,
    /// What CPU time the process had used when it was started
    #[arg(long, value_name = "MICROSECONDS")]
    pub start_time_cpu_us: Option<u64>,
    /// What CPU time its parent had used for it
    #[arg(long, value_name = "MICROSECONDS")]
    pub parent_cpu_time_us: Option<u64>,
    /// Accepted and told in the log: devices are virtio-mmio
    #[arg(long)]
    pub enable_pci: bool,
    /// Show the version of snapshots that are written
    #[arg(long)]
    pub snapshot_version: bool,
    /// Show the version of a snapshot's state file
    #[arg(long, value_name = "FILE")]
    pub describe_snapshot: Option<PathBuf>,
    /// Show the version
    #[arg(long)]
    pub version: bool,
}
