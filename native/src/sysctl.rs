//! Kernel parameters of the container's own namespaces.

use std::collections::HashMap;
use std::io::ErrorKind;

use stockade_sandbox::{Error, Result};

use crate::fail::{Context, invalid};
use crate::namespaces::Namespaces;
use crate::procfs::ProcFs;
use crate::sys::clone::CloneFlags;

/// Parameters of the IPC namespace outside fs.mqueue (namespaces(7)).
const IPC: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.msg_next_id",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The components `.` and `..` of a path, as [`dotted`] writes them: with these a name would leave its namespace.
const SELF: &str = "/";
const PARENT: &str = "//";

/// Refuses parameters that would reach beyond the container (runc's rules and texts).
pub(crate) fn check(sysctl: Option<&HashMap<String, String>>, namespaces: &Namespaces) -> Result<()> {
    sysctl.into_iter().flatten().try_for_each(|(name, _)| check_one(&dotted(name), namespaces))
}

fn check_one(name: &str, namespaces: &Namespaces) -> Result<()> {
    if name.split('.').any(|part| matches!(part, "" | SELF | PARENT)) {
        return Err(invalid(format!("sysctl {name:?} is not a parameter's name")));
    }
    let needed = if IPC.contains(&name) || name.starts_with("fs.mqueue.") || name == "kernel.shm_next_id" {
        CloneFlags::NEWIPC
    } else if name.starts_with("net.") {
        CloneFlags::NEWNET
    } else if name == "kernel.domainname" {
        CloneFlags::NEWUTS
    } else if name == "kernel.hostname" {
        return Err(invalid(format!("sysctl {name:?} is not allowed as it conflicts with the OCI hostname field")));
    } else {
        return Err(invalid(format!("sysctl {name:?} is not in a separate kernel namespace")));
    };
    if namespaces.has(needed) {
        return Ok(());
    }
    Err(invalid(format!("sysctl {name:?} is not allowed in the hosts {} namespace", crate::namespaces::name(needed))))
}

/// A name with the first separator, dot or slash, deciding which one it is (sysctl(8)).
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'/') => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}

/// Sets them.
pub(crate) fn write(procfs: &ProcFs, sysctl: Option<&HashMap<String, String>>) -> Result<()> {
    sysctl.into_iter().flatten().try_for_each(|(name, value)| write_one(procfs, name, value))
}

fn write_one(procfs: &ProcFs, name: &str, value: &str) -> Result<()> {
    let path: String = dotted(name)
        .chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect();
    let path = format!("sys/{path}");
    let written = match procfs.write(&path, value) {
        // Another mount covers /proc/sys here, as it does in a container of our host's own.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => ProcFs::detached()?.write(&path, value),
        answer => answer,
    };
    match written {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::os(format!("open sysctl {name}"), error)),
        answer => answer.at_with(|| format!("write sysctl {name} = {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaced_parameters() {
        let namespaces = Namespaces { new: CloneFlags::NEWNET | CloneFlags::NEWIPC, joined: Vec::new() };
        let check =
            |name: &str, allowed: bool| assert_eq!(check_one(&dotted(name), &namespaces).is_ok(), allowed, "{name}");
        check("net.ipv4.ip_forward", true);
        check("net/ipv4/conf/eth0.100/forwarding", true);
        check("kernel.shmmax", true);
        check("fs.mqueue.msg_max", true);
        check("kernel.domainname", false);
        check("kernel.hostname", false);
        check("vm.swappiness", false);
        check("kernel.core_pattern", false);
        for name in ["net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net/./x", "net//x", "net.", ""] {
            check(name, false);
        }
        assert_eq!(dotted("net/ipv4/conf/eth0.100/x"), "net.ipv4.conf.eth0/100.x");
    }
}
