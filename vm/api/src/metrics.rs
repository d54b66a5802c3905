//! Metrics: a JSON object per line, of what was counted since the line before.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use stockade_vmm::config::MetricsConfig;

use crate::output::Output;
use crate::request::Method;

const GET: &[&str] = &["instance_info", "machine_cfg", "mmds", "vmm_version"];
const PUT: &[&str] =
    &["actions", "boot_source", "drive", "logger", "machine_cfg", "metrics", "mmds", "network", "vsock"];
const PATCH: &[&str] = &["drive", "machine_cfg", "mmds", "network"];

/// An action whose duration is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Latency {
    FullSnapshot,
    DiffSnapshot,
    LoadSnapshot,
    Pause,
    Resume,
}

impl Latency {
    const ALL: [(Self, &'static str); 5] = [
        (Self::FullSnapshot, "full_create_snapshot"),
        (Self::DiffSnapshot, "diff_create_snapshot"),
        (Self::LoadSnapshot, "load_snapshot"),
        (Self::Pause, "pause_vm"),
        (Self::Resume, "resume_vm"),
    ];
}

/// What is counted, and where it goes.
#[derive(Debug, Default)]
pub struct Metrics {
    output: Option<Output>,
    counts: BTreeMap<(Method, &'static str), Count>,
    deprecated: u64,
    latencies_us: BTreeMap<Latency, u64>,
    startup_us: u64,
    startup_cpu_us: u64,
    missed_lines: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    failures: u64,
}

impl Metrics {
    /// Sends lines to a file or a pipe.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&mut self, config: &MetricsConfig) -> io::Result<()> {
        self.output = Some(Output::open(&config.metrics_path)?);
        Ok(())
    }

    /// Keeps how long the program took to start.
    pub fn started(&mut self, wall: Duration, cpu: Duration) {
        (self.startup_us, self.startup_cpu_us) = (micros(wall), micros(cpu));
    }

    pub(crate) fn request(&mut self, method: Method, endpoint: &'static str) {
        self.counts.entry((method, endpoint)).or_default().requests += 1;
    }

    pub(crate) fn failure(&mut self, method: Method, endpoint: &'static str) {
        self.counts.entry((method, endpoint)).or_default().failures += 1;
    }

    pub(crate) fn deprecated(&mut self) {
        self.deprecated += 1;
    }

    pub(crate) fn took(&mut self, latency: Latency, duration: Duration) {
        self.latencies_us.insert(latency, micros(duration));
    }

    /// Writes a line with the machine's own part, if there is somewhere to write it to.
    ///
    /// # Errors
    /// It cannot be written; its counts are kept for the next.
    pub fn flush(&mut self, missed_logs: u64, machine: impl FnOnce() -> Map<String, Value>) -> io::Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        let mut line = self.line(missed_logs);
        line.extend(machine());
        if let Err(error) = output.line(&Value::Object(line).to_string()) {
            self.missed_lines += 1;
            return Err(error);
        }
        self.counts.clear();
        (self.deprecated, self.missed_lines) = (0, 0);
        Ok(())
    }

    fn line(&self, missed_logs: u64) -> Map<String, Value> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latencies = Latency::ALL.iter().map(|(latency, name)| {
            ((*name).to_owned(), json!(self.latencies_us.get(latency).copied().unwrap_or_default()))
        });
        let line = json!({
            "utc_timestamp_ms": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "api_server": {
                "process_startup_time_us": self.startup_us,
                "process_startup_time_cpu_us": self.startup_cpu_us,
            },
            "deprecated_api": {"deprecated_http_api_calls": self.deprecated},
            "get_api_requests": self.requests(Method::Get, GET),
            "put_api_requests": self.requests(Method::Put, PUT),
            "patch_api_requests": self.requests(Method::Patch, PATCH),
            "latencies_us": latencies.collect::<Map<_, _>>(),
            "logger": {"missed_log_count": missed_logs, "missed_metrics_count": self.missed_lines},
        });
        match line {
            Value::Object(line) => line,
            _ => Map::new(),
        }
    }

    fn requests(&self, method: Method, endpoints: &[&'static str]) -> Value {
        let mut shown = Map::new();
        for endpoint in endpoints {
            let count = self.counts.get(&(method, endpoint)).copied().unwrap_or_default();
            shown.insert(format!("{endpoint}_count"), json!(count.requests));
            if method != Method::Get {
                shown.insert(format!("{endpoint}_fails"), json!(count.failures));
            }
        }
        Value::Object(shown)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
