//! Python's own tests in both classes, compared test by test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::thread;
use std::time::Duration;

use super::{Kernel, WORKLOADS, exceptions};

/// Puts the runner into the container and runs it.
const START: &str = "cat >/tmp/python_tests.py && exec python3 /tmp/python_tests.py \"$@\" </dev/null";

/// How a run is bounded.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Suites at a time, in each class.
    pub jobs: usize,
    /// Seconds for one suite.
    pub suite: u64,
    /// For all of them.
    pub all: Duration,
}

/// How one test ended.
struct Ended {
    outcome: String,
    seconds: f64,
}

/// What one run of suites left.
struct Report {
    tests: BTreeMap<String, Ended>,
    suites: BTreeMap<String, String>,
    said: String,
}

/// Every test of these suites that passes in class `native` passes in class `kernel`, or is an exception. What fails
/// beside other tests is tried once more by itself, in both classes.
#[track_caller]
pub fn same(suites: &[&str], bounds: Bounds) {
    let kernel = Kernel::shared(WORKLOADS);
    let suites: Vec<String> = suites.iter().map(ToString::to_string).collect();
    let (native, ours) = both(&kernel, &suites, bounds);
    let passed = native.passed();
    assert!(passed.len() >= suites.len(), "class native passes too few tests:\n{}", native.said);
    let mut failed: BTreeSet<String> = passed.difference(&ours.passed()).cloned().collect();
    let mut said = String::new();
    if !failed.is_empty() {
        let again = again(&failed);
        let (native, ours) = both(&kernel, &again, Bounds { jobs: 1, ..bounds });
        failed = native.passed().difference(&ours.passed()).cloned().collect();
        said = ours.said;
    }
    eprintln!("{}{said}", summary(&native, &ours, &failed));
    exceptions::check("python", &passed, &failed);
}

fn both(kernel: &Kernel, suites: &[String], bounds: Bounds) -> (Report, Report) {
    thread::scope(|scope| {
        let native = scope.spawn(|| run(kernel, "native", suites, bounds));
        let ours = run(kernel, "kernel", suites, bounds);
        (native.join().expect("run in class native"), ours)
    })
}

fn run(kernel: &Kernel, class: &str, suites: &[String], bounds: Bounds) -> Report {
    let (jobs, seconds) = (bounds.jobs.to_string(), bounds.suite.to_string());
    let command: Vec<&str> =
        ["sh", "-c", START, "sh", &jobs, &seconds].into_iter().chain(suites.iter().map(String::as_str)).collect();
    let running = kernel.run_in(class, &["--rm", "-i"], &command).input(include_str!("python_tests.py"));
    let output = running.timeout(bounds.all).ok();
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let mut report = Report { tests: BTreeMap::new(), suites: BTreeMap::new(), said: output.stderr };
    lines.iter().for_each(|line| report.add(line));
    let all = suites.iter().all(|suite| report.suites.contains_key(name(suite)));
    assert!(all, "class {class} ran {} of {} suites:\n{}", report.suites.len(), suites.len(), report.said);
    report
}

impl Report {
    fn add(&mut self, line: &[&str]) {
        match line {
            ["test", suite, test, outcome, seconds] => {
                let seconds = seconds.parse().expect("seconds of a test");
                let ended = self.tests.entry(format!("{suite} {test}"));
                let ended = ended.or_insert_with(|| Ended { outcome: "ok".to_owned(), seconds });
                if *outcome != "ok" {
                    ended.outcome = (*outcome).to_owned();
                }
            }
            ["suite", suite, status, seconds] => {
                self.suites.insert((*suite).to_owned(), format!("{status} after {seconds} s"));
            }
            _ => panic!("the runner says {line:?}"),
        }
    }

    fn passed(&self) -> BTreeSet<String> {
        self.tests.iter().filter(|(_, ended)| ended.outcome == "ok").map(|(test, _)| test.clone()).collect()
    }
}

/// A suite without its patterns.
fn name(suite: &str) -> &str {
    suite.split('=').next().unwrap_or(suite)
}

/// The suites of these tests, with the tests as patterns.
fn again(tests: &BTreeSet<String>) -> Vec<String> {
    let mut suites: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in tests {
        let (suite, test) = test.split_once(' ').expect("a suite and a test");
        suites.entry(suite).or_default().push(test);
    }
    suites.into_iter().map(|(suite, tests)| format!("{suite}={}", tests.join(","))).collect()
}

fn summary(native: &Report, ours: &Report, failed: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for (suite, status) in &native.suites {
        let here = ours.suites.get(suite).map_or("missing", String::as_str);
        writeln!(text, "{suite}: native {status}, kernel {here}").expect("write to memory");
    }
    for (test, ended) in &ours.tests {
        let there = native.tests.get(test).map_or(0.0, |ended| ended.seconds);
        if ended.seconds > 1.0 && ended.seconds > 5.0 * there {
            writeln!(text, "slow: {test}: native {there} s, kernel {} s", ended.seconds).expect("write to memory");
        }
    }
    let (passed, all) = (native.passed(), native.tests.len());
    let now = ours.passed().intersection(&passed).count();
    writeln!(text, "native passes {} of {all}, kernel {now} of these; {failed:#?}", passed.len())
        .expect("write to memory");
    text
}
