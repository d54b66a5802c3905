//! `cargo xtask demo`: what a newcomer runs first.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use stockade_tests::{Bundle, Registry, Scratch, fixtures_dir};

use crate::build;
use crate::setup::{self, Scope};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Use the binaries in this directory instead of building.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
}

/// Sets up, builds, and shows each of the two binaries at work; whatever fails, the demonstration fails.
pub fn run(options: &Options) -> Result<()> {
    say("Packages and test images (nothing to do the second time)");
    setup::run(Scope::Demo)?;
    say("Static release binaries (a few minutes the first time)");
    let binaries = options.bin_dir.clone().map_or_else(build::release, Ok)?;
    let scratch = Scratch::with_binaries(binaries.clone());
    let stage = Stage { binaries, scratch: &scratch };
    let registry = Registry::start();
    pull(&stage, &registry)?;
    run_image(&stage, &registry.reference("debian:bookworm"))?;
    live_in_background(&stage, &registry.reference("debian:bookworm"))?;
    run_bundle(&stage)?;
    say("Nothing is left: no process, no mount, no control group");
    drop(scratch);
    println!("The demonstration is over. All of its files were in temporary directories and are gone.");
    Ok(())
}

fn pull(stage: &Stage, registry: &Registry) -> Result<()> {
    say(
        "A registry on loopback serves a Debian image that set-up built with debootstrap. Pull it: layers become EROFS as they arrive",
    );
    let image = registry.reference("debian:bookworm");
    stage.show("stockade", &["pull", &image])?;
    stage.show("stockade", &["images"])
}

fn run_image(stage: &Stage, image: &str) -> Result<()> {
    say("Run it, in class native");
    stage.show("stockade", &["run", "--rm", image, "cat", "/etc/os-release"])?;
    say("It sees its own host name, processes, devices and (no) network");
    let look = "hostname; id; ls /proc | grep -c '^[0-9]'; ls /dev; ls /sys/class/net; grep -E '^(CapEff|Seccomp):' /proc/self/status";
    stage.show("stockade", &["run", "--rm", "--hostname", "inside", image, "sh", "-c", look])?;
    say("Limits hold: a process that wants more than 32 MiB is killed, and the exit status says so (137)");
    let hungry = ["run", "--rm", "--memory", "32m", "--memory-swap", "32m", image, "tail", "/dev/zero"];
    stage.expect(137, "stockade", &hungry)?;
    say("The same image in class kernel: every system call is served by Stockade's own kernel in a jailed process");
    let look = "uname -r; cat /proc/version; nproc; cat /sys/fs/cgroup/memory.max; ls / | wc -l";
    let kernel = ["run", "--rm", "--isolation", "kernel", "--memory", "256m", "--cpus", "1", image, "sh", "-c", look];
    stage.show("stockade", &kernel)?;
    say("Class vm needs a guest kernel; what is missing is said, and no other class stands in (exit status 125)");
    stage.expect(125, "stockade", &["run", "--rm", "--isolation", "vm", image, "true"])?;
    run_in_machine(stage, image)
}

/// On this machine where its KVM runs guests, else in the lab, which has this machine's files.
fn run_in_machine(stage: &Stage, image: &str) -> Result<()> {
    setup::lab()?;
    let kernel = fixtures_dir().join("lab/kernel");
    let [modules, kernel] = ["modules", "vmlinux"].map(|name| kernel.join(name).display().to_string());
    stage.show("stockade", &["vm", "kernel", "import", "--modules", &modules, &kernel])?;
    stage.show("stockade", &["vm", "kernel", "ls"])?;
    let look = "uname -r; nproc; cat /sys/fs/cgroup/memory.max; cat /etc/hostname; ls / | wc -l";
    let vm = ["run", "--rm", "--isolation", "vm", "--memory", "128m", image, "sh", "-c", look];
    let classes = stage.command("stockade", &["info"]).output().context("start stockade")?;
    if String::from_utf8_lossy(&classes.stdout).contains("vm: available") {
        say("The same image in class vm: a Linux guest on Stockade's own virtual machine monitor");
        return stage.show("stockade", &vm);
    }
    say("The same image in class vm, in the lab: this machine's KVM runs no guests (`stockade info` says why)");
    stage.show_in_lab("stockade", &vm)
}

fn live_in_background(stage: &Stage, image: &str) -> Result<()> {
    say("A container in the background, with limits that change while it runs");
    let script = "echo up; trap 'echo down; exit 0' TERM; while :; do sleep 0.1; done";
    stage.show(
        "stockade",
        &["run", "-d", "--name", "web", "--cpus", "0.5", "--pids-limit", "50", image, "sh", "-c", script],
    )?;
    stage.show("stockade", &["ps"])?;
    stage.show("stockade", &["exec", "web", "sh", "-c", "echo more, from inside; ps 2>/dev/null | head -3; true"])?;
    stage.show("stockade", &["update", "--memory", "64m", "--memory-swap", "64m", "web"])?;
    stage.show("stockade", &["stats", "--no-stream", "web"])?;
    stage.show("stockade", &["stop", "web"])?;
    stage.show("stockade", &["logs", "web"])?;
    stage.show("stockade", &["rm", "web"])
}

fn run_bundle(stage: &Stage) -> Result<()> {
    say("In runc's place: any OCI bundle, no daemon, nothing of ours stays behind");
    let bundle = Bundle::busybox(&["sh", "-c", "echo from a bundle, as process $$ of $(hostname)"]);
    let root = stage.scratch.oci_root().display().to_string();
    let path = bundle.path().display().to_string();
    stage.show("stockade-oci", &["--root", &root, "run", "--bundle", &path, "demo"])
}

/// Where the binaries and their private directories are.
struct Stage<'a> {
    binaries: PathBuf,
    scratch: &'a Scratch,
}

impl Stage<'_> {
    /// Echoes a command as a person would type it, runs it, and wants status 0.
    fn show(&self, program: &str, args: &[&str]) -> Result<()> {
        self.expect(0, program, args)
    }

    /// Runs a command in the lab, with the same images; what it writes goes with the lab. QEMU delivers an interrupt of
    /// a nested guest twice now and then, of which some guests die (docs/vm-hosts.md): then once more, in another lab.
    fn show_in_lab(&self, program: &str, args: &[&str]) -> Result<()> {
        if self.run_in_lab(program, args)? {
            return Ok(());
        }
        say("That failed. The lab's emulated processor loses a guest now and then (docs/vm-hosts.md): once more");
        match self.run_in_lab(program, args)? {
            true => Ok(()),
            false => bail!("{program} {} failed in the lab, twice", args.join(" ")),
        }
    }

    /// Whether it succeeds.
    fn run_in_lab(&self, program: &str, args: &[&str]) -> Result<bool> {
        println!("\n# {program} {}", args.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        let mut lab = Command::new(env::current_exe().context("find this program")?);
        lab.args(["lab", "run", "--cpus", "1", "--", "env"]);
        lab.arg(format!("STOCKADE_ROOT={}", self.scratch.root().display()));
        lab.arg("STOCKADE_STATE=/run/stockade-demo").arg(self.binaries.join(program)).args(args);
        Ok(lab.status().context("start the lab")?.success())
    }

    /// The same, wanting another status.
    fn expect(&self, code: i32, program: &str, args: &[&str]) -> Result<()> {
        println!("\n# {program} {}", args.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        let status = self.command(program, args).status().with_context(|| format!("start {program}"))?;
        match status.code() {
            Some(found) if found == code => Ok(()),
            _ => bail!("{program} {} ended with {status}, not with {code}", args.join(" ")),
        }
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.args(args).env_remove("STOCKADE_CONFIG");
        command.env("STOCKADE_ROOT", self.scratch.root()).env("STOCKADE_STATE", self.scratch.state());
        command
    }
}

fn say(what: &str) {
    println!("\n== {what}");
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_needs_it() {
        let check = |word, expected: &str| assert_eq!(quoted(word), expected);
        check("127.0.0.1:5000/debian", "127.0.0.1:5000/debian");
        check("echo a; b", "'echo a; b'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }
}
