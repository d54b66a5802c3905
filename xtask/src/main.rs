//! `cargo xtask VERB`: everything a developer or a CI machine does to this tree.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a developer's tool talks on stdout")]

mod bench;
mod build;
mod demo;
mod docs;
mod fuzz;
mod guest_kernel;
mod lab;
mod lint;
mod setup;
mod sh;
mod test;

use clap::{Parser, Subcommand};

/// Set-up, build, tests, lint, demonstration, benchmarks and fuzzing of Stockade.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Xtask {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Install the missing Debian packages and build the test fixtures (both are kept; root only where something is
    /// missing).
    Setup(setup::Options),
    /// Build the static binaries: target/release/{stockade,stockade-oci,stockade-agent}.
    Build(build::Options),
    /// Set up, build, and show Stockade at work on a Debian image from a registry on loopback.
    Demo(demo::Options),
    /// Set up, build, run every test, and check that nothing was left on the machine.
    Test(test::Options),
    /// Measure ours beside its peers; JSON in target/bench, tables on standard output.
    Bench(bench::Options),
    /// Regenerate docs/reference from the binaries.
    Docs(docs::Options),
    /// Fuzz the parsers of foreign bytes, each for a while.
    Fuzz(fuzz::Options),
    /// A virtual machine with a standard /dev/kvm and cgroup v2, on any machine.
    Lab(lab::Options),
    /// Build the kernel of class vm's guests from Debian's sources: ten minutes of a processor, once.
    GuestKernel(guest_kernel::Options),
    /// Check formatting and run clippy, warnings denied.
    Lint,
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse().verb {
        Verb::Setup(options) => setup::verb(&options),
        Verb::Build(options) => build::run(&options),
        Verb::Demo(options) => demo::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Docs(options) => docs::run(&options),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::GuestKernel(options) => guest_kernel::run(&options),
        Verb::Lab(options) => lab::run(&options),
        Verb::Lint => lint::run(),
    }
}
