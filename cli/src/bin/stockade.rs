//! `stockade`: containers for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_cli::verbs::main()
}
