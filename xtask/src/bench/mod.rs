//! `cargo xtask bench`: ours beside its peers in one run, interleaved, so that a noisy machine is noisy for all.
//!
//! Each benchmark prints a table with ratios and writes target/bench/NAME.json. docs/performance.md has a run's
//! results.

mod containers;
mod kernel;
mod many;
mod markdown;
mod measure;
mod memory;
mod people;
mod pull;
mod report;
mod run_rm;
mod start;
mod vm;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::process::{getpid, set_child_subreaper};

use crate::{build, setup, sh};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which benchmarks; all unless named.
    names: Vec<String>,
    /// A tenth of the repetitions: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Use the binaries in this directory instead of building.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Boot this vmlinux in vm-boot-small, by `stockade vmm` alone.
    #[arg(long, value_name = "FILE")]
    guest_kernel: Option<PathBuf>,
    /// In vm-boot and vm-boot-small, this Firecracker beside ours in place of figures that were taken once.
    #[arg(long, value_name = "FILE")]
    firecracker: Option<PathBuf>,
    /// Everything is set up and this is the mount namespace to measure in.
    #[arg(long, hide = true)]
    prepared: bool,
}

type Bench = fn(&Effort) -> Result<report::Report>;

const BENCHES: &[(&str, Bench)] = &[
    ("start", start::run),
    ("run-rm", run_rm::run),
    ("memory-oci", memory::oci),
    ("memory-run", memory::people),
    ("many-oci", many::oci),
    ("many-run", many::people),
    ("pull", pull::run),
    ("kernel-calls", kernel::on_all_cpus),
    ("kernel-calls-pinned", kernel::on_one_cpu),
    ("kernel-calls-blocked", kernel::blocked),
    ("kernel-start", kernel::start),
    ("kernel-memory", kernel::memory),
    ("kernel-programs", kernel::programs),
    ("kernel-many", kernel::many),
    ("vm-boot", vm::boot),
    ("vm-boot-small", vm::boot_small),
    ("vm-run", vm::run),
    ("vm-transfer", vm::transfer),
    ("vm-many", vm::many),
    ("vm-restore", vm::restore),
];

/// How often to repeat, and what.
#[derive(Debug)]
pub struct Effort {
    quick: bool,
    /// In place of the small one.
    guest_kernel: Option<PathBuf>,
    /// The peer itself.
    firecracker: Option<PathBuf>,
}

impl Effort {
    /// `full` repetitions, or a tenth of them, at least three.
    fn repeat(&self, full: usize) -> usize {
        if self.quick { (full / 10).max(3) } else { full }
    }
}

/// Sets up, builds, and runs the benchmarks in a mount namespace without the unified control group hierarchy.
pub fn run(options: &Options) -> Result<()> {
    check_names(&options.names)?;
    if options.prepared {
        return run_here(options);
    }
    setup::run(scope(&options.names))?;
    let binaries = options.bin_dir.as_ref().map_or_else(build::release, |dir| Ok(std::path::absolute(dir)?))?;
    let mut inner = in_v1_namespace()?;
    inner.args(["bench", "--prepared"]).args(&options.names).args(options.quick.then_some("--quick"));
    for (flag, file) in [("--guest-kernel", &options.guest_kernel), ("--firecracker", &options.firecracker)] {
        if let Some(file) = file {
            inner.arg(flag).arg(std::path::absolute(file)?);
        }
    }
    sh::continue_in(inner.env("STOCKADE_BIN_DIR", binaries))
}

/// Whole programs need more than the others.
fn scope(names: &[String]) -> setup::Scope {
    let all = names.is_empty() || names.iter().any(|name| name == "kernel-programs");
    if all { setup::Scope::Tests } else { setup::Scope::Demo }
}

fn check_names(names: &[String]) -> Result<()> {
    let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("no benchmark {name:?}: choose from {}", known.join(", ")),
        None => Ok(()),
    }
}

/// crun 1.8 refuses a hybrid machine, so everybody measures with the version 1 controllers alone. An unmounted
/// `unified` would not do: its mount point stays, and runc makes plain directories in it.
const V1_ONLY: &str = r#"
if ! mountpoint -q /sys/fs/cgroup/unified; then exec "$@"; fi
new=$(mktemp -d)
mount -t tmpfs cgroup "$new"
for dir in /sys/fs/cgroup/*; do
  if [ -d "$dir" ] && [ "${dir##*/}" != unified ] && mountpoint -q "$dir"; then
    mkdir "$new/${dir##*/}"
    mount --move "$dir" "$new/${dir##*/}"
  fi
done
umount /sys/fs/cgroup/unified
mount --move "$new" /sys/fs/cgroup
rmdir "$new"
exec "$@"
"#;

fn in_v1_namespace() -> Result<std::process::Command> {
    let me = std::env::current_exe().context("find this program")?;
    let mut command = sh::cmd("unshare", ["--mount", "--propagation", "private", "sh", "-ec", V1_ONLY, "sh"]);
    command.arg(me);
    Ok(command)
}

fn run_here(options: &Options) -> Result<()> {
    // Containers that are started detached become our children: that is how they are found and counted.
    set_child_subreaper(Some(getpid())).context("become the subreaper of all containers")?;
    let effort = Effort {
        quick: options.quick,
        guest_kernel: options.guest_kernel.clone(),
        firecracker: options.firecracker.clone(),
    };
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name);
    let dir = build::target_dir().join("bench");
    let mut reports = Vec::new();
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        let report = bench(&effort).with_context(|| format!("benchmark {name}"))?;
        report.print(name);
        report.save(name, &dir)?;
        reports.push((*name, report));
    }
    kernel::save_plot(&reports, &dir)
}
