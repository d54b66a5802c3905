//! A sandbox's clocks begin with it, or elsewhere when its spec says so, whoever tells them: its kernel, the vDSO, the
//! host's futexes.

mod kernel;

use kernel::bundles::{debian, run};
use kernel::conformance::install;
use serde_json::{Value, json};
use stockade_tests::{Bundle, Scratch};

const SECONDS: &str = "cut -d. -f1 /proc/uptime";

fn moved(bundle: Bundle, offsets: &Value) -> Bundle {
    let with_namespace = |config: &mut Value| {
        let all = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        all.expect("namespaces").push(json!({"type": "time"}));
    };
    bundle.edit(with_namespace).set("/linux/timeOffsets", offsets.clone())
}

/// The host is older than a minute wherever tests have been built.
#[test]
fn a_sandbox_begins_now() {
    let scratch = Scratch::new();
    let script = format!("{SECONDS}; echo $(( $(cut -d' ' -f22 /proc/1/stat) / 100 ))");
    let output = run(&scratch, "kernel", &debian(&["sh", "-c", &script]));
    let numbers: Vec<u64> = output.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers.iter().all(|seconds| *seconds < 60), "{output}");
}

#[test]
fn moved_clocks_agree_and_keep_time() {
    let scratch = Scratch::new();
    let offsets = json!({"monotonic": {"secs": 3_000_000, "nanosecs": 5}, "boottime": {"secs": 40_000_000}});
    let said = ["native", "kernel"].map(|class| {
        let bundle = moved(debian(&["sh", "-c", &format!("{SECONDS} >&2; exec /conformance/clocks")]), &offsets);
        install(&["clocks"], &bundle.rootfs());
        let output = run(&scratch, class, &bundle);
        let uptime: u64 = output.stderr.trim().parse().unwrap_or_default();
        assert!(output.code == 0 && uptime >= 40_000_000, "{output}");
        // What native adds to is the host's.
        assert!(class == "native" || uptime < 40_000_060, "{output}");
        output.stdout
    });
    assert_eq!(said[1], said[0], "class kernel, then class native");
}

#[test]
fn clocks_that_cannot_be_are_refused() {
    let scratch = Scratch::new();
    let check = |class: &str, bundle: Bundle, expected: &str| {
        let output = run(&scratch, class, &bundle);
        assert!(output.code != 0 && output.stderr.contains(expected), "{class}: {output}");
    };
    let true_with = |offsets: Value| moved(debian(&["true"]), &offsets);
    for class in ["native", "kernel"] {
        check(class, true_with(json!({"realtime": {"secs": 1}})), "use monotonic or boottime");
        check(class, true_with(json!({"boottime": {"nanosecs": 1_000_000_000}})), "boottime: nanosecs 1000000000");
        let alone = debian(&["true"]).set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}));
        check(class, alone, "timeOffsets need a new time namespace");
    }
    check("kernel", true_with(json!({"monotonic": {"secs": -1}})), "cannot show less");
}
