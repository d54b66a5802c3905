//! From the profile's names to numbers and answers of one call table, with libseccomp's rules of precedence.

use std::borrow::Cow;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};

use super::CompileError;
use super::action::{Answer, answer};
use super::conditions::{Condition, Width};
use super::table::{self, Call, NO};

/// A call table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    X86_64,
    I386,
    X32,
}

impl Table {
    /// Set in the number of every x32 call.
    pub(super) const X32_BIT: u32 = 0x4000_0000;

    fn column(self) -> usize {
        match self {
            Self::X86_64 => 0,
            Self::I386 => 1,
            Self::X32 => 2,
        }
    }

    pub(super) fn width(self) -> Width {
        if self == Self::X86_64 { Width::Bits64 } else { Width::Bits32 }
    }

    fn number(self, call: &Call) -> Option<u32> {
        let number = call.numbers[self.column()];
        (number != NO).then(|| u32::from(number) | if self == Self::X32 { Self::X32_BIT } else { 0 })
    }
}

/// What happens on one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Always(Answer),
    /// The first rule whose conditions hold; the default when none does.
    Rules(Vec<Rule>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Sorted by argument, each argument once.
    pub conditions: Vec<Condition>,
    pub answer: Answer,
}

/// The decisions for one table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Calls {
    /// By number, ascending; numbers that are absent get the default.
    pub decisions: Vec<(u32, Decision)>,
    /// The greatest number that the profile names, even to give it the default.
    pub last: Option<u32>,
}

/// The profile's rules with their names looked up, which is done once for all tables.
pub(super) struct Names<'a> {
    calls: Vec<(&'a str, Option<&'static Call>, usize)>,
    rules: Vec<(Answer, Vec<Vec<Condition>>)>,
}

impl<'a> Names<'a> {
    pub(super) fn of(profile: &'a LinuxSeccomp) -> Result<Self, CompileError> {
        let mut names = Self { calls: Vec::with_capacity(512), rules: Vec::new() };
        for rule in profile.syscalls().iter().flatten() {
            let at = names.rules.len();
            names.rules.push((answer(rule.action(), rule.errno_ret()), alternatives(rule)?));
            names.calls.extend(rule.names().iter().map(|name| (name.as_str(), table::find(name), at)));
        }
        Ok(names)
    }
}

/// Numbers with a rule each, in the profile's order.
type Found<'a> = Vec<(u32, Cow<'a, [Condition]>, Answer)>;

/// Decides for one table. Names that it lacks are passed over, as runc does.
pub(super) fn resolve(names: &Names<'_>, default: Answer, table: Table) -> Result<Calls, CompileError> {
    let mut found: Found<'_> = Vec::with_capacity(names.calls.len());
    let mut last = None;
    for (name, call, rule) in &names.calls {
        let number = call.and_then(|call| table.number(call));
        last = last.max(number);
        let (answer, alternatives) = &names.rules[*rule];
        if *answer != default {
            for conditions in alternatives {
                add_shared(&mut found, table, name, conditions, *answer);
                found.extend(number.map(|number| (number, Cow::Borrowed(conditions.as_slice()), *answer)));
            }
        }
    }
    found.sort_by_key(|(number, ..)| *number);
    let decisions = found.chunk_by(|a, b| a.0 == b.0).map(|rules| Ok((rules[0].0, decide(rules)?)));
    Ok(Calls { decisions: decisions.collect::<Result<_, _>>()?, last })
}

/// On i386 sockets and System V IPC also have one call for all, told apart by its first argument.
fn add_shared(found: &mut Found<'_>, table: Table, name: &str, conditions: &[Condition], answer: Answer) {
    if table != Table::I386 {
        return;
    }
    let Some((shared, selector)) = shared_call(name) else { return };
    let operator = LinuxSeccompOperator::ScmpCmpEq;
    let selected = Condition { index: 0, operator, value: selector, value_two: 0 };
    let others = conditions.iter().filter(|condition| condition.index != 0).copied();
    let conditions = std::iter::once(selected).chain(others).collect();
    let number = table::find(shared).and_then(|call| table.number(call));
    found.extend(number.map(|number| (number, Cow::Owned(conditions), answer)));
}

/// Selectors of socketcall(2) (linux/net.h) and ipc(2) (linux/ipc.h).
fn shared_call(name: &str) -> Option<(&'static str, u64)> {
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    let socket = || SOCKET.iter().zip(1..).find(|(other, _)| **other == name).map(|(_, number)| ("socketcall", number));
    let ipc = || IPC.iter().find(|(other, _)| *other == name).map(|(_, number)| ("ipc", *number));
    socket().or_else(ipc)
}

/// The condition lists of a rule, any of which may hold. Conditions on one argument twice cannot be joined by "and" in
/// libseccomp; runc then lets each condition be a rule, and profiles rely on it.
fn alternatives(call: &LinuxSyscall) -> Result<Vec<Vec<Condition>>, CompileError> {
    let arguments = call.args().as_deref().unwrap_or_default();
    let mut conditions = arguments.iter().map(|arg| condition(call, arg)).collect::<Result<Vec<_>, _>>()?;
    conditions.sort_by_key(|condition| condition.index);
    if conditions.is_sorted_by(|a, b| a.index < b.index) {
        return Ok(vec![conditions]);
    }
    Ok(conditions.into_iter().map(|condition| vec![condition]).collect())
}

fn condition(call: &LinuxSyscall, arg: &LinuxSeccompArg) -> Result<Condition, CompileError> {
    let index = u8::try_from(arg.index()).ok().filter(|index| *index < 6);
    let index =
        index.ok_or_else(|| CompileError::ArgumentIndex { syscall: call.names().join(", "), index: arg.index() })?;
    Ok(Condition { index, operator: arg.op(), value: arg.value(), value_two: arg.value_two().unwrap_or_default() })
}

/// Precedence: the first rule without conditions beats all others; a rule beats those that only add conditions to its
/// own. The rest goes by argument, then by the profile's order.
fn decide(rules: &[(u32, Cow<'_, [Condition]>, Answer)]) -> Result<Decision, CompileError> {
    if let Some((_, _, answer)) = rules.iter().find(|(_, conditions, _)| conditions.is_empty()) {
        return Ok(Decision::Always(*answer));
    }
    let mut kept: Vec<Rule> = Vec::new();
    for (number, conditions, answer) in rules {
        match kept.iter().find(|other| conditions.starts_with(&other.conditions)) {
            Some(other) if other.conditions == **conditions && other.answer != *answer => {
                return Err(CompileError::Conflict { number: *number });
            }
            Some(_) => {}
            None => {
                kept.retain(|other| !other.conditions.starts_with(conditions));
                kept.push(Rule { conditions: conditions.to_vec(), answer: *answer });
            }
        }
    }
    kept.sort_by_key(|rule| rule.conditions[0].index);
    Ok(Decision::Rules(kept))
}
