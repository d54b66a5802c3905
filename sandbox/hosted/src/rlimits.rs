//! Limits of resources that a spec does not name are those of whoever starts the process, as in class `native`.

use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType as Kind, Process};
use rustix::process::{Resource, getrlimit};
use stockade_sandbox::{Error, Result};

const ALL: [(Kind, Resource); 16] = [
    (Kind::RlimitCpu, Resource::Cpu),
    (Kind::RlimitFsize, Resource::Fsize),
    (Kind::RlimitData, Resource::Data),
    (Kind::RlimitStack, Resource::Stack),
    (Kind::RlimitCore, Resource::Core),
    (Kind::RlimitRss, Resource::Rss),
    (Kind::RlimitNproc, Resource::Nproc),
    (Kind::RlimitNofile, Resource::Nofile),
    (Kind::RlimitMemlock, Resource::Memlock),
    (Kind::RlimitAs, Resource::As),
    (Kind::RlimitLocks, Resource::Locks),
    (Kind::RlimitSigpending, Resource::Sigpending),
    (Kind::RlimitMsgqueue, Resource::Msgqueue),
    (Kind::RlimitNice, Resource::Nice),
    (Kind::RlimitRtprio, Resource::Rtprio),
    (Kind::RlimitRttime, Resource::Rttime),
];

/// Adds the calling process's limits where there are none.
pub fn inherit(process: &mut Process) -> Result<()> {
    let mut limits = process.rlimits().clone().unwrap_or_default();
    for (kind, resource) in ALL {
        if limits.iter().all(|limit| limit.typ() != kind) {
            limits.push(own(kind, resource)?);
        }
    }
    process.set_rlimits(Some(limits));
    Ok(())
}

fn own(kind: Kind, resource: Resource) -> Result<PosixRlimit> {
    let limit = getrlimit(resource);
    let number = |value: Option<u64>| value.unwrap_or(u64::MAX);
    let own = PosixRlimitBuilder::default().typ(kind).soft(number(limit.current)).hard(number(limit.maximum));
    own.build().map_err(|error| Error::Other(error.to_string()))
}
