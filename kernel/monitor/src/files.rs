//! The file server as a program: a bundle's directory for one monitor (`kernel/files`).
//!
//! Its descriptors: 0 is the socket to the monitor, over which the directory comes first; 2 is the monitor's log.

use oci_spec::runtime::LinuxSeccomp;
use rustix::stdio::{stderr, stdin};

use crate::monitor::filter::{PROT_EXEC, allow, install_list, list, masked};

/// The system calls that it makes once it serves, and no others: docs/security.md counts them. What it opens, it opens
/// below the directory, or as one of its own descriptors.
const CALLS: &[&str] = &[
    "recvfrom",
    "sendmsg",
    "write",
    "close",
    // Finding and looking.
    "openat2",
    "openat",
    "fstat",
    "newfstatat",
    "statx",
    "fstatfs",
    "readlinkat",
    "getdents64",
    "lseek",
    // Changing.
    "mkdirat",
    "mknodat",
    "symlinkat",
    "linkat",
    "unlinkat",
    "renameat2",
    "fchownat",
    "fchmodat",
    "utimensat",
    "getxattr",
    "setxattr",
    "listxattr",
    "removexattr",
    "fsync",
    // Own memory, own end.
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "sigaltstack",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "futex",
    "gettid",
    "getpid",
    "tgkill",
    "restart_syscall",
    "exit_group",
];

/// Allowed without PROT_EXEC.
const MEMORY: &[&str] = &["mmap", "mprotect"];

/// All calls that the file server can make.
pub(crate) fn calls() -> Vec<&'static str> {
    [CALLS, MEMORY].concat()
}

/// Runs as the file server; its exit status.
pub(crate) fn main() -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            let _ = rustix::io::write(stderr(), format!("stockade-files: {error}\n").as_bytes());
            1
        }
    }
}

fn serve() -> Result<(), String> {
    stockade_hosted::files::raise_descriptor_limit();
    let socket = stdin().try_clone_to_owned().map_err(|error| format!("copy a descriptor: {error}"))?;
    let ready = stockade_kernel_files::receive(&socket).map_err(|error| error.to_string())?;
    install_list(&profile().map_err(|error| format!("make the filter: {error}"))?)?;
    ready.serve(&socket).map_err(|error| error.to_string())
}

fn profile() -> Result<LinuxSeccomp, oci_spec::OciSpecError> {
    list(vec![allow(CALLS, Vec::new())?, allow(MEMORY, vec![masked(2, PROT_EXEC, 0)?])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_short_and_compiles() {
        let profile = profile().expect("a profile");
        assert!(stockade_native::seccomp::compile(&profile).expect("it compiles").is_some());
        assert!(CALLS.len() <= 41, "{} calls: docs/security.md counts them", CALLS.len());
    }
}
