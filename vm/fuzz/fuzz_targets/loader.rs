//! Any file as a kernel: it is refused, or its entry lies where a processor can begin.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use stockade_vmm::boot::{self, Source};
use stockade_vmm::hypervisor::DirtyLog;
use stockade_vmm::memory;

fuzz_target!(|bytes: &[u8]| {
    let memory = memory::anonymous(4, DirtyLog::Off).expect("memory");
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(bytes).expect("write");
    let _ = boot::load(&memory, &mut Source { kernel: &mut file, initrd: None, command_line: "quiet" });
});
