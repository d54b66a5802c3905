//! `stockade vmm`: one microVM in the foreground, with Firecracker's flags, API and exit statuses.
//!
//! The main thread serves the API; the machine has threads of its own. The process ends with the guest.

mod exit;
mod machine;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stockade_native::rest::{keep_one_heap, rest};
use stockade_vm_api::{API_VERSION, ControllerError, Logger, Metrics, Server, Session, Setup};
use stockade_vmm::config::{InstanceId, InstanceInfo, LoggerConfig, MetricsConfig, VmConfig, VmFile, VmState};
use stockade_vmm::devices::Announce;
use stockade_vmm::machine::Outcome;
use stockade_vmm::mmds::Mmds;
use stockade_vmm::seccomp::Filters;
use stockade_vmm::snapshot;
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::VmmArgs;
pub use exit::BAD_USAGE;
use exit::Failure;
use machine::Vmm;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a microVM to its end; gives the exit status.
pub fn run(args: &VmmArgs) -> u8 {
    if args.version {
        return print_version();
    }
    if args.snapshot_version {
        return print_line(&snapshot::VERSION);
    }
    if let Some(path) = &args.describe_snapshot {
        return describe_snapshot(path);
    }
    match live(args) {
        Ok(()) => {
            info!("Stockade exiting successfully. exit_code=0");
            0
        }
        Err(failure) => {
            error!("{failure}");
            // Standard error is all that is left to say it on.
            let _ = writeln!(io::stderr(), "Error: {failure}");
            let status = failure.status();
            error!("Stockade exiting with error. exit_code={status}");
            status
        }
    }
}

fn print_version() -> u8 {
    // A closed standard output is all that can go wrong. Clients look for the name and version that they know.
    let _ = writeln!(io::stdout(), "Firecracker v{API_VERSION}\n\nServed by Stockade v{VERSION}");
    0
}

/// A closed standard output is all that can go wrong.
fn print_line(line: &dyn std::fmt::Display) -> u8 {
    let _ = writeln!(io::stdout(), "{line}");
    0
}

fn describe_snapshot(path: &Path) -> u8 {
    match snapshot::version_of(path) {
        Ok(version) => print_line(&version),
        Err(error) => {
            // Standard error is all that is left to say it on.
            let _ = writeln!(io::stderr(), "Error: {}", ControllerError::from_chain(&error));
            exit::FAILED
        }
    }
}

fn live(args: &VmmArgs) -> Result<(), Failure> {
    keep_one_heap();
    let id = InstanceId::new(&args.id).map_err(Failure::Id)?;
    let logger = start_log(args, &id)?;
    info!("Running Stockade v{VERSION}, with Firecracker's API v{API_VERSION}");
    warn_of_what_is_missing(args);
    let metrics = start_metrics(args)?;
    let server = match args.no_api {
        true => None,
        false => Some(Server::bind(&args.api_sock, args.http_api_max_payload_size)?),
    };
    let (ended, end) = tokio::sync::oneshot::channel();
    let boot = if args.boot_timer { Announce::Yes } else { Announce::No };
    let filters = if args.no_seccomp { Filters::Off } else { Filters::On };
    let setup = setup(args, id, logger, metrics)?;
    let starts = args.config_file.is_some();
    let mut session = Session::new(Vmm::new(boot, filters, ended), setup);
    if starts {
        session.start().map_err(Failure::StartFromFile)?;
        info!("Successfully started microvm that was configured from one single json");
    }
    let server = server.unwrap_or_else(Server::without_socket);
    let (mut session, outcome) = server.run(session, end, rest).map_err(Failure::Serve)?;
    if let Err(error) = session.flush_metrics() {
        warn!("cannot write metrics: {error}");
    }
    drop(session);
    match outcome {
        Ok(Outcome::Failed(reason)) => Err(Failure::Guest(reason)),
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Guest("the machine went without a word".to_owned())),
    }
}

fn start_log(args: &VmmArgs, id: &InstanceId) -> Result<Logger, Failure> {
    let logger = Logger::new(id.clone());
    let config = LoggerConfig {
        log_path: args.log_path.clone(),
        level: args.level.as_deref().map(str::parse).transpose().map_err(Failure::Level)?,
        show_level: args.show_level.then_some(true),
        show_log_origin: args.show_log_origin.then_some(true),
        module: args.module.clone(),
    };
    logger.configure(&config).map_err(Failure::Logger)?;
    tracing_subscriber::registry().with(logger.clone()).try_init().map_err(Failure::SetLogger)?;
    Ok(logger)
}

fn warn_of_what_is_missing(args: &VmmArgs) {
    if args.enable_pci {
        warn!("PCI is not supported: devices are virtio-mmio");
    }
}

fn start_metrics(args: &VmmArgs) -> Result<Metrics, Failure> {
    let mut metrics = Metrics::default();
    let cpu = now(ClockId::ProcessCPUTime).saturating_sub(micros(args.start_time_cpu_us));
    let wall = args
        .start_time_us
        .map_or(Duration::ZERO, |start| now(ClockId::Monotonic).saturating_sub(Duration::from_micros(start)));
    metrics.started(wall, cpu + micros(args.parent_cpu_time_us));
    if let Some(path) = &args.metrics_path {
        metrics.open(&MetricsConfig { metrics_path: path.clone() }).map_err(Failure::Metrics)?;
    }
    Ok(metrics)
}

fn micros(micros: Option<u64>) -> Duration {
    Duration::from_micros(micros.unwrap_or_default())
}

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

fn setup(args: &VmmArgs, id: InstanceId, logger: Logger, mut metrics: Metrics) -> Result<Setup, Failure> {
    let config = match &args.config_file {
        Some(path) => read_config(path, &logger, &mut metrics)?,
        None => VmConfig::default(),
    };
    let mut mmds = Mmds::new(args.mmds_size_limit.unwrap_or(args.http_api_max_payload_size));
    if let Some(path) = &args.metadata {
        mmds.put(read_json(path)?).map_err(Failure::Metadata)?;
        info!("Successfully added metadata to mmds from file");
    }
    let info = InstanceInfo {
        id,
        state: VmState::NotStarted,
        vmm_version: VERSION.to_owned(),
        app_name: "Stockade".to_owned(),
    };
    Ok(Setup { info, config, mmds, logger, metrics })
}

fn read_config(path: &Path, logger: &Logger, metrics: &mut Metrics) -> Result<VmConfig, Failure> {
    let file: VmFile = read_json(path)?;
    if let Some(config) = &file.logger {
        logger.configure(config).map_err(Failure::Logger)?;
    }
    if let Some(config) = &file.metrics {
        metrics.open(config).map_err(Failure::Metrics)?;
    }
    file.validated().map_err(Failure::Config)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = fs::read(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| Failure::Json { path: path.to_owned(), source })
}
