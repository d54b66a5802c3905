//! Any state file: it is refused, or what it says is written again as the same. Half of the inputs come in a good
//! envelope, since no mutation finds its sum; and what devices were is put into new ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_vmm::config::VmConfig;
use stockade_vmm::snapshot::{State, format};

fuzz_target!(|bytes: &[u8]| {
    let _ = State::decode(bytes);
    let Ok(state) = State::decode(&format::seal(bytes)) else { return };
    let _ = state.config(VmConfig::of_given_files());
    let _ = state.try_devices();
    let again = state.encode().expect("what was read can be written");
    let twice = State::decode(&again).expect("and read").encode().expect("and written");
    assert!(again == twice, "a state changes when it is copied");
});
