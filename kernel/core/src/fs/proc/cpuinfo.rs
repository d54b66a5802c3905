//! /proc/cpuinfo: the host's fields of one processor, once for each of the sandbox.

use alloc::vec::Vec;

use super::ProcSystem;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};

/// /proc/cpuinfo
pub(super) fn cpuinfo(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let cpus = system.kernel.cpus();
    let mut text = Text::new();
    for cpu in 0..cpus {
        for line in system.kernel.machine().info().cpuinfo.lines() {
            match renumbered(line, cpu, cpus) {
                Some((name, number)) => writeln!(text, "{name}: {number}"),
                None => writeln!(text, "{line}"),
            }
        }
        text.bytes(b"\n");
    }
    text.finish()
}

/// What differs between processors: one package of `cpus` cores.
fn renumbered(line: &str, cpu: u32, cpus: u32) -> Option<(&str, u32)> {
    let (name, _) = line.split_once(':')?;
    let number = match name.trim_end() {
        "processor" | "core id" | "apicid" | "initial apicid" => cpu,
        "physical id" => 0,
        "siblings" | "cpu cores" => cpus,
        _ => return None,
    };
    Some((name, number))
}
