//! What a caller passes to `create` and `exec`.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};

use crate::ContainerId;

/// Everything `create` needs. The spec is the only description of the container; the rest says how to wire it up.
#[derive(Debug)]
pub struct CreateRequest {
    /// The bundle directory: relative paths in the spec start here, and hooks see it in their state.
    pub bundle: PathBuf,
    /// The validated-by-nobody spec; the class checks what it uses.
    pub spec: Spec,
    /// Where the root file system comes from.
    pub rootfs: Rootfs,
    /// `user[:group]` by name, resolved inside the rootfs; overrides the spec's numeric user.
    pub user: Option<String>,
    /// The init's terminal.
    pub terminal: Terminal,
    /// The init's standard streams when it has no terminal.
    pub stdio: Stdio,
    /// How many descriptors after 2 the init inherits (`--preserve-fds`); `LISTEN_FDS` ones included.
    pub preserve_fds: u32,
    /// Written atomically with the init's pid before `create` returns.
    pub pid_file: Option<PathBuf>,
    /// How to change root.
    pub pivot_root: PivotRoot,
    /// Whether to make a session keyring.
    pub keyring: SessionKeyring,
    /// Who makes cgroups.
    pub cgroup_manager: CgroupManager,
    /// Whose the cgroup above the container's is.
    pub cgroup_parent: CgroupParent,
    /// The container whose sandbox it joins: one kernel for both, and the namespaces that the spec names by a path are
    /// that container's. Class `native` has no kernel to share and goes by the paths alone.
    pub sandbox: Option<ContainerId>,
    /// Where the trace of its system calls goes, if there is to be one: a kernel of the class's own writes it.
    pub trace: Option<Trace>,
}

/// Where a trace goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trace {
    /// To the init's standard error, or its terminal.
    Stderr,
    /// To a file of the host, at its end.
    File(PathBuf),
}

/// Where a container's root file system comes from.
#[derive(Clone, Debug)]
pub enum Rootfs {
    /// The directory that the spec's `root.path` names.
    Bundle,
    /// EROFS blobs from the image store, lowest layer first, under a writable layer.
    Layers {
        /// Blob files, lowest first.
        blobs: Vec<PathBuf>,
        /// What catches writes.
        writable: WritableLayer,
    },
}

/// The writable layer on top of image layers.
#[derive(Clone, Debug)]
pub struct WritableLayer {
    /// A directory of the container's own, on a file system that can hold an overlay upper. A class that needs it makes
    /// it, with `upper` and `work` in it.
    pub dir: PathBuf,
    /// True when losing the layer on a host crash is fine (`--rm`): overlayfs then skips syncs.
    pub volatile: bool,
}

/// The terminal of a process.
#[derive(Debug)]
pub enum Terminal {
    /// None: the process has pipes or files.
    None,
    /// Allocate a pty inside the container and send its master over this socket (OCI `--console-socket`, SCM_RIGHTS).
    Console(UnixStream),
}

/// The standard streams of a process without a terminal.
#[derive(Debug, Default)]
pub struct Stdio {
    /// Descriptor 0; the caller's own when absent.
    pub stdin: Option<OwnedFd>,
    /// Descriptor 1; the caller's own when absent.
    pub stdout: Option<OwnedFd>,
    /// Descriptor 2; the caller's own when absent.
    pub stderr: Option<OwnedFd>,
}

/// How the init changes root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PivotRoot {
    /// pivot_root(2).
    #[default]
    Pivot,
    /// MS_MOVE and chroot, for hosts whose root is the initramfs (`--no-pivot`).
    Move,
}

/// Whether the init gets a session keyring of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionKeyring {
    /// A new one named `_ses.ID`.
    #[default]
    New,
    /// The caller's (`--no-new-keyring`).
    Inherit,
}

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// Directories under the cgroup mounts.
    #[default]
    Cgroupfs,
    /// systemd units over D-Bus (`--systemd-cgroup`).
    Systemd,
}

/// Whose the cgroup directly above a container's is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupParent {
    /// Someone else's: made where absent, and never removed.
    #[default]
    Foreign,
    /// The containers' of one kind of caller, and nobody else's: it comes with the first and goes with the last.
    Shared,
}

/// Everything `exec` needs.
#[derive(Debug)]
pub struct ExecRequest {
    /// The process to run; its capabilities, rlimits, label and profile default to the container's where absent.
    pub process: Process,
    /// `user[:group]` by name, resolved inside the container; overrides the process's numeric user.
    pub user: Option<String>,
    /// The terminal.
    pub terminal: Terminal,
    /// The standard streams without a terminal.
    pub stdio: Stdio,
    /// As in [`CreateRequest`].
    pub preserve_fds: u32,
    /// Written with the process's host pid.
    pub pid_file: Option<PathBuf>,
    /// A cgroup below the container's own to put the process in (`--cgroup`).
    pub sub_cgroup: Option<PathBuf>,
    /// Run it although the container is paused (`--ignore-paused`).
    pub ignore_paused: bool,
}

/// Which processes `signal` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalTarget {
    /// The init.
    Init,
    /// Every process of the container (`kill --all`).
    All,
}

/// What `delete` may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteMode {
    /// Only a stopped container.
    Stopped,
    /// Any: kill first, and treat an absent container as deleted.
    Force,
}
