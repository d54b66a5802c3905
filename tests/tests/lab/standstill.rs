//! Where a guest stands that says nothing any more: what its VMM's threads do, and what the guest did last. For the
//! account of a failure, so that nothing in here fails itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const TRACE: &str = "/sys/kernel/tracing";
const EVENTS: [&str; 4] = ["kvm_exit", "kvm_inj_virq", "kvm_set_irq", "kvm_hypercall"];
/// Long enough for a guest that waits for a timer.
const WATCHED: Duration = Duration::from_secs(1);
const LINES: usize = 40;

/// The account of a VMM.
pub(crate) fn account(pid: u32) -> String {
    format!("--- the VMM's threads\n{}--- the guest's last exits\n{}", threads(pid), exits())
}

/// A line each: name, state, processor time in ticks, and where in the host's kernel it waits.
fn threads(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| thread_line(&task.path())).collect()
}

fn thread_line(task: &Path) -> String {
    let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
    let stat = read("stat");
    // After the name, which is in parentheses: the state is the first field, both times the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or("?");
    let stack = read("stack");
    let frames: Vec<_> = stack.lines().take(3).filter_map(|line| line.split_whitespace().last()).collect();
    let times = format!("user {} system {}", field(11), field(12));
    format!("{}: {} {times} {}\n", read("comm").trim(), field(0), frames.join(" "))
}

/// The last lines of a trace of all guests for a moment.
fn exits() -> String {
    let mounted = Command::new("mount").args(["-t", "tracefs", "tracefs", TRACE]).status().is_ok_and(|it| it.success());
    let switch = |word: &str| {
        EVENTS.iter().for_each(|event| {
            let _ = fs::write(format!("{TRACE}/events/kvm/{event}/enable"), word);
        });
    };
    switch("1");
    thread::sleep(WATCHED);
    switch("0");
    let trace = fs::read_to_string(format!("{TRACE}/trace")).unwrap_or_else(|error| format!("no trace: {error}"));
    if mounted {
        let _ = Command::new("umount").arg(TRACE).status();
    }
    let lines: Vec<&str> = trace.lines().filter(|line| !line.starts_with('#')).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    format!("{} in {WATCHED:?}\n{}{last}\n", lines.len(), places(&lines))
}

/// How often it left each function, and why. Guest and host have the same kernel, and neither has moved its addresses.
fn places(lines: &[&str]) -> String {
    let symbols = symbols();
    let mut counts = BTreeMap::new();
    for line in lines {
        let after = |key: &str| line.split_once(key)?.1.split_whitespace().next();
        let address = after("rip 0x").and_then(|word| u64::from_str_radix(word, 16).ok());
        let (Some(vcpu), Some(reason), Some(address)) = (after("kvm_exit: vcpu "), after("reason "), address) else {
            continue;
        };
        let name = symbols.range(..=address).next_back().map_or("user", |(_, name)| name);
        *counts.entry(format!("vcpu {vcpu} {reason} {name}")).or_insert(0) += 1;
    }
    let mut counts: Vec<(String, u32)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().take(LINES).map(|(place, count)| format!("{count:6} {place}\n")).collect()
}

fn symbols() -> BTreeMap<u64, String> {
    let text = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((address, words.nth(1)?.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}
