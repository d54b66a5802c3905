//! The benchmark program (xtask/bench-programs), and where it runs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stockade_tests::{Cmd, Scratch, workspace_root};

use super::super::containers::Oci;
use super::{KERNEL, NATIVE, RUNSC};
use crate::sh;

const IMAGE: &str = "localhost/bench:latest";
/// The program in containers.
const INSIDE: &str = "/bin/bench";
/// gVisor takes some operations slowly.
const PATIENCE: Duration = Duration::from_secs(180);

/// The program, and all that is needed to run it by each contender.
pub struct Stand {
    scratch: Scratch,
    program: PathBuf,
}

/// One line of the program's output.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// Microseconds for each operation.
    pub median_us: f64,
}

impl Stand {
    /// Builds the program and an image with it.
    pub fn new() -> Result<Self> {
        let scratch = Scratch::new();
        let program = scratch.path("bench");
        sh::check(&mut compiler(&program)?)?;
        let stand = Self { scratch, program };
        let bundle = stand.bundle(&[])?;
        let rootfs = bundle.rootfs().display().to_string();
        stand.scratch.stockade(&["image", "import", &rootfs, IMAGE]).ok();
        Ok(stand)
    }

    /// Runs the program with these options by a contender.
    pub fn run(&self, who: &str, options: &[&str]) -> Result<Vec<Line>> {
        let command = match who {
            NATIVE => self.native(options)?,
            KERNEL => self.scratch.stockade(&["run", "--rm", "--isolation", "kernel", IMAGE, INSIDE]).args(options),
            RUNSC => return self.run_runsc(options),
            other => bail!("no contender {other:?}"),
        };
        read(&command.timeout(PATIENCE).ok().stdout)
    }

    fn native(&self, options: &[&str]) -> Result<Cmd> {
        let dir = self.scratch.path("work");
        fs::create_dir_all(&dir)?;
        Ok(Cmd::new(&self.program).args(options).cwd(dir))
    }

    fn run_runsc(&self, options: &[&str]) -> Result<Vec<Line>> {
        let bundle = self.bundle(options)?;
        let runsc = Oci::runsc(&self.scratch);
        let id = self.scratch.id("calls");
        read(&runsc.command(["run", &id]).cwd(bundle.path()).timeout(PATIENCE).ok().stdout)
    }

    fn bundle(&self, options: &[&str]) -> Result<stockade_tests::Bundle> {
        let bundle = self.scratch.bundle(&[&[INSIDE], options].concat());
        fs::copy(&self.program, bundle.rootfs().join(&INSIDE[1..])).context("put the program into a root")?;
        Ok(bundle)
    }
}

fn compiler(to: &std::path::Path) -> Result<std::process::Command> {
    let folder = workspace_root().join("xtask/bench-programs");
    let mut command = sh::cmd("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o"]);
    command.arg(to);
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            command.arg(path);
        }
    }
    Ok(command)
}

fn read(output: &str) -> Result<Vec<Line>> {
    output.lines().map(|line| read_line(line).with_context(|| format!("the program printed {line:?}"))).collect()
}

fn read_line(line: &str) -> Option<Line> {
    let (what, numbers) = line.split_once('\t')?;
    let median_us = numbers.split('\t').next()?.parse().ok()?;
    Some(Line { what: what.to_owned(), median_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let expected = Line { what: "open+close".to_owned(), median_us: 1.25 };
        assert_eq!(read("open+close\t1.2500\t1.0000\n").expect("a line"), [expected]);
        assert!(read("nonsense\n").is_err());
    }
}
