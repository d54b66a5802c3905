//! `--security-opt`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidOption;

/// All security options of one container together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// The system call filter.
    pub seccomp: SeccompProfile,
    /// The AppArmor profile, passed through.
    pub apparmor: Option<String>,
    /// Parts of the SELinux label such as `type:container_t`, or `disable`.
    pub labels: Vec<String>,
    /// Forbid gaining privileges by exec.
    pub no_new_privileges: bool,
    /// `systempaths=unconfined`: no masked and no read-only paths in /proc and /sys.
    pub unmask_system_paths: bool,
}

/// A system call filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompProfile {
    /// Docker's default profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile of the caller's, in Docker's or the OCI's JSON; its text is read at create.
    File(PathBuf),
    /// The text of such a file.
    Json(String),
}

/// One `--security-opt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityOption {
    /// `seccomp=unconfined`, `seccomp=builtin` or `seccomp=FILE`.
    Seccomp(SeccompProfile),
    /// `apparmor=PROFILE`.
    Apparmor(String),
    /// `label=…`.
    Label(String),
    /// `no-new-privileges[:true|:false]`.
    NoNewPrivileges(bool),
    /// `systempaths=unconfined`.
    UnmaskSystemPaths,
}

impl SecurityOptions {
    /// Adds one option; later ones win.
    pub fn apply(&mut self, option: SecurityOption) {
        match option {
            SecurityOption::Seccomp(profile) => self.seccomp = profile,
            SecurityOption::Apparmor(profile) => self.apparmor = Some(profile),
            SecurityOption::Label(label) => self.labels.push(label),
            SecurityOption::NoNewPrivileges(on) => self.no_new_privileges = on,
            SecurityOption::UnmaskSystemPaths => self.unmask_system_paths = true,
        }
    }
}

impl FromStr for SecurityOption {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let separator = if text.contains('=') { '=' } else { ':' };
        let (key, value) = text.split_once(separator).unwrap_or((text, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => Ok(Self::NoNewPrivileges(true)),
            ("no-new-privileges", "false") => Ok(Self::NoNewPrivileges(false)),
            ("seccomp", "unconfined") => Ok(Self::Seccomp(SeccompProfile::Unconfined)),
            ("seccomp", "builtin") => Ok(Self::Seccomp(SeccompProfile::Default)),
            ("seccomp", file) if !file.is_empty() => Ok(Self::Seccomp(SeccompProfile::File(file.into()))),
            ("apparmor", profile) if !profile.is_empty() => Ok(Self::Apparmor(profile.to_owned())),
            ("label", label) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
            ("systempaths", "unconfined") => Ok(Self::UnmaskSystemPaths),
            _ => Err(InvalidOption(format!("invalid --security-opt: {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let check = |text: &str, expected: Option<SecurityOption>| assert_eq!(text.parse().ok(), expected, "{text:?}");
        check("no-new-privileges", Some(SecurityOption::NoNewPrivileges(true)));
        check("no-new-privileges:false", Some(SecurityOption::NoNewPrivileges(false)));
        check("no-new-privileges=true", Some(SecurityOption::NoNewPrivileges(true)));
        check("seccomp=unconfined", Some(SecurityOption::Seccomp(SeccompProfile::Unconfined)));
        check("seccomp:/a/b", Some(SecurityOption::Seccomp(SeccompProfile::File("/a/b".into()))));
        check("label=type:x_t", Some(SecurityOption::Label("type:x_t".into())));
        check("apparmor=docker-default", Some(SecurityOption::Apparmor("docker-default".into())));
        for bad in ["", "seccomp", "seccomp=", "no-new-privileges=maybe", "other=1"] {
            check(bad, None);
        }
    }
}
