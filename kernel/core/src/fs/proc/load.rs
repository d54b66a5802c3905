//! How busy the sandbox is: /proc/stat, uptime, loadavg, interrupts, pressure.

use alloc::vec::Vec;
use core::time::Duration;

use super::ProcSystem;
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::task::{CpuTime, ticks};

pub(super) static PRESSURE: Directory<ProcSystem> = Directory::of(&[
    Entry::constant("cpu", PRESSURE_TEXT),
    Entry::constant("io", PRESSURE_TEXT),
    Entry::constant("memory", PRESSURE_TEXT),
]);

/// Pressure stall information (Documentation/accounting/psi.rst) of somebody who never waits.
pub(crate) const PRESSURE_TEXT: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\
                                        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

/// CPU time of the sandbox; never less than what was shown before.
fn busy(system: &ProcSystem) -> CpuTime {
    let now = system.cpu_time();
    let mut shown = system.shared.shown.lock();
    shown.user = shown.user.max(now.user);
    shown.system = shown.system.max(now.system);
    *shown
}

/// CPU time that nobody used.
fn idle(system: &ProcSystem, busy: CpuTime) -> Duration {
    (system.uptime() * system.kernel.cpus()).saturating_sub(busy.total())
}

/// /proc/stat. Time is spread evenly over the CPUs: the host schedules, and where is not known.
pub(super) fn stat(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (busy, cpus) = (busy(system), system.kernel.cpus());
    let idle = idle(system, busy);
    let mut text = Text::new();
    cpu_line(&mut text, "cpu ", "", busy, idle);
    for cpu in 0..cpus {
        let share = CpuTime { user: busy.user / cpus, system: busy.system / cpus };
        cpu_line(&mut text, "cpu", alloc::format!("{cpu}").as_str(), share, idle / cpus);
    }
    let (running, _) = running(system);
    let made = system.namespaces.pids.last();
    writeln!(text, "intr 0");
    writeln!(text, "ctxt 0");
    writeln!(text, "btime {}", system.boot_time().as_secs());
    writeln!(text, "processes {made}");
    writeln!(text, "procs_running {running}");
    writeln!(text, "procs_blocked 0");
    writeln!(text, "softirq 0 0 0 0 0 0 0 0 0 0 0");
    text.finish()
}

fn cpu_line(text: &mut Text, name: &str, number: &str, busy: CpuTime, idle: Duration) {
    let (user, system, idle) = (ticks(busy.user), ticks(busy.system), ticks(idle));
    writeln!(text, "{name}{number} {user} 0 {system} {idle} 0 0 0 0 0 0");
}

/// Tasks that run, of all.
fn running(system: &ProcSystem) -> (usize, usize) {
    let tasks: Vec<_> = system.processes().iter().flat_map(|process| process.tasks()).collect();
    (tasks.iter().filter(|task| task.state_letter() == 'R').count(), tasks.len())
}

/// /proc/uptime
pub(super) fn uptime(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let idle = idle(system, busy(system));
    let mut text = Text::new();
    writeln!(text, "{} {}", hundredths(system.uptime()), hundredths(idle));
    text.finish()
}

fn hundredths(time: Duration) -> alloc::string::String {
    alloc::format!("{}.{:02}", time.as_secs(), time.subsec_millis() / 10)
}

/// /proc/loadavg
pub(super) fn loadavg(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (running, all) = running(system);
    let mut text = Text::new();
    for (whole, hundredths) in system.kernel.load_averages().hundredths() {
        write!(text, "{whole}.{hundredths:02} ");
    }
    writeln!(text, "{running}/{all} {}", system.namespaces.pids.last());
    text.finish()
}

/// /proc/interrupts: the column heads.
pub(super) fn interrupts(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    write!(text, "           ");
    for cpu in 0..system.kernel.cpus() {
        write!(text, "CPU{cpu:<8}");
    }
    text.bytes(b"\n");
    text.finish()
}

/// /proc/softirqs
pub(super) fn softirqs(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    const NAMES: [&str; 10] =
        ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
    let cpus = system.kernel.cpus();
    let mut text = Text::new();
    write!(text, "                    ");
    for cpu in 0..cpus {
        write!(text, "CPU{cpu:<8}");
    }
    text.bytes(b"\n");
    for name in NAMES {
        write!(text, "{name:>12}:");
        for _ in 0..cpus {
            write!(text, " {:>10}", 0);
        }
        text.bytes(b"\n");
    }
    text.finish()
}
