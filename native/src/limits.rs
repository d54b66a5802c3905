//! rlimits and the out-of-memory score of one process.

use oci_spec::runtime::{PosixRlimit, PosixRlimitType};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use stockade_sandbox::{Error, Result};

use crate::fail::{Context, invalid};

/// Sets rlimits of a process, or of the calling one.
pub(crate) fn set_rlimits<'a>(pid: Option<Pid>, limits: impl IntoIterator<Item = &'a PosixRlimit>) -> Result<()> {
    for limit in limits {
        let wanted = Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) };
        prlimit(pid, resource(limit.typ())?, wanted)
            .at_with(|| format!("error setting rlimit {} to {}:{}", limit.typ(), limit.soft(), limit.hard()))?;
    }
    Ok(())
}

/// Refuses duplicates, as runc does.
pub(crate) fn check_rlimits(limits: &[PosixRlimit]) -> Result<()> {
    let duplicate = limits.iter().enumerate().find(|(at, limit)| limits[..*at].iter().any(|l| l.typ() == limit.typ()));
    duplicate.map_or(Ok(()), |(_, limit)| Err(invalid(format!("rlimit {} is given twice", limit.typ()))))
}

/// RLIM_INFINITY is how rustix spells "no limit".
fn value(limit: u64) -> Option<u64> {
    (limit != u64::MAX).then_some(limit)
}

fn resource(kind: PosixRlimitType) -> Result<Resource> {
    Ok(match kind {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    })
}

/// Writes a process's oom_score_adj.
pub(crate) fn set_oom_score(pid: u32, score: i32) -> Result<()> {
    let path = format!("/proc/{pid}/oom_score_adj");
    std::fs::write(&path, score.to_string()).map_err(|error| Error::os(format!("write {score} to {path}"), error))
}
