//! `stockade`: containers for people.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_cli::verbs::main()
}
