//! `cargo xtask fuzz`: libFuzzer on stable Rust.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use stockade_tests::workspace_root;

use crate::{build, sh};

/// Where fuzz targets are: each folder is a workspace of its own, so that these flags reach nothing else.
const FOLDERS: &[&str] = &["erofs/fuzz", "image/fuzz", "kernel/fuzz", "vm/fuzz"];

/// What cargo-fuzz passes, less the sanitizers, which need a nightly compiler: LLVM's coverage pass (its documentation,
/// "SanitizerCoverage"), and the checks of a debug build.
const FLAGS: &[&str] = &[
    "--cfg fuzzing",
    "-C passes=sancov-module",
    "-C llvm-args=-sanitizer-coverage-level=4",
    "-C llvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-C llvm-args=-sanitizer-coverage-pc-table",
    "-C llvm-args=-sanitizer-coverage-trace-compares",
    "-C codegen-units=1",
    "-C debug-assertions",
    "-C overflow-checks",
];

/// Options of `fuzz`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only targets whose name, FOLDER/TARGET, contains this.
    filter: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Run only the corpora in the tree, once.
    #[arg(long)]
    replay: bool,
}

/// One fuzz target.
#[derive(Clone, Debug)]
struct Target {
    folder: &'static str,
    name: String,
}

/// Builds the targets and runs each for a while; stops at the first finding.
pub fn run(options: &Options) -> Result<()> {
    let all = FOLDERS.iter().map(|folder| targets(folder)).collect::<Result<Vec<_>>>()?.concat();
    let wanted = |target: &&Target| options.filter.as_ref().is_none_or(|filter| target.path().contains(filter));
    let chosen: Vec<&Target> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no such fuzz target: choose from {}", all.iter().map(Target::path).collect::<Vec<_>>().join(", "));
    }
    chosen.into_iter().try_for_each(|target| fuzz(target, options))
}

fn targets(folder: &'static str) -> Result<Vec<Target>> {
    let text = fs::read_to_string(workspace_root().join(folder).join("Cargo.toml"))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("parse {folder}/Cargo.toml"))?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let names = bins.iter().filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(|name| Target { folder, name: name.to_owned() }).collect())
}

fn fuzz(target: &Target, options: &Options) -> Result<()> {
    let program = target.build()?;
    let work = build::target_dir().join("fuzz").join(&target.name);
    fs::create_dir_all(work.join("corpus"))?;
    let mut command = sh::cmd(&program.display().to_string(), ["-rss_limit_mb=2048", "-timeout=20"]);
    command.arg(format!("-artifact_prefix={}/", work.display()));
    if options.replay {
        command.arg("-runs=0");
    } else {
        // New inputs go to the first corpus; the one in the tree is only read.
        command.arg(format!("-max_total_time={}", options.seconds)).arg(work.join("corpus"));
    }
    sh::run(command.arg(target.corpus()))
}

impl Target {
    fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    fn corpus(&self) -> PathBuf {
        workspace_root().join(self.folder).join("corpus").join(&self.name)
    }

    fn build(&self) -> Result<PathBuf> {
        let dir = build::target_dir().join("fuzz-build");
        let words = ["build", "--release", "--target", build::TARGET, "--bin", &self.name, "--manifest-path"];
        let mut cargo = sh::cmd("cargo", words);
        cargo.arg(workspace_root().join(self.folder).join("Cargo.toml"));
        sh::run(cargo.env("RUSTFLAGS", FLAGS.join(" ")).env("CARGO_TARGET_DIR", &dir))?;
        Ok(dir.join(build::TARGET).join("release").join(&self.name))
    }
}
