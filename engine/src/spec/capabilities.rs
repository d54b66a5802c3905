//! Capabilities: Docker's fourteen, more, fewer, or all that the host has.

use std::str::FromStr;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use super::SpecError;
use crate::options::InvalidOption;
use crate::state::Record;

/// Docker's default set (github.com/moby/moby, oci/caps/defaults.go).
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// Every capability by its number (linux/capability.h).
const BY_NUMBER: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

/// What the container's processes may ever have.
pub(super) fn bounding(record: &Record) -> Result<Capabilities, InvalidOption> {
    let options = &record.options;
    let ours = || host().unwrap_or_else(|| BY_NUMBER.into());
    if options.privileged {
        return Ok(ours());
    }
    let (add, drop) = (Tweak::parse(&options.cap_add)?, Tweak::parse(&options.cap_drop)?);
    let mut set: Capabilities = match (add.all, drop.all) {
        (true, _) => ours().difference(&drop.named).copied().collect(),
        (false, true) => Capabilities::new(),
        (false, false) => DEFAULT.into_iter().filter(|capability| !drop.named.contains(capability)).collect(),
    };
    set.extend(add.named);
    Ok(set)
}

/// All sets of the init. As execve(2) would, only root gets effective ones.
pub(super) fn init(record: &Record) -> Result<LinuxCapabilities, SpecError> {
    let bounding = bounding(record)?;
    let user = super::user(record).unwrap_or_default();
    let root = matches!(user.split(':').next(), Some("" | "0" | "root"));
    let held = if root { bounding.clone() } else { Capabilities::new() };
    sets(bounding, held)
}

/// All sets of a privileged exec.
pub(super) fn privileged() -> Result<LinuxCapabilities, SpecError> {
    let all = host().unwrap_or_else(|| BY_NUMBER.into());
    sets(all.clone(), all)
}

/// Nothing is inheritable or ambient.
fn sets(bounding: Capabilities, held: Capabilities) -> Result<LinuxCapabilities, SpecError> {
    Ok(LinuxCapabilitiesBuilder::default()
        .bounding(bounding)
        .effective(held.clone())
        .permitted(held)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()?)
}

/// One of `--cap-add` and `--cap-drop`.
#[derive(Default)]
struct Tweak {
    all: bool,
    named: Capabilities,
}

impl Tweak {
    /// Parses names with or without `CAP_`, in any case.
    fn parse(names: &[String]) -> Result<Self, InvalidOption> {
        let mut tweak = Self::default();
        for name in names {
            let upper = name.to_ascii_uppercase();
            match upper.strip_prefix("CAP_").unwrap_or(&upper) {
                "ALL" => tweak.all = true,
                bare => drop(tweak.named.insert(capability(bare, name)?)),
            }
        }
        Ok(tweak)
    }
}

/// One capability by its bare name.
fn capability(bare: &str, asked: &str) -> Result<Capability, InvalidOption> {
    Capability::from_str(bare).map_err(|_| InvalidOption(format!("invalid capability: {asked:?}: see capabilities(7)")))
}

/// What this process may have: a privileged container cannot have more.
fn host() -> Option<Capabilities> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    Some(from_mask(u64::from_str_radix(line.trim(), 16).ok()?))
}

/// The capabilities in a mask.
fn from_mask(mask: u64) -> Capabilities {
    BY_NUMBER.iter().enumerate().filter(|(number, _)| mask >> number & 1 == 1).map(|(_, known)| *known).collect()
}

#[cfg(test)]
mod tests {
    use super::super::process::tests::record;
    use super::*;
    use crate::ContainerOptions;

    #[test]
    fn tweaks() {
        let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let check = |add: &str, drop: &str, has: &[Capability], lacks: &[Capability]| {
            let options = ContainerOptions { cap_add: words(add), cap_drop: words(drop), ..Default::default() };
            let set = bounding(&record(options)).unwrap();
            assert!(has.iter().all(|one| set.contains(one)), "{add} {drop} {set:?}");
            assert!(!lacks.iter().any(|one| set.contains(one)), "{add} {drop} {set:?}");
        };
        check("", "", &DEFAULT, &[Capability::SysAdmin]);
        check("SYS_PTRACE", "", &[Capability::SysPtrace, Capability::Chown], &[Capability::SysAdmin]);
        check("cap_sys_ptrace", "chown", &[Capability::SysPtrace], &[Capability::Chown]);
        check("", "ALL", &[], &DEFAULT);
        check("CHOWN", "all", &[Capability::Chown], &[Capability::Kill]);
        check("ALL", "KILL", &[Capability::Chown], &[Capability::Kill]);
    }

    #[test]
    fn unknown_names_are_refused() {
        let options = ContainerOptions { cap_add: vec!["CAP_FLY".into()], ..Default::default() };
        assert!(bounding(&record(options)).is_err());
    }

    #[test]
    fn only_root_has_effective_capabilities() {
        let check = |user: Option<&str>, effective: bool| {
            let options = ContainerOptions { user: user.map(str::to_owned), ..Default::default() };
            let sets = init(&record(options)).unwrap();
            assert_eq!(!sets.effective().as_ref().unwrap().is_empty(), effective, "{user:?}");
            assert_eq!(sets.bounding().as_ref().unwrap().len(), 14);
        };
        check(None, true);
        check(Some("0:5"), true);
        check(Some("root"), true);
        check(Some("1000"), false);
        check(Some("www-data"), false);
    }
}
