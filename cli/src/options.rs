//! From flags and the config file to the engine's options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use stockade_engine::ContainerOptions;
use stockade_engine::options::{LogConfig, MountOption, SecurityOptions, Ulimit, parse_size};
use stockade_sandbox::Trace;

use crate::args::{CreateFlags, FileFlags, KeepFlags};
use crate::config::{self, Config};
use crate::parse;

/// The options of a new container.
pub fn container(config: &Config, flags: &CreateFlags, command: &[String]) -> Result<ContainerOptions> {
    let CreateFlags { init, files, security, network, limits, keep, later: _ } = flags;
    let process = &init.process;
    if keep.rm && keep.name.as_deref() == Some("") {
        bail!("a name cannot be empty");
    }
    Ok(ContainerOptions {
        name: keep.name.clone(),
        command: command.to_vec(),
        entrypoint: init.entrypoint.as_deref().map(entrypoint),
        tty: process.tty,
        interactive: process.interactive,
        stdin_once: false,
        auto_remove: keep.rm,
        env: environment(&process.env, &process.env_file)?,
        mounts: mounts(files),
        workdir: process.workdir.clone(),
        user: process.user.clone(),
        group_add: init.group_add.clone(),
        hostname: network.hostname.clone(),
        domainname: network.domainname.clone(),
        read_only: files.read_only,
        privileged: security.privileged,
        cap_add: security.cap_add.clone(),
        cap_drop: security.cap_drop.clone(),
        security: {
            let mut options = SecurityOptions::default();
            security.security_opt.iter().cloned().for_each(|option| options.apply(option));
            options
        },
        devices: files.device.clone(),
        device_cgroup_rules: files.device_cgroup_rule.clone(),
        ulimits: ulimits(&config.container, &init.ulimit)?,
        network: network.network.clone().unwrap_or_default(),
        pid: security.pid.clone().unwrap_or_default(),
        ipc: security.ipc.clone().unwrap_or_default(),
        uts: security.uts.clone().unwrap_or_default(),
        cgroupns: security.cgroupns.clone().unwrap_or_default(),
        isolation: security.isolation,
        strace: init.strace.as_ref().map(trace).transpose()?,
        resources: limits.resources(),
        oom_score_adj: init.oom_score_adj,
        stop_signal: init.stop_signal,
        stop_timeout_s: Some(init.stop_timeout.unwrap_or(config.container.stop_timeout_s)),
        labels: labels(keep)?,
        annotations: keep.annotation.iter().cloned().collect(),
        shm_size_bytes: Some(shm_size(&config.container, files)?),
        sysctls: security.sysctl.iter().cloned().collect(),
        add_hosts: network.add_host.clone(),
        dns: network.dns.clone(),
        dns_search: network.dns_search.clone(),
        dns_options: network.dns_option.clone(),
        log: log(&config.container, keep)?,
        cgroup_parent: security.cgroup_parent.clone(),
    })
}

/// Absolute, since the supervisor has a directory of its own.
fn trace(file: &Option<PathBuf>) -> Result<Trace> {
    match file {
        None => Ok(Trace::Stderr),
        Some(path) => Ok(Trace::File(std::path::absolute(path).context("--strace")?)),
    }
}

/// Docker's rule: the flag is one word, and an empty one takes the image's entry point away.
fn entrypoint(text: &str) -> Vec<String> {
    Some(text).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()
}

/// `--env-file`, then `-e`: later ones win.
pub fn environment(flags: &[String], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        all.extend(parse::env_file(file).map_err(|text| anyhow!(text))?);
    }
    for flag in flags {
        all.push(parse::env(flag).map_err(|text| anyhow!(text))?);
    }
    Ok(all)
}

fn mounts(files: &FileFlags) -> Vec<MountOption> {
    [&files.volume, &files.mount, &files.tmpfs].into_iter().flatten().cloned().collect()
}

/// The config file's first, so that a flag of the same name wins.
fn ulimits(config: &config::Container, flags: &[Ulimit]) -> Result<Vec<Ulimit>> {
    let defaults = config.ulimits.iter().map(|text| text.parse::<Ulimit>());
    let mut all: Vec<Ulimit> = defaults.collect::<Result<_, _>>().context("config file: container.ulimits")?;
    all.extend(flags.iter().cloned());
    Ok(all)
}

fn labels(keep: &KeepFlags) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for file in &keep.label_file {
        all.extend(parse::pairs_file(file).map_err(|text| anyhow!(text))?);
    }
    all.extend(keep.label.iter().cloned());
    Ok(all)
}

fn shm_size(config: &config::Container, files: &FileFlags) -> Result<u64> {
    match files.shm_size {
        Some(bytes) => Ok(bytes),
        None => parse_size(&config.shm_size).context("config file: container.shm_size"),
    }
}

/// The config file's options belong to its driver: another driver starts without them.
fn log(config: &config::Container, keep: &KeepFlags) -> Result<LogConfig> {
    let mut log = LogConfig::default();
    let driver = keep.log_driver.as_deref().unwrap_or(&config.log_driver);
    log.set_driver(driver)?;
    if driver == config.log_driver {
        for (key, value) in &config.log_options {
            log.set_option(&format!("{key}={value}")).context("config file: container.log_options")?;
        }
    }
    keep.log_opt.iter().try_for_each(|option| log.set_option(option))?;
    Ok(log)
}
