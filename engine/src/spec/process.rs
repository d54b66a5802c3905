//! The init, and exec'd processes.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, UserBuilder};

use super::{SpecError, capabilities, environment};
use crate::ExecOptions;
use crate::options::{InvalidOption, Ulimit};
use crate::state::Record;

/// The init.
pub(super) fn init(record: &Record) -> Result<Process, SpecError> {
    let options = &record.options;
    let user = UserBuilder::default().uid(0u32).gid(0u32).additional_gids(options.group_add.clone()).build()?;
    let mut process = ProcessBuilder::default()
        .terminal(options.tty)
        .user(user)
        .args(record.command.clone())
        .env(environment::init(record))
        .cwd(working_directory(record)?)
        .capabilities(capabilities::init(record)?)
        .rlimits(rlimits(&options.ulimits)?)
        .no_new_privileges(options.security.no_new_privileges)
        .build()?;
    process.set_oom_score_adj(options.oom_score_adj);
    process.set_apparmor_profile(options.security.apparmor.clone().filter(|profile| profile != "unconfined"));
    process.set_selinux_label(selinux_label(&options.security.labels));
    Ok(process)
}

/// An exec'd process; what is left out is the container's.
pub(crate) fn exec_process(record: &Record, options: &ExecOptions) -> Result<Process, SpecError> {
    let user = UserBuilder::default().uid(0u32).gid(0u32).additional_gids(record.options.group_add.clone()).build()?;
    let directory = match &options.workdir {
        Some(directory) => absolute(directory)?,
        None => working_directory(record)?,
    };
    let mut process = ProcessBuilder::default()
        .terminal(options.tty)
        .user(user)
        .args(options.command.clone())
        .env(environment::exec(record, &options.env, options.tty))
        .cwd(directory)
        .build()?;
    // The builder's defaults are for an init: absent means as the container has it.
    process.set_capabilities(options.privileged.then(capabilities::privileged).transpose()?);
    process.set_rlimits(None).set_no_new_privileges(None);
    Ok(process)
}

/// Refuses what could not start.
pub(super) fn check(record: &Record) -> Result<(), InvalidOption> {
    working_directory(record).map(drop)
}

/// What was asked for, else the image's, else `/`.
fn working_directory(record: &Record) -> Result<PathBuf, InvalidOption> {
    let image = || record.image.config.working_dir().clone().filter(|directory| !directory.is_empty());
    match record.options.workdir.clone().or_else(image) {
        Some(directory) => absolute(&directory),
        None => Ok(PathBuf::from("/")),
    }
}

/// A working directory must say where it is.
fn absolute(directory: &str) -> Result<PathBuf, InvalidOption> {
    if Path::new(directory).is_absolute() {
        return Ok(directory.into());
    }
    Err(InvalidOption(format!("the working directory '{directory}' is invalid, it needs to be an absolute path")))
}

/// The last limit of each name, as setrlimit(2) has it.
fn rlimits(ulimits: &[Ulimit]) -> Result<Vec<PosixRlimit>, SpecError> {
    let last = |(n, limit): &(usize, &Ulimit)| !ulimits[n + 1..].iter().any(|later| later.name == limit.name);
    ulimits.iter().enumerate().filter(last).map(|(_, limit)| rlimit(limit)).collect()
}

/// One limit of setrlimit(2).
fn rlimit(ulimit: &Ulimit) -> Result<PosixRlimit, SpecError> {
    let kind = match ulimit.name.as_str() {
        "as" => PosixRlimitType::RlimitAs,
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        other => return Err(InvalidOption(format!("invalid ulimit type: {other}")).into()),
    };
    Ok(PosixRlimitBuilder::default().typ(kind).soft(ulimit.soft).hard(ulimit.hard).build()?)
}

/// A label from its parts over the container policy's defaults; none when nothing was asked for, or `disable`.
fn selinux_label(parts: &[String]) -> Option<String> {
    if parts.is_empty() || parts.iter().any(|part| part == "disable") {
        return None;
    }
    let part = |key: &str, default: &str| {
        let value = parts.iter().rev().find_map(|part| part.strip_prefix(key)?.strip_prefix(':'));
        value.unwrap_or(default).to_owned()
    };
    let (user, role) = (part("user", "system_u"), part("role", "system_r"));
    Some(format!("{user}:{role}:{}:{}", part("type", "container_t"), part("level", "s0")))
}

#[cfg(test)]
pub(super) mod tests {
    use stockade_sandbox::IsolationClass;

    use super::*;
    use crate::{ContainerImage, ContainerOptions};

    /// A record with these options and an empty image.
    pub(crate) fn record(options: ContainerOptions) -> Record {
        Record {
            id: "0a".repeat(32),
            name: "test".to_owned(),
            created: String::new(),
            isolation: IsolationClass::Native,
            image: ContainerImage::default(),
            command: vec!["sh".to_owned()],
            options,
            mounts: Vec::new(),
        }
    }

    #[test]
    fn working_directories() {
        let check = |asked: Option<&str>, image: Option<&str>, expected: Option<&str>| {
            let mut record = record(ContainerOptions { workdir: asked.map(str::to_owned), ..Default::default() });
            record.image.config.set_working_dir(image.map(str::to_owned));
            assert_eq!(working_directory(&record).ok().as_deref(), expected.map(Path::new));
        };
        check(None, None, Some("/"));
        check(None, Some(""), Some("/"));
        check(None, Some("/srv"), Some("/srv"));
        check(Some("/tmp"), Some("/srv"), Some("/tmp"));
        check(Some("tmp"), None, None);
    }

    #[test]
    fn labels() {
        let check = |parts: &[&str], expected: Option<&str>| {
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(selinux_label(&parts).as_deref(), expected);
        };
        check(&[], None);
        check(&["disable"], None);
        check(&["type:x_t", "level:s0:c1"], Some("system_u:system_r:x_t:s0:c1"));
    }

    #[test]
    fn an_exec_leaves_the_containers_settings_alone() {
        let options = ExecOptions { command: vec!["id".into()], ..Default::default() };
        let process = exec_process(&record(ContainerOptions::default()), &options).unwrap();
        assert!(process.capabilities().is_none() && process.rlimits().is_none());
        assert_eq!(process.cwd(), Path::new("/"));
    }
}
