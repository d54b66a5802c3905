//! Builds the stub program with the compiler that builds this crate: freestanding, at a fixed address, and embedded as
//! bytes. Plain `rustc`: a cargo inside of cargo would wait for its own lock.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Inside the reserved range of `stockade_kernel_stub::abi`, away from the slots, the stack and the vDSO.
const IMAGE_BASE: &str = "0x7ff000000000";

fn main() {
    let stub = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../stub");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", stub.display());
    let library = out.join("libstockade_kernel_stub.rlib");
    compile(&["--crate-type=rlib", "--crate-name=stockade_kernel_stub"], &stub.join("src/lib.rs"), &library);
    let link = format!("link-arg=-Wl,--image-base={IMAGE_BASE},--build-id=none,-z,norelro,--gc-sections");
    let extern_library = format!("--extern=stockade_kernel_stub={}", library.display());
    let program = [
        &["--crate-type=bin", "--crate-name=stub", &extern_library][..],
        &["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static", "-Clink-arg=-no-pie"],
        &["-C", &link, "-Cdefault-linker-libraries=no", "-Cstrip=symbols"],
    ];
    compile(&program.concat(), &stub.join("program/main.rs"), &out.join("stub"));
}

fn compile(arguments: &[&str], source: &Path, output: &Path) {
    let mut command = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    command.args(["--edition=2024", "--target=x86_64-unknown-linux-gnu", "-Copt-level=s", "-Cpanic=abort"]);
    // Position-independent code reaches what lies above 2 GiB; the link makes it a program at one address again.
    command.args(["-Crelocation-model=pic", "-Cdebuginfo=0", "-Coverflow-checks=off", "-Cforce-unwind-tables=no"]);
    // Coverage and sanitizers of the outer build have no run time in here.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.args(arguments).arg(source).arg("-o").arg(output).status().expect("run rustc");
    assert!(status.success(), "rustc could not build {}", source.display());
}
