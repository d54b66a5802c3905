//! From a set-up process to the workload: identity, privileges, seccomp, exec. The same for a container's init and for
//! an exec'd process.

use std::ffi::CString;
use std::os::fd::AsRawFd;

use oci_spec::runtime::{LinuxPersonality, Process};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{chdir, umask};
use rustix::thread::{Gid, Uid, set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid};
use stockade_sandbox::{Error, Result};

use crate::caps::CapSets;
use crate::fail::{Context, invalid};
use crate::lookup::{find_program, not_executable};
use crate::personality::domain;
use crate::procfs::ProcFs;
use crate::seccomp::Program;
use crate::sys::process::{CStrings, execve, personality};
use crate::user::{Identity, resolve};
use crate::wire::{Channel, Message};
use crate::{schedule, streams};

/// What becomes of a cloned process.
#[derive(Debug)]
pub(crate) struct Workload<'a> {
    pub process: &'a Process,
    pub personality: Option<&'a LinuxPersonality>,
    /// `user[:group]` by name.
    pub user: Option<&'a str>,
    pub seccomp: Option<&'a Program>,
    pub preserve_fds: u32,
}

/// A workload that needs nothing but its filter and execve any more.
#[derive(Debug)]
pub(crate) struct Armed<'a> {
    workload: &'a Workload<'a>,
    program: CString,
    arguments: CStrings,
    environment: CStrings,
}

impl<'a> Workload<'a> {
    /// Gives up all privileges and finds the program. `spared` are descriptors still needed until exec.
    /// Without labels to be set no `procfs` is needed.
    pub(crate) fn arm(&'a self, procfs: Option<ProcFs>, channel: &Channel, spared: Vec<u32>) -> Result<Armed<'a>> {
        procfs.map_or(Ok(()), |procfs| self.set_labels(&procfs))?;
        // Before any path of the container's is followed: /proc/self/fd must lead nowhere.
        streams::close_others(3 + self.preserve_fds, [vec![channel.number()], spared].concat())?;
        self.set_attributes()?;
        let identity = self.identity()?;
        let capabilities = CapSets::new(self.process.capabilities().as_ref())?;
        let early_directory = self.enter_directory()?;
        self.install_early(channel)?;
        streams::give_to(identity.uid)?;
        become_user(&identity, &capabilities)?;
        if !early_directory {
            self.enter_directory_as_user()?;
        }
        check_directory()?;
        capabilities.apply()?;
        if self.no_new_privileges() {
            set_no_new_privs(true).at("set no_new_privs")?;
        }
        let armed = self.find(&identity)?;
        if self.is_late() && !self.installs_at_exec() {
            self.install(channel)?;
        }
        Ok(armed)
    }

    /// Whether the filter follows no_new_privs.
    fn is_late(&self) -> bool {
        self.no_new_privileges()
    }

    /// As close to execve as can be, so that the filter need not allow what comes before; but someone must still be
    /// there to take a listener.
    fn installs_at_exec(&self) -> bool {
        self.is_late() && !self.seccomp.is_some_and(Program::notifies)
    }

    fn no_new_privileges(&self) -> bool {
        self.process.no_new_privileges().unwrap_or(false)
    }

    fn apparmor_profile(&self) -> Option<&str> {
        self.process.apparmor_profile().as_deref().filter(|profile| !profile.is_empty())
    }

    fn selinux_label(&self) -> Option<&str> {
        self.process.selinux_label().as_deref().filter(|label| !label.is_empty())
    }

    /// Whether the process gets a label of a security module.
    pub(crate) fn is_labelled(&self) -> bool {
        self.apparmor_profile().is_some() || self.selinux_label().is_some()
    }

    fn set_labels(&self, procfs: &ProcFs) -> Result<()> {
        if let Some(profile) = self.apparmor_profile() {
            set_apparmor(procfs, profile)?;
        }
        match self.selinux_label() {
            Some(label) => procfs
                .write("thread-self/attr/exec", label)
                .at_with(|| format!("set SELinux label {label:?}: is SELinux enabled on this host?")),
            None => Ok(()),
        }
    }

    fn set_attributes(&self) -> Result<()> {
        if let Some(wanted) = self.personality {
            personality(domain(wanted)?.into()).at("set the personality")?;
        }
        schedule::apply(self.process)?;
        umask(Mode::from_raw_mode(self.process.user().umask().unwrap_or(0o022)));
        Ok(())
    }

    fn identity(&self) -> Result<Identity> {
        let needs_home = !self.variables().any(|variable| variable.starts_with("HOME="));
        resolve(self.user, self.process.user(), needs_home)
    }

    fn variables(&self) -> impl Iterator<Item = &String> {
        self.process.env().iter().flatten()
    }

    /// Enters the working directory as root, made if absent; false when only the user may.
    fn enter_directory(&self) -> Result<bool> {
        let path = self.process.cwd();
        match chdir(path) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS) => Ok(false),
            Err(errno) => Err(Error::os(format!("chdir to cwd ({path:?}) set in config.json failed"), errno)),
        }
    }

    fn enter_directory_as_user(&self) -> Result<()> {
        let path = self.process.cwd();
        chdir(path).at_with(|| format!("chdir to cwd ({path:?}) set in config.json failed"))
    }

    /// Without no_new_privs only CAP_SYS_ADMIN may install a filter, so that happens while we still have it.
    fn install_early(&self, channel: &Channel) -> Result<()> {
        if self.is_late() { Ok(()) } else { self.install(channel) }
    }

    fn install(&self, channel: &Channel) -> Result<()> {
        let Some(program) = self.seccomp else { return Ok(()) };
        if let Some(listener) = program.install().at("install the seccomp filter")? {
            channel.send(&Message::Listener(listener.as_raw_fd()))?;
            channel.wait_for_go()?;
        }
        Ok(())
    }

    fn find(&'a self, identity: &Identity) -> Result<Armed<'a>> {
        let arguments = self.process.args().as_deref().unwrap_or_default();
        let name = arguments.first().ok_or_else(|| invalid("process.args is empty"))?;
        let mut environment: Vec<String> = self.variables().cloned().collect();
        let program = find_program(name, &environment)?;
        if !environment.iter().any(|variable| variable.starts_with("HOME=")) {
            environment.push(format!("HOME={}", identity.home.as_deref().unwrap_or("/")));
        }
        Ok(Armed {
            workload: self,
            program,
            arguments: CStrings::new(arguments).at("process.args")?,
            environment: CStrings::new(&environment).at("process.env")?,
        })
    }
}

impl Armed<'_> {
    /// Becomes the workload; returns only on failure.
    pub(crate) fn exec(&self, channel: &Channel) -> Error {
        if self.workload.installs_at_exec()
            && let Err(error) = self.workload.install(channel)
        {
            return error;
        }
        let error = execve(&self.program, &self.arguments, &self.environment);
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
        not_executable(&self.program.to_string_lossy(), errno)
    }
}

fn become_user(identity: &Identity, capabilities: &CapSets) -> Result<()> {
    capabilities.drop_bounding()?;
    set_keep_capabilities(true).at("keep capabilities")?;
    set_groups(identity)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_thread_res_gid(gid, gid, gid).at_with(|| format!("setgid {}", identity.gid))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at_with(|| format!("setuid {}", identity.uid))?;
    set_keep_capabilities(false).at("stop keeping capabilities")
}

fn set_groups(identity: &Identity) -> Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match set_thread_groups(&groups) {
        // A user namespace whose setgroups file says deny (user_namespaces(7)) has no groups to drop.
        Err(Errno::PERM) if identity.groups.iter().all(|group| *group == identity.gid) => Ok(()),
        answer => answer.at("setgroups"),
    }
}

/// A working directory that the kernel cannot name lies outside the container's root: someone led us to a leaked
/// descriptor (CVE-2024-21626).
fn check_directory() -> Result<()> {
    let outside = || {
        Error::Other(
            "current working directory is outside of container mount namespace root -- possible container \
            breakout detected"
                .into(),
        )
    };
    let directory = rustix::process::getcwd(Vec::new()).map_err(|_| outside())?;
    if directory.as_bytes().starts_with(b"/") { Ok(()) } else { Err(outside()) }
}

fn set_apparmor(procfs: &ProcFs, profile: &str) -> Result<()> {
    let text = format!("exec {profile}");
    let written = match procfs.write("thread-self/attr/apparmor/exec", &text) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => procfs.write("thread-self/attr/exec", &text),
        answer => answer,
    };
    written.at_with(|| format!("apply apparmor profile {profile:?}: is AppArmor enabled and the profile loaded?"))
}
