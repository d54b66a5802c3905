//! System call filters: one for each role that a thread has, installed by the thread itself before the guest runs. A
//! call that is not on its list ends the process.
//!
//! [`lists`] says which calls, with which arguments; docs/reference/vmm-host-calls.md shows it. `no_new_privs` is set
//! with the first filter.

pub mod lists;
mod search;

use std::collections::BTreeMap;
use std::num::TryFromIntError;

use seccompiler::{BpfProgram, SeccompAction};

use self::lists::Call;
use self::search::Answer;

/// Whether threads install their filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filters {
    /// They do.
    #[default]
    On,
    /// They do not: for debuggers and for a C library that makes calls which no list knows.
    Off,
}

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs a virtual processor and serves its exits.
    Vcpu,
    /// Serves all devices.
    Devices,
    /// Serves one disk, and waits for the host.
    Disk,
    /// Owns the machine of a container, and talks to its guest's agent.
    Monitor,
    /// Serves the API and owns the machine.
    Api,
}

/// All roles.
pub const ROLES: [Role; 5] = [Role::Vcpu, Role::Devices, Role::Disk, Role::Monitor, Role::Api];

/// Why a thread has no filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A list makes no filter.
    #[error("cannot make a system call filter: it is too long")]
    Long(#[from] TryFromIntError),
    /// The kernel refused it.
    #[error("cannot install a system call filter: {0}; `stockade vmm --no-seccomp` goes without")]
    Install(#[from] seccompiler::Error),
}

impl Role {
    /// The calls of this role; one may be there for some arguments and again for others.
    pub fn calls(self) -> Vec<&'static Call> {
        lists::of(self).iter().copied().flatten().collect()
    }

    /// Their names, each once.
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.calls().iter().map(|call| call.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Installs the role's filter on the calling thread, if filters are on.
    pub fn confine(self, filters: Filters) -> Result<(), Error> {
        match filters {
            Filters::On => install(lists::of(self), lists::refused_to(self)),
            Filters::Off => Ok(()),
        }
    }
}

/// Installs a filter on the calling thread, and on those that it starts later: what is refused fails with EACCES, what
/// else is not allowed ends the process.
pub fn install(allowed: &[&[Call]], refused: &[Call]) -> Result<(), Error> {
    Ok(seccompiler::apply_filter(&compile(allowed, refused)?)?)
}

fn compile(allowed: &[&[Call]], refused: &[Call]) -> Result<BpfProgram, Error> {
    let mut answers: BTreeMap<u32, Answer> = BTreeMap::new();
    for call in allowed.iter().copied().flatten() {
        answers.entry(number(call)).or_default().tests.push(call.only);
    }
    // What is refused is allowed to nobody who has the list.
    let errno = SeccompAction::Errno(libc::EACCES.cast_unsigned());
    answers.extend(refused.iter().map(|call| (number(call), Answer::always(errno.clone()))));
    Ok(search::program(answers)?)
}

/// No call has the last number.
fn number(call: &Call) -> u32 {
    u32::try_from(call.number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::lists::Only;
    use super::*;

    #[test]
    fn every_list_makes_a_short_filter() {
        for role in ROLES {
            let program = compile(lists::of(role), lists::refused_to(role)).expect("a filter");
            assert!(program.len() < 160, "{role:?}: {} instructions", program.len());
        }
    }

    #[test]
    fn the_page_shows_the_lists() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/vmm-host-calls.md");
        let stored = std::fs::read_to_string(page).unwrap_or_default();
        assert!(stored == lists::page(), "docs/reference/vmm-host-calls.md should read:\n{}", lists::page());
    }

    #[test]
    fn what_is_allowed_with_some_arguments_is_not_allowed_with_all() {
        for role in ROLES {
            let calls = role.calls();
            for call in &calls {
                let same = calls.iter().filter(|other| other.name == call.name).count();
                assert!(same == 1 || !matches!(call.only, Only::Any), "{role:?}: {}", call.name);
            }
        }
    }

    #[test]
    fn no_thread_of_a_guest_can_start_programs_or_open_files() {
        for role in [Role::Vcpu, Role::Devices, Role::Disk, Role::Monitor] {
            let names = role.names();
            for name in ["execve", "execveat", "openat", "openat2", "clone", "clone3", "ptrace", "process_vm_writev"] {
                assert!(!names.contains(&name), "{role:?}: {name}");
            }
        }
    }
}
