//! `features` (OCI runtime specification, features.md) and `--version`.

use serde_json::{Value, json};
use stockade_sandbox::Result;

use super::out;

/// The highest version of the OCI runtime specification that is honoured.
pub const SPEC_VERSION: &str = "1.2.0";

const HOOKS: &[&str] = &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

const MOUNT_OPTIONS: &[&str] = &[
    "acl",
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noacl",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "relatime",
    "remount",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnoexec",
    "rnosuid",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// By number, capability.h.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// `features`.
pub fn features() -> Result<i32> {
    out::line(&serde_json::to_string_pretty(&document()).map_err(out::unserialisable)?)
}

fn document() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": HOOKS,
        "mountOptions": MOUNT_OPTIONS,
        "linux": linux(),
        "annotations": {
            "dev.stockade.version": env!("CARGO_PKG_VERSION"),
            "dev.stockade.isolation.classes": "native",
        },
        "potentiallyUnsafeConfigAnnotations": [stockade_sandbox::ANNOTATION],
    })
}

fn linux() -> Value {
    json!({
        "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        "capabilities": CAPABILITIES,
        "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
        "seccomp": seccomp(),
        "apparmor": {"enabled": true},
        "selinux": {"enabled": true},
        "intelRdt": {"enabled": false},
        "mountExtensions": {"idmap": {"enabled": true}},
    })
}

fn seccomp() -> Value {
    json!({
        "enabled": true,
        "actions": [
            "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
            "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"
        ],
        "operators": [
            "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
            "SCMP_CMP_NE"
        ],
        "archs": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "knownFlags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "supportedFlags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    })
}

/// `--version`, in the three lines that Docker and containerd take apart.
pub fn version() -> String {
    let commit = option_env!("STOCKADE_COMMIT").unwrap_or("unknown");
    format!("stockade-oci version {}\ncommit: {commit}\nspec: {SPEC_VERSION}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Features;

    use super::*;

    #[test]
    fn the_document_is_of_the_specifications_form() {
        let features: Features = serde_json::from_value(document()).unwrap();
        assert_eq!(features.oci_version_max(), SPEC_VERSION);
        assert_eq!(features.linux().as_ref().unwrap().capabilities().as_ref().unwrap().len(), 41);
    }

    #[test]
    fn the_version_has_dockers_lines() {
        let version = version();
        assert!(version.lines().next().unwrap().starts_with("stockade-oci version "), "{version}");
        assert!(version.contains("\ncommit: ") && version.contains("\nspec: "), "{version}");
    }
}
