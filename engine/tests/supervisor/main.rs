//! Supervisors, sessions and repair, on a class that runs plain host processes.
//!
//! This program starts itself again as the supervisor, so it has a main function in place of libtest's.

#![expect(clippy::print_stdout, reason = "a test runner reports on standard output")]

mod cases;
mod fake;
mod world;

use std::ffi::OsString;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|verb| verb.to_str()) {
        Some("supervise") => stockade_engine::supervise_main(&arguments[1..], Box::new(fake::FakeBackend)),
        Some("attach") => cases::attach_helper(&arguments[1..]),
        Some("case") => run_case(&arguments[1]),
        filter => run_all(filter.unwrap_or_default()),
    }
}

/// Runs one case in this process.
fn run_case(name: &OsString) -> ExitCode {
    let case = cases::ALL.iter().find(|(known, _)| name == *known);
    case.map_or(ExitCode::FAILURE, |(_, case)| {
        case();
        ExitCode::SUCCESS
    })
}

/// Runs every case whose name contains `filter`, each in a process of its own: a panic fails one case, not all.
fn run_all(filter: &str) -> ExitCode {
    let filter = if filter.starts_with('-') { "" } else { filter };
    let mut failed = 0;
    for (name, _) in cases::ALL.iter().filter(|(name, _)| name.contains(filter)) {
        let passed = Command::new("/proc/self/exe").args(["case", name]).status().is_ok_and(|status| status.success());
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
