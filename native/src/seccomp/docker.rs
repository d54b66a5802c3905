//! Docker's default profile (github.com/moby/profiles, June 2026), kept as data in `docker.json`.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};
use serde::Deserialize;

/// The file, in our own arrangement: what is refused is what is not named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    allowed: Vec<String>,
    allowed_on_argument: Vec<Rule>,
    /// By kernel version, `MAJOR.MINOR`.
    allowed_since_linux: BTreeMap<String, Vec<String>>,
    /// By capability, `CAP_NAME`.
    allowed_with: BTreeMap<String, Vec<String>>,
    /// What holds only for processes that lack the capability.
    without: BTreeMap<String, Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    names: Vec<String>,
    /// Answer with this error; allow when absent.
    errno: Option<u32>,
    argument: Option<usize>,
    is: Option<Is>,
    #[serde(default)]
    value: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Is {
    Below,
    Equal,
    Above,
    /// None of the value's bits is set.
    ClearOf,
}

/// Docker's default profile for a process with these bounding capabilities, on this kernel.
pub fn docker_default(capabilities: &Capabilities) -> LinuxSeccomp {
    let profile: Profile = serde_json::from_str(include_str!("docker.json")).expect("checked by a test");
    let kernel = rustix::system::uname();
    expand(profile, capabilities, version(kernel.release().to_str().unwrap_or_default()))
}

fn expand(profile: Profile, capabilities: &Capabilities, kernel: (u32, u32)) -> LinuxSeccomp {
    let since = profile.allowed_since_linux.into_iter().filter(|(since, _)| kernel >= version(since));
    let has =
        |name: &str| name.trim_start_matches("CAP_").parse::<Capability>().is_ok_and(|c| capabilities.contains(&c));
    let with = profile.allowed_with.into_iter().filter(|(capability, _)| has(capability));
    let without = profile.without.into_iter().filter(|(capability, _)| !has(capability));
    let allowed = std::iter::once(profile.allowed)
        .chain(since.map(|(_, names)| names))
        .chain(with.map(|(_, names)| names))
        .map(|names| syscall(Rule { names, errno: None, argument: None, is: None, value: 0 }));
    let others = profile.allowed_on_argument.into_iter().chain(without.flat_map(|(_, rules)| rules)).map(syscall);

    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(libc::EPERM.cast_unsigned()))
        .set_architectures(Some(vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]))
        .set_syscalls(Some(allowed.chain(others).collect()));
    seccomp
}

fn syscall(rule: Rule) -> LinuxSyscall {
    let action = if rule.errno.is_some() { LinuxSeccompAction::ScmpActErrno } else { LinuxSeccompAction::ScmpActAllow };
    let arg = rule.argument.zip(rule.is).map(|(index, is)| vec![argument(index, is, rule.value)]);
    let mut syscall = LinuxSyscall::default();
    syscall.set_names(rule.names).set_action(action).set_errno_ret(rule.errno).set_args(arg);
    syscall
}

fn argument(index: usize, is: Is, value: u64) -> LinuxSeccompArg {
    let operator = match is {
        Is::Below => LinuxSeccompOperator::ScmpCmpLt,
        Is::Equal => LinuxSeccompOperator::ScmpCmpEq,
        Is::Above => LinuxSeccompOperator::ScmpCmpGt,
        Is::ClearOf => LinuxSeccompOperator::ScmpCmpMaskedEq,
    };
    LinuxSeccompArgBuilder::default().index(index).value(value).op(operator).build().expect("no field is required")
}

/// The first two numbers of a kernel's release, for example `6.18.0-1-amd64`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(capabilities: &[Capability], kernel: &str) -> Vec<String> {
        let profile: Profile = serde_json::from_str(include_str!("docker.json")).unwrap();
        let expanded = expand(profile, &capabilities.iter().copied().collect(), version(kernel));
        expanded.syscalls().iter().flatten().flat_map(|call| call.names().clone()).collect()
    }

    #[test]
    fn conditions_are_evaluated() {
        let check = |capabilities: &[Capability], kernel, name: &str, expected| {
            assert_eq!(names(capabilities, kernel).iter().filter(|other| *other == name).count(), expected, "{name}");
        };
        check(&[], "6.1.0", "read", 1);
        check(&[], "6.1.0", "ptrace", 1);
        check(&[], "4.7.9-generic", "ptrace", 0);
        check(&[Capability::SysPtrace], "4.7.9", "ptrace", 1);
        check(&[], "6.1.0", "mount", 0);
        check(&[Capability::SysAdmin], "6.1.0", "mount", 1);
        check(&[], "6.1.0", "io_uring_setup", 0);
        check(&[], "6.1.0", "socket", 3);
    }

    #[test]
    fn every_capability_is_known() {
        let profile: Profile = serde_json::from_str(include_str!("docker.json")).unwrap();
        for name in profile.allowed_with.keys().chain(profile.without.keys()) {
            assert!(name.trim_start_matches("CAP_").parse::<Capability>().is_ok(), "{name}");
        }
    }

    #[test]
    fn every_name_is_one_that_some_kernel_has() {
        let elsewhere = ["riscv_hwprobe", "recv", "send"];
        for name in names(&[Capability::SysAdmin], "6.1.0") {
            assert!(super::super::table::find(&name).is_some() || elsewhere.contains(&name.as_str()), "{name}");
        }
    }
}
