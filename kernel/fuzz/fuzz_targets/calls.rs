//! Any system calls with any arguments, by several programs, with time, signals and failures of the host between: the
//! kernel neither panics nor loops, and its locks are free again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stockade_kernel::testing::random::run(bytes);
});
