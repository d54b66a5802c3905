//! System call filters: one for each role that a thread has, installed by the thread itself before the guest runs. A
//! call that is not on its list ends the process.
//!
//! [`lists`] says which calls, with which arguments; docs/reference/vmm-host-calls.md shows it. `no_new_privs` is set
//! with the first filter.

pub mod lists;
mod tree;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use self::lists::{Call, Only};
use self::tree::Answer;

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
    #[error("cannot make a system call filter: {0}")]
    Compile(#[from] seccompiler::BackendError),
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
    let mut answers = answers(allowed, &SeccompAction::Allow)?;
    // What is refused is allowed to nobody who has the list.
    answers.extend(self::answers(&[refused], &SeccompAction::Errno(libc::EACCES.cast_unsigned()))?);
    Ok(tree::program(answers))
}

/// One answer for what is listed; other arguments of such a call end the process.
fn answers(lists: &[&[Call]], listed: &SeccompAction) -> Result<BTreeMap<u32, Answer>, Error> {
    let mut rules: BTreeMap<u32, Vec<SeccompRule>> = BTreeMap::new();
    for call in lists.iter().copied().flatten() {
        // No call has the last number.
        let number = u32::try_from(call.number).unwrap_or(u32::MAX);
        rules.entry(number).or_default().extend(rules_of(call)?);
    }
    rules.into_iter().map(|(number, rules)| Ok((number, answer(number, rules, listed)?))).collect()
}

fn answer(number: u32, rules: Vec<SeccompRule>, listed: &SeccompAction) -> Result<Answer, Error> {
    if rules.is_empty() {
        return Ok(Answer::Always(listed.clone()));
    }
    let rules = BTreeMap::from([(number.into(), rules)]);
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, listed.clone(), TargetArch::x86_64)?;
    Ok(Answer::Program(filter.try_into()?))
}

/// No rules at all let a call through whatever its arguments are.
fn rules_of(call: &Call) -> Result<Vec<SeccompRule>, Error> {
    let tests: Vec<(u8, SeccompCmpOp, u64)> = match call.only {
        Only::Any => return Ok(Vec::new()),
        Only::Values { index, values } => values.iter().map(|value| (index, SeccompCmpOp::Eq, *value)).collect(),
        Only::Masked { index, mask, values } => {
            values.iter().map(|value| (index, SeccompCmpOp::MaskedEq(mask), *value)).collect()
        }
    };
    let rule = |(index, operator, value)| {
        let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)?;
        Ok(SeccompRule::new(vec![condition])?)
    };
    tests.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_makes_a_short_filter() {
        for role in ROLES {
            let program = compile(lists::of(role), lists::refused_to(role)).expect("a filter");
            assert!(program.len() < 400, "{role:?}: {} instructions", program.len());
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
