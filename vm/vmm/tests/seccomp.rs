//! What a filter does to a process that does something else. The process is this program once more, so that a filter
//! has a process of its own to end.
#![forbid(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use stockade_vmm::seccomp::{Filters, ROLES, Role};

const DEED: &str = "STOCKADE_TEST_DEED";

fn main() {
    match std::env::var(DEED) {
        Ok(deed) => act(&deed),
        Err(_) => check_all(),
    }
}

/// In a process of its own: becomes what `deed` says first, and does the rest.
fn act(deed: &str) {
    let (role, deed) = deed.split_once(' ').expect("a role and a deed");
    let role = ROLES.into_iter().find(|known| format!("{known:?}") == role).expect("a role");
    let filters = if deed.ends_with("unfiltered") { Filters::Off } else { Filters::On };
    role.confine(filters).expect("a filter");
    match deed.trim_end_matches(" unfiltered") {
        "allocate" => assert_eq!(vec![1_u8; 64 << 20].iter().map(|byte| usize::from(*byte)).sum::<usize>(), 64 << 20),
        "network" => drop(std::net::UdpSocket::bind("127.0.0.1:0").expect("bind")),
        "open" => assert_eq!(std::fs::File::open("/").map_err(|error| error.kind()).err(), Some(REFUSED)),
        "fork" => drop(Command::new("true").status()),
        other => panic!("no such deed: {other}"),
    }
    std::process::exit(0);
}

const REFUSED: std::io::ErrorKind = std::io::ErrorKind::PermissionDenied;

fn check_all() {
    for role in ROLES {
        check(role, "allocate", lives);
        check(role, "network", dies);
        check(role, "network unfiltered", lives);
        check(role, "fork", dies);
    }
    for role in [Role::Vcpu, Role::Devices, Role::Disk, Role::Monitor] {
        check(role, "open", lives);
    }
}

fn check(role: Role, deed: &str, expected: fn(ExitStatus) -> bool) {
    let me = std::env::current_exe().expect("this program");
    let output = Command::new(me).env(DEED, format!("{role:?} {deed}")).output().expect("run this program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(expected(output.status), "{role:?} {deed}: {} {said}", output.status);
}

fn lives(status: ExitStatus) -> bool {
    status.success()
}

fn dies(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS)
}
