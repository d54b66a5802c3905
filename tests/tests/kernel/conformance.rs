//! Programs of `tests/conformance` in two classes, and the comparison.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use stockade_tests::CONFORMANCE;

/// Separates the programs' answers; none of them says it.
const MARK: char = '\u{1}';

/// Runs each program that is named in an empty directory of its own, below the directory that comes first.
pub const DRIVER: &str = "top=$1; shift; for n; do mkdir -p $top/$n; cd $top/$n; printf '\\001%s\\n' $n; \
                          timeout 30 /conformance/$n 2>&1 </dev/null; echo \"exit code $?\"; done";

/// Compiles programs to where the driver finds them below a root.
#[track_caller]
pub fn install<S: AsRef<str>>(names: &[S], root: &Path) {
    let directory = root.join("conformance");
    fs::create_dir(&directory).expect("make a directory");
    CONFORMANCE.build(names, &directory);
}

/// Fails with the lines that differ, and with programs that did not end well on Linux.
#[track_caller]
pub fn assert_same<S: AsRef<str>>(names: &[S], native: &str, kernel: &str) {
    let (native, kernel): (Vec<&str>, Vec<&str>) = (native.split(MARK).collect(), kernel.split(MARK).collect());
    let mut report = String::new();
    for (index, name) in names.iter().enumerate() {
        let answer = |all: &[&str]| all.get(index + 1).map_or_else(String::new, ToString::to_string);
        compare(&mut report, name.as_ref(), &answer(&native), &answer(&kernel));
    }
    assert!(report.is_empty(), "classes native (-) and kernel (+) differ:\n{report}");
}

/// Adds to the report what one program said differently.
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
