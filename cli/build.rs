//! Links the static binaries at a fixed address. A static-pie program relocates itself at every start, which costs each
//! supervisor 350 KiB of private memory and each start some hundred page faults. Stack, heap and mappings stay random.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // The compiler asks the linker for -static-pie; the last word counts.
        println!("cargo::rustc-link-arg-bins=-static");
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
