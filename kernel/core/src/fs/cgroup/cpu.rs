//! The cpu and cpuset controllers.

use alloc::vec::Vec;

use super::line;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::fs::system::{System, all_cpus, list_text};

/// The period when there is no quota.
const PERIOD_US: u64 = 100_000;

/// `cpu.max`
pub(super) fn max(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    match system.kernel.limits().cpu_quota() {
        Some(quota) => writeln!(text, "{} {}", quota.quota_us, quota.period_us),
        None => writeln!(text, "max {PERIOD_US}"),
    }
    text.finish()
}

/// `cpu.weight`
pub(super) fn weight(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(Some(system.kernel.limits().cpu_weight().into()))
}

/// `cpu.weight.nice`: each step of niceness is about a quarter.
pub(super) fn weight_nice(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    const WEIGHTS: [u32; 40] = [
        88_761, 71_755, 56_483, 46_273, 36_291, 29_154, 23_254, 18_705, 14_949, 11_916, 9_548, 7_620, 6_100, 4_904,
        3_906, 3_121, 2_501, 1_991, 1_586, 1_277, 1_024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56,
        45, 36, 29, 23, 18, 15,
    ];
    // 100 is what 1024 is to the scheduler.
    let wanted = system.kernel.limits().cpu_weight() * 1024 / 100;
    let nearest = (-20..20).zip(WEIGHTS).min_by_key(|(_, weight)| weight.abs_diff(wanted));
    let mut text = Text::new();
    writeln!(text, "{}", nearest.map_or(0, |(nice, _)| nice));
    text.finish()
}

/// `cpu.stat`: of the sandbox.
pub(super) fn stat(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let used = system.cpu_time();
    let mut text = Text::new();
    writeln!(text, "usage_usec {}", used.total().as_micros());
    writeln!(text, "user_usec {}\nsystem_usec {}", used.user.as_micros(), used.system.as_micros());
    for name in ["nice_usec", "nr_periods", "nr_throttled", "throttled_usec", "nr_bursts", "burst_usec"] {
        writeln!(text, "{name} 0");
    }
    text.finish()
}

/// `cpuset.cpus.effective`
pub(super) fn set(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = list_text(all_cpus(system.kernel.cpus()));
    text.bytes(b"\n");
    text.finish()
}
