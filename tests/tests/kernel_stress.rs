//! Class `kernel`: the stressors of stress-ng that succeed in class `native` succeed.

mod kernel;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use kernel::{ALL_WORKLOADS, Kernel, exceptions};

const CLASSES: &[&str] = &["cpu", "memory", "vm", "pipe", "filesystem", "scheduler", "interrupt", "os"];
const MINUTE: Duration = Duration::from_secs(60);
/// In one container.
const TOGETHER: usize = 12;
/// Some stressors take all the room that they find.
const ROOM: &str = "/tmp:size=2g,mode=1777";
/// Runs each stressor by itself for a second, so that one that hangs ends alone.
const RUN: &str = r#"mkdir /tmp/stress; cd /tmp/stress; for name; do
    timeout -s KILL 60 stress-ng --$name 2 -t 1 --verify >/tmp/said 2>&1 </dev/null
    code=$?; [ $code = 0 ] || sed "s/^/$name: /" /tmp/said >&2; echo "$name $code"
done"#;

#[test]
fn stressors_succeed_where_they_do_in_class_native() {
    let kernel = Kernel::shared(ALL_WORKLOADS);
    let stressors: BTreeSet<String> = CLASSES.iter().flat_map(|class| of_class(&kernel, class)).collect();
    assert!(stressors.len() > 250, "{stressors:?}");
    let failed = failed(&kernel, &stressors);
    // What fails beside others is tried once more, alone on the machine.
    let (native, ours) = (run(&kernel, "native", &failed), run(&kernel, "kernel", &failed));
    let failed: BTreeSet<String> = native.succeeded.difference(&ours.succeeded).cloned().collect();
    eprintln!("{} of {} stressors: {failed:#?}\n{}", stressors.len() - failed.len(), stressors.len(), ours.said);
    exceptions::check("stress-ng", &stressors, &failed);
}

/// Those that succeed in class `native` only, with both classes running at the same time.
fn failed(kernel: &Kernel, stressors: &BTreeSet<String>) -> BTreeSet<String> {
    thread::scope(|scope| {
        let native = scope.spawn(|| run(kernel, "native", stressors));
        let ours = run(kernel, "kernel", stressors);
        native.join().expect("run in class native").succeeded.difference(&ours.succeeded).cloned().collect()
    })
}

#[derive(Default)]
struct Report {
    succeeded: BTreeSet<String>,
    /// What those said that did not.
    said: String,
}

fn run(kernel: &Kernel, class: &str, stressors: &BTreeSet<String>) -> Report {
    let names: Vec<&str> = stressors.iter().map(String::as_str).collect();
    let mut report = Report::default();
    for names in names.chunks(TOGETHER) {
        let command = [&["sh", "-c", RUN, "sh"], names].concat();
        let output = kernel.run_in(class, &["--rm", "--tmpfs", ROOM], &command).timeout(20 * MINUTE).run();
        let ended: BTreeMap<&str, &str> = output.stdout.lines().filter_map(|line| line.split_once(' ')).collect();
        assert_eq!(ended.len(), names.len(), "class {class} ran {ended:?} only\n{}", output.stderr);
        report.succeeded.extend(ended.iter().filter(|(_, code)| **code == "0").map(|(name, _)| (*name).to_owned()));
        report.said.push_str(&output.stderr);
    }
    report
}

fn of_class(kernel: &Kernel, class: &str) -> Vec<String> {
    let list = kernel.run_in("native", &["--rm"], &["stress-ng", "--class", &format!("{class}?")]).run();
    let text = [list.stdout, list.stderr].concat();
    let names = text.lines().find_map(|line| line.split_once("stressors: ")).map_or("", |(_, names)| names);
    names.split_whitespace().map(str::to_owned).collect()
}
