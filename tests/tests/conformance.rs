//! The programs of `tests/conformance`, one per call family, say the same on Linux (class `native`, without its filter
//! of system calls) and on Stockade's own kernel.

mod kernel;

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::PATIENCE;
use stockade_tests::{Scratch, rootfs, workspace_root};

const IMAGE: &str = "localhost/conformance:latest";

/// Separates the programs' answers; none of them says it.
const MARK: char = '\u{1}';

/// Each program that is named runs in an empty directory of its own.
const DRIVER: &str = "for n; do mkdir -p /tmp/$n; cd /tmp/$n; printf '\\001%s\\n' $n; \
                      timeout 30 /conformance/$n 2>&1 </dev/null; echo \"exit code $?\"; done";

/// Programs wait for what happens elsewhere, and a busy machine may keep it waiting longer: a difference counts when it
/// shows as often as this.
const ATTEMPTS: usize = 3;

#[test]
fn programs_say_the_same_on_linux_and_in_class_kernel() {
    let scratch = Scratch::new();
    let root = scratch.path("image");
    let names = build(&root);
    scratch.stockade(&["image", "import", "--change", "ENV PATH=/bin", &root.display().to_string(), IMAGE]).ok();
    let (mut different, mut report) = (names, String::new());
    for attempt in 1..=ATTEMPTS {
        (different, report) = differences(&scratch, &different);
        eprintln!("attempt {attempt}: {} differ\n{report}", different.len());
        if different.is_empty() {
            break;
        }
    }
    assert!(different.is_empty(), "classes native (-) and kernel (+) differ:\n{report}");
}

/// Runs programs in both classes; those that differ, and how.
fn differences(scratch: &Scratch, names: &[String]) -> (Vec<String>, String) {
    let (native, kernel) = (run(scratch, "native", names), run(scratch, "kernel", names));
    let (native, kernel): (Vec<_>, Vec<_>) = (native.split(MARK).collect(), kernel.split(MARK).collect());
    let (mut different, mut report) = (Vec::new(), String::new());
    for (index, name) in names.iter().enumerate() {
        let answer = |all: &[&str]| all.get(index + 1).map_or_else(String::new, ToString::to_string);
        let before = report.len();
        compare(&mut report, name, &answer(&native), &answer(&kernel));
        if report.len() > before {
            different.push(name.clone());
        }
    }
    (different, report)
}

/// Compiles all programs into a copy of the smallest root file system, and names them in order.
fn build(root: &Path) -> Vec<String> {
    run_command(Command::new("cp").arg("-a").arg(rootfs("busybox")).arg(root));
    let programs = root.join("conformance");
    fs::create_dir_all(&programs).expect("make a directory");
    let sources = sources();
    let mut compilers: Vec<_> = sources.iter().map(|source| compiler(source, &programs)).collect();
    let mut children: Vec<_> = compilers.iter_mut().map(|command| command.spawn().expect("start cc")).collect();
    for (child, source) in children.iter_mut().zip(&sources) {
        assert!(child.wait().expect("wait for cc").success(), "compile {}", source.display());
    }
    sources.iter().map(|source| stem(source)).collect()
}

fn sources() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace_root().join("tests/conformance")).expect("list the programs").flatten();
    let mut sources: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension() == Some(OsStr::new("c"))).collect();
    sources.sort();
    assert!(!sources.is_empty(), "programs of conformance");
    sources
}

fn stem(source: &Path) -> String {
    source.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn compiler(source: &Path, programs: &Path) -> Command {
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-Werror", "-static", "-pthread", "-o"]).arg(programs.join(stem(source))).arg(source);
    command
}

#[track_caller]
fn run_command(command: &mut Command) {
    assert!(command.status().expect("start a command").success(), "{command:?}");
}

fn run(scratch: &Scratch, class: &str, names: &[String]) -> String {
    let flags = ["run", "--rm", "-h", "box", "--isolation", class, "--cap-add", "ALL"];
    let all = [&flags[..], &["--security-opt", "seccomp=unconfined", IMAGE, "sh", "-c", DRIVER]].concat();
    scratch.stockade(&all).arg("sh").args(names).timeout(PATIENCE * 10).ok().stdout
}

/// Adds to the report the lines that differ, and a program that did not end well on Linux.
fn compare(report: &mut String, name: &str, native: &str, kernel: &str) {
    if !native.ends_with("exit code 0\n") {
        writeln!(report, "{name}: class native ends with {:?}", native.lines().last()).expect("write to memory");
    }
    let (native, kernel): (Vec<_>, Vec<_>) = (native.lines().collect(), kernel.lines().collect());
    for index in 0..native.len().max(kernel.len()) {
        let (native, kernel) = (native.get(index), kernel.get(index));
        if native != kernel {
            let line = |line: Option<&&str>| line.map_or("nothing", |line| *line).to_owned();
            writeln!(report, "{name}:{index}\n- {}\n+ {}", line(native), line(kernel)).expect("write to memory");
        }
    }
}
