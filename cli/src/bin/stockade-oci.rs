//! The OCI runtime command line; see `stockade_cli::oci`.
#![forbid(unsafe_code)]

use std::process::exit;

fn main() {
    exit(stockade_cli::oci::main());
}
