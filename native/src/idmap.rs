//! User and group id maps of user namespaces.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::OwnedFd;

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};
use rustix::process::{Signal, set_parent_process_death_signal};
use stockade_sandbox::Result;

use crate::fail::Context;
use crate::pid::kill_and_reap;
use crate::sys::clone::{CloneFlags, clone3};

/// The maps of one user namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMaps {
    pub uid: Vec<LinuxIdMapping>,
    pub gid: Vec<LinuxIdMapping>,
}

impl IdMaps {
    /// Copies of the spec's lists.
    pub(crate) fn new(uid: &Option<Vec<LinuxIdMapping>>, gid: &Option<Vec<LinuxIdMapping>>) -> Self {
        Self { uid: uid.clone().unwrap_or_default(), gid: gid.clone().unwrap_or_default() }
    }

    /// One user and one group.
    pub(crate) fn single(inside: u32, host: u32) -> Self {
        let one = LinuxIdMappingBuilder::default().container_id(inside).host_id(host).size(1_u32).build();
        let map: Vec<LinuxIdMapping> = one.into_iter().collect();
        Self { uid: map.clone(), gid: map }
    }

    /// Every id that the calling process can name, as itself.
    pub fn identity() -> Result<Self> {
        let read = |file: &str| -> Result<Vec<LinuxIdMapping>> {
            let path = format!("/proc/self/{file}");
            let text = std::fs::read_to_string(&path).at_with(|| format!("read {path}"))?;
            Ok(text.lines().filter_map(identity_line).collect())
        };
        Ok(Self { uid: read("uid_map")?, gid: read("gid_map")? })
    }

    /// This id if a map has it, else the last one that it has; 0 for an empty map.
    pub fn id_or_last(map: &[LinuxIdMapping], wanted: u32) -> u32 {
        let last = |range: &LinuxIdMapping| range.container_id().saturating_add(range.size().saturating_sub(1));
        let has = |range: &&LinuxIdMapping| (range.container_id()..=last(range)).contains(&wanted) && range.size() > 0;
        if map.iter().any(|range| has(&range)) { wanted } else { map.last().map_or(0, last) }
    }

    /// The host's id of the namespace's root in one of the maps; the host's own root where it has none.
    pub(crate) fn host_root(map: &[LinuxIdMapping]) -> u32 {
        map.iter().find(|range| range.container_id() == 0 && range.size() > 0).map_or(0, LinuxIdMapping::host_id)
    }

    /// Writes the maps of the new user namespace of process `pid` (user_namespaces(7)).
    pub(crate) fn write(&self, pid: u32) -> Result<()> {
        write_map(pid, "uid_map", &self.uid)?;
        write_map(pid, "gid_map", &self.gid)
    }
}

/// A line of a map (user_namespaces(7)): first id inside, first id outside, how many.
fn identity_line(line: &str) -> Option<LinuxIdMapping> {
    let mut words = line.split_ascii_whitespace().map(str::parse::<u32>);
    let (inside, _, size) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
    LinuxIdMappingBuilder::default().container_id(inside).host_id(inside).size(size).build().ok()
}

fn write_map(pid: u32, file: &str, maps: &[LinuxIdMapping]) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text(maps)).at_with(|| format!("write {path}"))
}

fn text(maps: &[LinuxIdMapping]) -> String {
    maps.iter().fold(String::new(), |mut text, map| {
        let _ = writeln!(text, "{} {} {}", map.container_id(), map.host_id(), map.size());
        text
    })
}

/// A user namespace with these maps and nobody in it, for idmapped mounts.
pub(crate) fn user_namespace(maps: &IdMaps) -> Result<OwnedFd> {
    let pid = clone3(CloneFlags::NEWUSER, None, idle).at("make a user namespace")?;
    let namespace =
        maps.write(pid).and_then(|()| File::open(format!("/proc/{pid}/ns/user")).at("open the new user namespace"));
    kill_and_reap(pid);
    namespace.map(Into::into)
}

/// Holds the namespace until it is killed.
fn idle() -> Infallible {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    loop {
        rustix::event::pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container: u32, host: u32, size: u32) -> LinuxIdMapping {
        LinuxIdMappingBuilder::default().container_id(container).host_id(host).size(size).build().unwrap()
    }

    #[test]
    fn maps_as_the_kernel_reads_them() {
        assert_eq!(text(&[map(0, 1000, 10), map(10, 5000, 5)]), "0 1000 10\n10 5000 5\n");
    }

    #[test]
    fn an_id_that_is_not_mapped_becomes_the_last() {
        let maps = [map(0, 1000, 10), map(100, 5000, 5)];
        assert_eq!([5, 10, 104, 105].map(|id| IdMaps::id_or_last(&maps, id)), [5, 104, 104, 104]);
        assert_eq!(IdMaps::id_or_last(&[], 7), 0);
        let whole = identity_line("         0          0 4294967295").expect("a line");
        assert_eq!(IdMaps::id_or_last(&[whole], 0x7000_0001), 0x7000_0001);
    }
}
