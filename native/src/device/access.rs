//! The meaning of a list of device rules: the v1 controller's, which later interfaces are held to
//! (Documentation/admin-guide/cgroup-v1/devices.rst).

use std::collections::BTreeMap;
use std::fmt;

use bitflags::bitflags;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::cgroup::CgroupError;

bitflags! {
    /// What is done to a device. The bits are those of `BPF_DEVCG_ACC_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Access: u32 {
        const MKNOD = 1;
        const READ = 2;
        const WRITE = 4;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Block,
    Char,
}

/// The devices that a rule is about. `None` is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Devices {
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
}

/// What happens to a device that no exception names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Deny,
    Allow,
}

/// A default and its exceptions, which all decide the other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub default: Verdict,
    pub exceptions: BTreeMap<Devices, Access>,
}

/// What every container may do, as runc has it: make any node, use the harmless devices, ptys and tun.
const ALWAYS: [(Kind, Option<u32>, Option<u32>, Access); 11] = [
    (Kind::Char, None, None, Access::MKNOD),
    (Kind::Block, None, None, Access::MKNOD),
    (Kind::Char, Some(1), Some(3), Access::all()),    // null
    (Kind::Char, Some(1), Some(5), Access::all()),    // zero
    (Kind::Char, Some(1), Some(7), Access::all()),    // full
    (Kind::Char, Some(1), Some(8), Access::all()),    // random
    (Kind::Char, Some(1), Some(9), Access::all()),    // urandom
    (Kind::Char, Some(5), Some(0), Access::all()),    // tty
    (Kind::Char, Some(5), Some(2), Access::all()),    // ptmx
    (Kind::Char, Some(136), None, Access::all()),     // pts/N
    (Kind::Char, Some(10), Some(200), Access::all()), // net/tun
];

impl Policy {
    pub(super) const DENY_ALL: Self = Self { default: Verdict::Deny, exceptions: BTreeMap::new() };

    /// The spec's rules in order, then what every container may do.
    pub(super) fn of_container(rules: &[LinuxDeviceCgroup]) -> Result<Self, CgroupError> {
        let mut policy = Self::DENY_ALL;
        rules.iter().try_for_each(|rule| policy.rule(rule))?;
        for (kind, major, minor, access) in ALWAYS {
            policy.one(Verdict::Allow, Devices { kind, major, minor }, access)?;
        }
        Ok(policy)
    }

    fn rule(&mut self, rule: &LinuxDeviceCgroup) -> Result<(), CgroupError> {
        let verdict = if rule.allow() { Verdict::Allow } else { Verdict::Deny };
        let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            // Whatever else such a rule says, it is about everything.
            LinuxDeviceType::A => {
                *self = Self { default: verdict, exceptions: BTreeMap::new() };
                return Ok(());
            }
            LinuxDeviceType::B => Kind::Block,
            LinuxDeviceType::C | LinuxDeviceType::U => Kind::Char,
            LinuxDeviceType::P => return Err(CgroupError::invalid("devices", "a fifo is no device: use b, c or a")),
        };
        let devices = Devices { kind, major: number(rule.major())?, minor: number(rule.minor())? };
        self.one(verdict, devices, access(rule.access().as_deref().unwrap_or_default())?)
    }

    pub(super) fn one(&mut self, verdict: Verdict, devices: Devices, access: Access) -> Result<(), CgroupError> {
        if verdict == self.default { self.remove(devices, access) } else { self.add(devices, access) }
    }

    fn add(&mut self, devices: Devices, access: Access) -> Result<(), CgroupError> {
        *self.exceptions.entry(devices).or_default() |= access;
        Ok(())
    }

    /// v1 has no holes in a wildcard: it would ignore the rule without a word, and leave the user in false safety.
    fn remove(&mut self, devices: Devices, access: Access) -> Result<(), CgroupError> {
        let wider = |other: &Devices| *other != devices && other.covers(&devices);
        if let Some((other, _)) = self.exceptions.iter().find(|(other, held)| wider(other) && held.intersects(access)) {
            let reason = format!("the rule for {devices} {access} would make a hole in the one for {other}");
            return Err(CgroupError::invalid("devices", reason));
        }
        if let Some(held) = self.exceptions.get_mut(&devices) {
            *held -= access;
        }
        self.exceptions.retain(|_, held| !held.is_empty());
        Ok(())
    }
}

impl Devices {
    fn covers(&self, other: &Self) -> bool {
        let wide = |own: Option<u32>, other| own.is_none() || own == other;
        self.kind == other.kind && wide(self.major, other.major) && wide(self.minor, other.minor)
    }
}

/// -1, like an absent number, is any.
fn number(number: Option<i64>) -> Result<Option<u32>, CgroupError> {
    match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| CgroupError::invalid("devices", format!("{number} is no device number"))),
    }
}

fn access(text: &str) -> Result<Access, CgroupError> {
    let flag = |c| match c {
        'r' => Ok(Access::READ),
        'w' => Ok(Access::WRITE),
        'm' => Ok(Access::MKNOD),
        _ => Err(CgroupError::invalid("devices", format!("access {text:?} has other letters than r, w and m"))),
    };
    text.chars().map(flag).collect()
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        let kind = if self.kind == Kind::Block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")];
        letters.into_iter().filter(|(flag, _)| self.contains(*flag)).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// Parses a line of devices.list; `None` for the line that says all.
pub(super) fn parse_line(line: &str) -> Option<(Devices, Access)> {
    let (kind, rest) = line.split_once(' ')?;
    let kind = match kind {
        "b" => Kind::Block,
        "c" => Kind::Char,
        _ => return None,
    };
    let (numbers, letters) = rest.split_once(' ')?;
    let (major, minor) = numbers.split_once(':')?;
    let devices = Devices { kind, major: major.parse().ok(), minor: minor.parse().ok() };
    Some((devices, access(letters.trim()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &[&str]) -> Result<Policy, CgroupError> {
        let mut policy = Policy::DENY_ALL;
        for line in text {
            let (verdict, rest) = line.split_once(' ').unwrap();
            let verdict = if verdict == "allow" { Verdict::Allow } else { Verdict::Deny };
            match parse_line(rest) {
                Some((devices, access)) => policy.one(verdict, devices, access)?,
                None => policy = Policy { default: verdict, exceptions: BTreeMap::new() },
            }
        }
        Ok(policy)
    }

    fn check(text: &[&str], default: Verdict, expected: &[&str]) {
        let policy = rules(text).unwrap();
        let found: Vec<_> = policy.exceptions.iter().map(|(devices, access)| format!("{devices} {access}")).collect();
        assert_eq!((policy.default, found), (default, expected.iter().map(|s| (*s).to_owned()).collect()));
    }

    #[test]
    fn rules_change_the_default_or_its_exceptions() {
        check(&[], Verdict::Deny, &[]);
        check(&["allow c 1:3 r", "allow c 1:3 w"], Verdict::Deny, &["c 1:3 rw"]);
        check(&["allow c 1:3 rwm", "deny c 1:3 w"], Verdict::Deny, &["c 1:3 rm"]);
        check(&["allow c 1:3 rwm", "deny c 1:3 rwm"], Verdict::Deny, &[]);
        check(&["allow a", "deny b *:* w"], Verdict::Allow, &["b *:* w"]);
        check(&["allow c 1:3 rwm", "deny a"], Verdict::Deny, &[]);
        check(&["deny c 9:9 r"], Verdict::Deny, &[]);
    }

    #[test]
    fn holes_in_wildcards_are_refused() {
        for wide in ["c *:* rwm", "c 1:* r", "c *:3 rw"] {
            let error = rules(&[&format!("allow {wide}"), "deny c 1:3 r"]).unwrap_err().to_string();
            assert!(error.contains("hole"), "{error}");
        }
        check(&["allow c *:* w", "deny c 1:3 r"], Verdict::Deny, &["c *:* w"]);
    }
}
