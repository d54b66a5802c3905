//! `inspect`: the fields of Docker's document that have a meaning here, under Docker's names.

use serde_json::{Value, json};

use super::list::network_name;
use super::{Inspect, QueryError, Status};
use crate::Engine;
use crate::options::{
    Access, BindOption, ContainerOptions, LogDriver, MissingSource, MountOption, NamespaceMode, SeccompProfile,
};
use crate::state::{Container, MountKind, MountRecord, Record, RunState};

/// Docker's time before any time.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Engine {
    /// Everything about one container.
    pub fn inspect(&self, name: &str) -> Result<Inspect, QueryError> {
        let container = self.find(name)?;
        let state = self.peek(&container)?;
        let record = container.record()?;
        Ok(Inspect(document(&container, &record, &state)))
    }
}

/// The whole.
fn document(container: &Container, record: &Record, state: &RunState) -> Value {
    let (path, arguments) = record.command.split_first().map_or(("", &[][..]), |(path, rest)| (path.as_str(), rest));
    json!({
        "Id": record.id,
        "Created": record.created,
        "Path": path,
        "Args": arguments,
        "State": state_part(state),
        "Image": record.image.id,
        "ResolvConfPath": container.file("resolv.conf"),
        "HostnamePath": container.file("hostname"),
        "HostsPath": container.file("hosts"),
        "LogPath": container.log_path(),
        "Name": format!("/{}", record.name),
        "RestartCount": 0,
        "Driver": "erofs",
        "Platform": "linux",
        "Isolation": record.isolation,
        "AppArmorProfile": record.options.security.apparmor.clone().unwrap_or_default(),
        "HostConfig": host_config(record),
        "GraphDriver": {"Name": "erofs", "Data": {
            "LowerDir": record.image.layers.iter().map(|layer| layer.display().to_string()).collect::<Vec<_>>().join(":"),
            "UpperDir": container.file("rw").join("upper"),
            "WorkDir": container.file("rw").join("work"),
        }},
        "Mounts": record.mounts.iter().filter(|mount| mount.kind != MountKind::Tmpfs).map(mount).collect::<Vec<_>>(),
        "Config": config(record),
        "NetworkSettings": network_settings(record),
    })
}

/// `NetworkSettings`: a container here has no network of its own making, so its addresses are empty, as Docker leaves
/// them with `--network none`.
fn network_settings(record: &Record) -> Value {
    let mut settings = addresses();
    settings["Networks"] = json!({network_name(&record.options.network): addresses()});
    settings["Ports"] = json!({});
    settings
}

/// The addresses of a container, or of it in one network.
fn addresses() -> Value {
    json!({
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "",
    })
}

/// `State`.
fn state_part(state: &RunState) -> Value {
    let time = |text: &str| if text.is_empty() { NEVER.to_owned() } else { text.to_owned() };
    json!({
        "Status": state.status,
        "Running": state.is_live(),
        "Paused": state.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == Status::Removing,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": time(&state.started_at),
        "FinishedAt": time(&state.finished_at),
    })
}

/// `Config`: what goes with the image.
fn config(record: &Record) -> Value {
    let (options, image) = (&record.options, &record.image.config);
    let entrypoint = options.entrypoint.clone().or_else(|| image.entrypoint().clone());
    let command =
        if options.command.is_empty() { image.cmd().clone().unwrap_or_default() } else { options.command.clone() };
    let volumes: serde_json::Map<String, Value> =
        image.volumes().iter().flatten().map(|target| (target.clone(), json!({}))).collect();
    json!({
        "Hostname": record.hostname(),
        "Domainname": options.domainname.clone().unwrap_or_default(),
        "User": crate::spec::user(record).unwrap_or_default(),
        "AttachStdin": options.stdin_once,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": options.stdin_once,
        "Env": crate::spec::environment(record),
        "Cmd": command,
        "Image": record.image.name,
        "Volumes": if volumes.is_empty() { Value::Null } else { volumes.into() },
        "WorkingDir": options.workdir.clone().or_else(|| image.working_dir().clone()).unwrap_or_default(),
        "Entrypoint": entrypoint,
        "Labels": record.labels(),
        "StopSignal": crate::lifecycle::stop_signal(record),
        "StopTimeout": options.stop_timeout_s,
    })
}

/// `HostConfig`: what goes with the host.
fn host_config(record: &Record) -> Value {
    let options = &record.options;
    let mut document = limits(record);
    let rest = json!({
        "Binds": binds(options, MissingSource::Create).map(bind_text).collect::<Vec<_>>(),
        "Mounts": binds(options, MissingSource::Refuse).map(mount_request).collect::<Vec<_>>(),
        "PortBindings": {},
        "NetworkMode": network_name(&options.network),
        "AutoRemove": options.auto_remove,
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "CapAdd": options.cap_add,
        "CapDrop": options.cap_drop,
        "GroupAdd": options.group_add,
        "Dns": options.dns,
        "DnsSearch": options.dns_search,
        "DnsOptions": options.dns_options,
        "ExtraHosts": options.add_hosts,
        "PidMode": mode(&options.pid),
        "IpcMode": options.ipc.to_string(),
        "UTSMode": mode(&options.uts),
        "CgroupnsMode": options.cgroupns.to_string(),
        "CgroupParent": options.cgroup_parent.clone().unwrap_or_default(),
        "ShmSize": options.shm_size_bytes.unwrap_or(crate::shm::BYTES),
        "Sysctls": options.sysctls,
        "Annotations": options.annotations,
        "Strace": options.strace,
        "SecurityOpt": security(record),
        "OomScoreAdj": options.oom_score_adj.unwrap_or(0),
        "Devices": options.devices.iter().map(|device| json!({
            "PathOnHost": device.host, "PathInContainer": device.container, "CgroupPermissions": device.access,
        })).collect::<Vec<_>>(),
        "Ulimits": options.ulimits.iter().map(|limit| json!({
            "Name": limit.name, "Soft": limit.soft, "Hard": limit.hard,
        })).collect::<Vec<_>>(),
        "LogConfig": log(record),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "Runtime": record.isolation,
    });
    if let (Value::Object(document), Value::Object(rest)) = (&mut document, rest) {
        document.extend(rest);
    }
    document
}

/// The limits in `HostConfig`.
fn limits(record: &Record) -> Value {
    let limits = &record.options.resources;
    let memory = limits.memory_bytes.unwrap_or(0);
    let twice = i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
    json!({
        "Memory": memory,
        "MemorySwap": limits.memory_swap_bytes.unwrap_or(twice),
        "MemoryReservation": limits.memory_reservation_bytes.unwrap_or(0),
        "MemorySwappiness": limits.memory_swappiness,
        "OomKillDisable": limits.oom_kill_disable.unwrap_or(false),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpuPeriod": limits.cpu_period_us.unwrap_or(0),
        "CpuQuota": limits.cpu_quota_us.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "PidsLimit": limits.pids_limit,
        "BlkioWeight": limits.blkio_weight.unwrap_or(0),
    })
}

/// Docker leaves these empty where they are private.
fn mode(mode: &NamespaceMode) -> String {
    match mode {
        NamespaceMode::Private => String::new(),
        other => other.to_string(),
    }
}

/// `LogConfig`.
fn log(record: &Record) -> Value {
    let log = &record.options.log;
    let mut options = serde_json::Map::new();
    if let Some(size) = log.max_size_bytes {
        options.insert("max-size".to_owned(), size.to_string().into());
        options.insert("max-file".to_owned(), log.max_file.to_string().into());
    }
    json!({"Type": if log.driver == LogDriver::None { "none" } else { "json-file" }, "Config": options})
}

/// `SecurityOpt`, as it was asked for.
fn security(record: &Record) -> Vec<String> {
    let security = &record.options.security;
    let mut options: Vec<String> = security.labels.iter().map(|label| format!("label={label}")).collect();
    options.extend(security.apparmor.iter().map(|profile| format!("apparmor={profile}")));
    options.extend(security.no_new_privileges.then(|| "no-new-privileges".to_owned()));
    match &security.seccomp {
        SeccompProfile::Unconfined => options.push("seccomp=unconfined".to_owned()),
        SeccompProfile::Json(text) => options.push(format!("seccomp={text}")),
        SeccompProfile::File(path) => options.push(format!("seccomp={}", path.display())),
        SeccompProfile::Default => {}
    }
    options
}

/// The host paths that `-v` (which makes a missing one) or `--mount` (which does not) asked for.
fn binds(options: &ContainerOptions, missing: MissingSource) -> impl Iterator<Item = &BindOption> {
    options.mounts.iter().filter_map(move |mount| match mount {
        MountOption::Bind(bind) if bind.missing_source == missing => Some(bind),
        _ => None,
    })
}

/// As `--mount` was asked for.
fn mount_request(mount: &BindOption) -> Value {
    let read_only = mount.access == Access::ReadOnly;
    json!({"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": read_only})
}

/// As `-v` takes it.
fn bind_text(mount: &BindOption) -> String {
    let mode = if mount.access == Access::ReadOnly { "ro" } else { "rw" };
    format!("{}:{}:{mode}", mount.source.display(), mount.target.display())
}

/// One of `Mounts`.
fn mount(mount: &MountRecord) -> Value {
    let propagation = mount
        .options
        .iter()
        .find(|option| option.ends_with("shared") || option.ends_with("slave") || option.ends_with("private"));
    let (kind, name) = match &mount.kind {
        MountKind::Volume { name, .. } => ("volume", Some(name)),
        MountKind::Bind => ("bind", None),
        MountKind::Tmpfs => ("tmpfs", None),
    };
    let mut document = json!({
        "Type": kind,
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": if mount.read_only { "ro" } else { "" },
        "RW": !mount.read_only,
        "Propagation": propagation,
    });
    if let Some(name) = name {
        document["Name"] = name.as_str().into();
        document["Driver"] = "local".into();
    }
    document
}
