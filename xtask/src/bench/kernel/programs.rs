//! Whole programs, beside class `native` with the same image.

use std::time::Duration;

use anyhow::{Context, Result};
use stockade_tests::{Scratch, rootfs};

use super::super::Effort;
use super::super::measure::Summary;
use super::super::report::{Report, Row};

const IMAGE: &str = "localhost/workloads:latest";
const PATIENCE: Duration = Duration::from_secs(240);
/// Of each program in each class.
const PASSES: usize = 2;

/// A program: what it needs, and what is measured; both are bash.
struct Program {
    name: &'static str,
    prepare: &'static str,
    measured: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program { name: "1,000 × /bin/true", prepare: "", measured: "for i in {1..1000}; do /bin/true; done" },
    Program {
        name: "git status, 20,000 files",
        prepare:
            "git init -q repo; cd repo; for d in {1..200}; do mkdir d$d; for f in {1..100}; do echo $d $f > d$d/$f;
            done; done; git config gc.auto 0; git config core.fsync none; git add .
            git -c user.name=a -c user.email=a@b commit -qm all",
        measured: "git status --short; git status --short",
    },
    Program {
        name: "a C build",
        prepare:
            "for i in {1..8}; do printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(int n)
            { char b[99]; sprintf(b, \"%%d\", n); return strlen(b) * atoi(b); }\n' $i > f$i.c; done
            echo 'int f1(int); int main(int c, char **v) { (void)v; return f1(c) > 99; }' > main.c
            printf 'CFLAGS = -O2 -Wall\nall: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\t$(CC) -o all $^\n' > Makefile",
        measured: "make -s",
    },
    Program { name: "10 × python3 -c pass", prepare: "", measured: "for i in {1..10}; do python3 -c pass; done" },
    Program {
        name: "20,000 redis GETs, 10 clients",
        prepare: "redis-server --save '' --daemonize yes > log; until redis-cli ping > log 2>&1; do sleep 0.1; done",
        measured: "redis-benchmark -q -t get -n 20000 -c 10 > log",
    },
    Program {
        name: "3,000 sqlite inserts, WAL",
        prepare: "{ echo 'pragma journal_mode=wal; create table t(a integer primary key, b text);'
            for i in {1..3000}; do echo \"insert into t(b) values('value $i');\"; done; } > inserts",
        measured: "sqlite3 db < inserts > log",
    },
];

/// Each program in both classes, turn about.
pub fn run(_: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let root = rootfs("workloads").display().to_string();
    scratch.stockade(&["image", "import", "--change", path, &root, IMAGE]).timeout(PATIENCE).ok();
    let mut rows = Vec::new();
    for program in PROGRAMS {
        let mut values = [Vec::new(), Vec::new()];
        for pass in 0..PASSES {
            for turn in 0..2 {
                let index = (pass + turn) % 2;
                values[index].push(program.run(&scratch, ["native", "kernel"][index])?);
            }
        }
        let [native, kernel] = values.map(Summary::of);
        rows.push(Row { name: format!("native: {}", program.name), summary: native });
        rows.push(Row { name: format!("kernel: {}", program.name), summary: kernel });
    }
    let report = Report::of_rows("whole programs, beside class native", "ms", rows).side_by_side();
    Ok(PROGRAMS.iter().fold(report, |report, Program { name, .. }| {
        report.compare(&format!("kernel: {name}"), &format!("native: {name}"), None)
    }))
}

impl Program {
    /// Milliseconds that the measured part takes; the last line that is printed says it in microseconds.
    fn run(&self, scratch: &Scratch, class: &str) -> Result<f64> {
        let Self { name, prepare, measured } = self;
        let clock = "${EPOCHREALTIME/./}";
        let script = format!(
            "set -e; mkdir /tmp/work; cd /tmp/work; {prepare}\nstart={clock}; {measured}\nend={clock}
             echo; echo $((end - start))"
        );
        // The kernel class writes to memory, so the other does too.
        let options = ["--rm", "--isolation", class, "--tmpfs", "/tmp:size=1g,mode=1777"];
        let command = [&["run"], &options[..], &[IMAGE, "bash", "-c", &script]].concat();
        let output = scratch.stockade(&command).timeout(PATIENCE).ok();
        let last = output.out().lines().last().unwrap_or_default();
        let microseconds: f64 = last.parse().with_context(|| format!("{name} printed {last:?}"))?;
        Ok(microseconds / 1e3)
    }
}
