//! What the trap path costs, beside the host's own calls in the same run: `cargo run --release --example trap`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write;
use std::process::Command;

use common::{Ending, Kernel, Program};
use stockade_kernel::platform::{Event, HostClock, Machine, Reply};

const SOURCE: &str = include_str!("trap.c");

fn main() {
    let rounds = std::env::args().nth(1).map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    let program = Program::build(SOURCE);
    for _ in 0..rounds {
        let native = figures(&run_native(&program));
        let ours = figures(&run_ours(&program));
        print(&native, &ours);
    }
}

fn print(native: &[(String, f64)], ours: &[(String, f64)]) {
    let mut out = std::io::stdout().lock();
    let rows = native.iter().zip(ours);
    let head = writeln!(out, "{:32} {:>10} {:>10} {:>7}", "µs", "native", "ours", "ratio");
    let written = rows.fold(head, |_, ((name, native), (_, ours))| {
        writeln!(out, "{name:32} {native:>10.2} {ours:>10.2} {:>7.1}", ours / native)
    });
    written.expect("write to the terminal");
}

fn figures(output: &str) -> Vec<(String, f64)> {
    let figure = |line: &str| {
        let (name, ns) = line.rsplit_once(' ').expect("a name and a number");
        (name.to_owned(), ns.parse::<f64>().expect("a number") / 1000.0)
    };
    output.lines().map(figure).collect()
}

fn run_native(program: &Program) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trap");
    std::fs::write(&path, &program.file).expect("write the program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("make it executable");
    let output = Command::new(&path).output().expect("run the program");
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn run_ours(program: &Program) -> String {
    let kernel = Kernel::with_hook(Box::new(|task, event| match *event {
        // clock_gettime(2): the host's monotonic clock.
        Event::Call { number: 228, arguments: [_, address, ..], .. } => {
            let now = task.kernel.machine.now(HostClock::Monotonic);
            let time = [now.as_secs().to_le_bytes(), u64::from(now.subsec_nanos()).to_le_bytes()].concat();
            task.space.write(address, &time);
            Some(Reply::Value(0))
        }
        Event::Call { number: 61, arguments: [child, ..], .. } => {
            task.kernel.wait_id(child);
            Some(Reply::Value(child.cast_signed()))
        }
        _ => None,
    }));
    let task = kernel.spawn(program);
    assert_eq!(kernel.wait(&task), Ending::Code(0));
    kernel.output()
}
