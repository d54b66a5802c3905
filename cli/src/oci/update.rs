//! `update`.

use std::io;
use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use stockade_sandbox::{Error, IsolationClass, Result, Runtime};

use super::bundle;
use super::grammar::Update;

/// Changes limits of a live container; what is not named stays.
pub fn update(runtime: &dyn Runtime, args: &Update) -> Result<i32> {
    refuse_rdt(args)?;
    let resources = match &args.resources {
        Some(path) => read(path)?,
        None => from_options(args),
    };
    runtime.update(&args.id, &resources)?;
    Ok(0)
}

fn read(path: &Path) -> Result<LinuxResources> {
    if path != Path::new("-") {
        return bundle::read_json(path);
    }
    serde_json::from_reader(io::stdin().lock())
        .map_err(|e| Error::InvalidConfig(format!("resources on standard input: {e}")))
}

fn refuse_rdt(args: &Update) -> Result<()> {
    if args.l3_cache_schema.is_none() && args.mem_bw_schema.is_none() {
        return Ok(());
    }
    let what = "update Intel RDT schemas".to_owned();
    Err(Error::Unsupported {
        class: IsolationClass::Native,
        what,
        why: "this build does not manage resctrl".to_owned(),
    })
}

fn from_options(args: &Update) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_devices(None);
    resources.set_memory(memory(args));
    resources.set_cpu(cpu(args));
    resources.set_pids(args.pids_limit.map(pids));
    resources.set_block_io(args.blkio_weight.map(block_io));
    resources
}

fn memory(args: &Update) -> Option<LinuxMemory> {
    args.memory.or(args.memory_reservation).or(args.memory_swap)?;
    let mut memory = LinuxMemory::default();
    memory.set_limit(args.memory).set_reservation(args.memory_reservation).set_swap(args.memory_swap);
    Some(memory)
}

fn cpu(args: &Update) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(args.cpu_share).set_quota(args.cpu_quota).set_burst(args.cpu_burst);
    cpu.set_period(args.cpu_period).set_idle(args.cpu_idle);
    cpu.set_realtime_runtime(args.cpu_rt_runtime).set_realtime_period(args.cpu_rt_period);
    cpu.set_cpus(args.cpuset_cpus.clone()).set_mems(args.cpuset_mems.clone());
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn pids(limit: i64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(limit);
    pids
}

fn block_io(weight: u16) -> LinuxBlockIo {
    let mut block_io = LinuxBlockIo::default();
    block_io.set_weight(Some(weight));
    block_io
}
