//! The v1 devices controller.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cgroup::{CgroupError, read, write_each};

use super::access::{Access, Devices, Policy, Verdict, parse_line};

/// Writes only what differs from what is in force, and checks the outcome.
pub(super) fn apply(dir: &Path, target: &Policy) -> Result<(), CgroupError> {
    let current = load(dir)?;
    let steps = transition(&current, target);
    for steps in steps.chunk_by(|a, b| a.verdict == b.verdict) {
        write_each(dir, steps[0].file(), steps.iter().map(|step| step.line.as_str()))?;
    }
    let after = load(dir)?;
    // Exceptions to "allow all" cannot be read back.
    let same = after.default == target.default && (target.default == Verdict::Allow || after == *target);
    if same { Ok(()) } else { Err(CgroupError::invalid("devices", "the kernel's rules differ from what was written")) }
}

fn load(dir: &Path) -> Result<Policy, CgroupError> {
    Ok(parse(&read(dir, "devices.list")?))
}

fn parse(list: &str) -> Policy {
    match list.lines().map(parse_line).collect::<Option<BTreeMap<_, _>>>() {
        Some(exceptions) => Policy { default: Verdict::Deny, exceptions },
        None => Policy { default: Verdict::Allow, exceptions: BTreeMap::new() },
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    verdict: Verdict,
    line: String,
}

impl Step {
    fn new(verdict: Verdict, devices: &Devices, access: Access) -> Self {
        Self { verdict, line: format!("{devices} {access}") }
    }

    fn file(&self) -> &'static str {
        match self.verdict {
            Verdict::Allow => "devices.allow",
            Verdict::Deny => "devices.deny",
        }
    }
}

/// A running container never loses, even for a moment, a device that it keeps: everything is reset only when the
/// default changes or the current exceptions cannot be known.
fn transition(current: &Policy, target: &Policy) -> Vec<Step> {
    let opposite = if target.default == Verdict::Allow { Verdict::Deny } else { Verdict::Allow };
    let reset = current.default == Verdict::Allow || current.default != target.default;
    let nothing = BTreeMap::new();
    let old = if reset { &nothing } else { &current.exceptions };
    let lost = difference(old, &target.exceptions).map(|(devices, access)| Step::new(target.default, devices, access));
    let gained = difference(&target.exceptions, old).map(|(devices, access)| Step::new(opposite, devices, access));
    let all = reset.then(|| Step { verdict: target.default, line: "a *:* rwm".to_owned() });
    all.into_iter().chain(lost).chain(gained).collect()
}

fn difference<'a>(
    from: &'a BTreeMap<Devices, Access>,
    less: &'a BTreeMap<Devices, Access>,
) -> impl Iterator<Item = (&'a Devices, Access)> {
    let rest = |(devices, access): (&'a Devices, &Access)| {
        let rest = *access - less.get(devices).copied().unwrap_or_default();
        (!rest.is_empty()).then_some((devices, rest))
    };
    from.iter().filter_map(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(current: &str, target: &str, expected: &[(Verdict, &str)]) {
        let steps = transition(&parse(current), &parse(target));
        let steps: Vec<_> = steps.iter().map(|step| (step.verdict, step.line.as_str())).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn only_differences_are_written() {
        use Verdict::{Allow, Deny};
        check("a *:* rwm", "c 1:3 rwm", &[(Deny, "a *:* rwm"), (Allow, "c 1:3 rwm")]);
        check("c 1:3 rwm", "c 1:3 rwm", &[]);
        check("c 1:3 rwm\nc 1:5 r", "c 1:3 rm\nb 8:* rw", &[(Deny, "c 1:3 w"), (Deny, "c 1:5 r"), (Allow, "b 8:* rw")]);
        check("c 1:3 rwm", "a *:* rwm", &[(Allow, "a *:* rwm")]);
    }
}
