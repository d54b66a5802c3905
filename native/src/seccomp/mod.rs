//! Seccomp: from the OCI profile to a filter in the kernel.
//!
//! [`compile`] runs before fork and may allocate; [`Program::install`] runs in the container's process just before
//! exec and does not. The compiler is our own: libseccomp costs milliseconds for what takes well under one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};

mod action;
mod bpf;
mod conditions;
mod docker;
mod program;
mod rules;
mod search;
mod sys;
mod table;

#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;

pub use docker::docker_default;

use bpf::Instruction;
use program::{Tables, Unknown};
use rules::Table;

/// A compiled filter with the flags to install it.
#[derive(Clone, Debug)]
pub struct Program {
    code: Vec<Instruction>,
    flags: libc::c_ulong,
    listener_path: Option<PathBuf>,
    listener_metadata: String,
}

/// Why a profile cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// An argument index above 5.
    #[error("seccomp rule for {syscall}: argument index {index} is above 5")]
    ArgumentIndex {
        /// The system call of the rule.
        syscall: String,
        /// The index.
        index: usize,
    },
    /// Two rules with the same conditions and different actions.
    #[error("seccomp rules for system call number {number} contradict each other")]
    Conflict {
        /// The call.
        number: u32,
    },
    /// An architecture that this build does not run on.
    #[error("seccomp architecture {0} is not one of x86_64, x86 and x32")]
    Architecture(Arch),
    /// A notification where it would stop the runtime itself.
    #[error("SCMP_ACT_NOTIFY cannot be used {0}")]
    Notify(&'static str),
    /// More than the kernel takes.
    #[error("the seccomp profile needs {length} instructions, more than the kernel's 4096: shorten it")]
    TooLong {
        /// How many it would be.
        length: usize,
    },
}

impl From<CompileError> for stockade_sandbox::Error {
    fn from(error: CompileError) -> Self {
        Self::InvalidConfig(error.to_string())
    }
}

/// Compiles a profile. `None` when it has nothing to enforce: it allows by default and has no rules.
pub fn compile(profile: &LinuxSeccomp) -> Result<Option<Program>, CompileError> {
    let rules = profile.syscalls().as_deref().unwrap_or_default();
    if rules.is_empty() && profile.default_action() == LinuxSeccompAction::ScmpActAllow {
        return Ok(None);
    }
    check_notify(profile)?;
    Ok(Some(Program {
        code: program::build(&tables(profile)?)?,
        flags: flags(profile),
        listener_path: profile.listener_path().clone(),
        listener_metadata: profile.listener_metadata().clone().unwrap_or_default(),
    }))
}

fn tables(profile: &LinuxSeccomp) -> Result<Tables, CompileError> {
    let action = profile.default_action();
    let default = action::answer(action, profile.default_errno_ret());
    let architectures = profile.architectures().as_deref().unwrap_or_default();
    let known = |arch: &&Arch| {
        matches!(arch, Arch::ScmpArchNative | Arch::ScmpArchX86_64 | Arch::ScmpArchX86 | Arch::ScmpArchX32)
    };
    if let Some(arch) = architectures.iter().find(|arch| !known(arch)) {
        return Err(CompileError::Architecture(*arch));
    }
    let names = rules::Names::of(profile)?;
    let resolve = |table| rules::resolve(&names, default, table);
    let listed = |arch, table| architectures.contains(&arch).then(|| resolve(table)).transpose();
    Ok(Tables {
        default,
        unknown: if action::is_permissive(action) { Unknown::Default } else { Unknown::Enosys },
        x86_64: resolve(Table::X86_64)?,
        i386: listed(Arch::ScmpArchX86, Table::I386)?,
        x32: listed(Arch::ScmpArchX32, Table::X32)?,
    })
}

fn notifies(profile: &LinuxSeccomp) -> bool {
    let rules = profile.syscalls().as_deref().unwrap_or_default();
    rules.iter().any(|rule| rule.action() == LinuxSeccompAction::ScmpActNotify)
}

/// Between the filter and exec the runtime still writes to its parent, which hands the listener on.
fn check_notify(profile: &LinuxSeccomp) -> Result<(), CompileError> {
    if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
        return Err(CompileError::Notify("as default action"));
    }
    let rules = profile.syscalls().as_deref().unwrap_or_default();
    let mut notified = rules.iter().filter(|rule| rule.action() == LinuxSeccompAction::ScmpActNotify);
    if notified.any(|rule| rule.names().iter().any(|name| name == "write")) {
        return Err(CompileError::Notify("for the write syscall"));
    }
    if notifies(profile) && profile.listener_path().is_none() {
        return Err(CompileError::Notify("without listenerPath"));
    }
    Ok(())
}

/// No flags at all in the profile means SPEC_ALLOW, as in runc: the mitigation that it lifts slows every process, and
/// was for programs that run untrusted code beside secrets of their own. TSYNC is moot with one thread.
fn flags(profile: &LinuxSeccomp) -> libc::c_ulong {
    let listener = if notifies(profile) { sys::FLAG_NEW_LISTENER } else { 0 };
    let Some(flags) = profile.flags() else { return listener | sys::FLAG_SPEC_ALLOW };
    let bits = flags.iter().map(|flag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => sys::FLAG_LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => sys::FLAG_SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if listener != 0 => sys::FLAG_WAIT_KILLABLE_RECV,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
    });
    bits.fold(listener, |all, bit| all | bit)
}

impl Program {
    /// Installs the filter on the calling thread; the profile's notify listener is returned, if it has one.
    /// Needs no_new_privs or CAP_SYS_ADMIN. Async-signal-safe.
    pub fn install(&self) -> io::Result<Option<OwnedFd>> {
        sys::install(&self.code, self.flags)
    }

    /// Installs the filter on every thread of the process.
    pub fn install_on_all_threads(&self) -> io::Result<()> {
        sys::install(&self.code, self.flags | sys::FLAG_TSYNC).map(drop)
    }

    /// Whether `install` returns a listener.
    pub fn notifies(&self) -> bool {
        self.flags & sys::FLAG_NEW_LISTENER != 0
    }

    /// The socket that receives the listener (`listenerPath`).
    pub fn listener_path(&self) -> Option<&Path> {
        self.listener_path.as_deref()
    }

    /// The opaque text that goes with it (`listenerMetadata`).
    pub fn listener_metadata(&self) -> &str {
        &self.listener_metadata
    }
}
