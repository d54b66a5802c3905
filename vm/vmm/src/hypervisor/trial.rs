//! A guest of ten instructions, run in every machine before its real one: does this hypervisor run privileged code?
//!
//! Some devices that call themselves KVM interpret a guest's privileged code in software, instruction by instruction,
//! and lack what Linux uses there. The trial has such instructions, and a limit of time in case nothing comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::signal::Killable;

use super::kvm::Kvm;
use super::{Bus, DirtyLog, Entry, Error, Exit, Topology, Vcpu, kick_signal};
use crate::memory::{self, Memory};

/// Below everything that a boot writes.
const CODE: u64 = 0x1000;
/// Emulated code shows at once; this is for a device that never comes back, and generous for hosts that are busy.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a processor may take to come back once it was told to.
const GRACE: Duration = Duration::from_millis(200);
const PORT: u16 = 0x80;
const WORD: u8 = 0x5a;

/// In 64-bit mode:
///
/// ```text
/// mov esi, 0x2000
/// fxsave64 [rsi];  fxrstor64 [rsi]
/// lock cmpxchg16b [rsi + 0x400]
/// mov rax, cr3;  mov cr3, rax;  invlpg [rsi]
/// mov al, 0x5a;  out 0x80, al
/// hlt
/// ```
const PROGRAM: &[u8] = &[
    0xbe, 0x00, 0x20, 0x00, 0x00, 0x48, 0x0f, 0xae, 0x06, 0x48, 0x0f, 0xae, 0x0e, 0xf0, 0x48, 0x0f, 0xc7, 0x8e, 0x00,
    0x04, 0x00, 0x00, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x0f, 0x01, 0x3e, 0xb0, WORD, 0xe6, 0x80, 0xf4,
];

/// Whether this host runs guests, shown by one; or why it does not.
pub fn of_host() -> Result<(), Error> {
    let log = DirtyLog::Off;
    let refused = |error: memory::Error| Error::Refused { what: "map memory", source: std::io::Error::other(error) };
    let memory = memory::anonymous(2, log).map_err(refused)?;
    let mut vm = Kvm::open()?.create_vm()?;
    vm.map_memory(&memory, log)?;
    run(vm.create_vcpu(0, Some(Topology::cores(1)))?, &memory).map(drop)
}

/// Runs the trial on the first processor and gives it back, or says why no guest can run.
pub fn run(vcpu: Box<dyn Vcpu>, memory: &Memory) -> Result<Box<dyn Vcpu>, Error> {
    let written = memory.write_slice(PROGRAM, GuestAddress(CODE));
    written.map_err(|error| Error::Refused { what: "write a trial guest", source: std::io::Error::other(error) })?;
    // The zero page's place is taken for nothing: this guest reads none.
    vcpu.set_entry(Entry::Long { address: CODE, zero_page: 0 }, memory)?;
    let (done, result) = channel();
    let thread = thread::Builder::new().name("trial".into()).spawn(move || attempt(vcpu, &done));
    let thread = thread.map_err(|source| Error::Refused { what: "start a thread for a trial guest", source })?;
    match result.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => Err(Error::Emulated("the trial guest's thread ended".into())),
        Err(RecvTimeoutError::Timeout) => {
            // If it does not even come back from a signal, it is left to itself: the process will end soon.
            if thread.kill(kick_signal()).is_ok() {
                let _ = result.recv_timeout(GRACE);
            }
            Err(Error::Stalled(LIMIT.as_millis()))
        }
    }
}

#[derive(Default)]
struct Witness {
    seen: AtomicBool,
}

impl Bus for Witness {
    fn port_read(&self, _: u16, _: &mut [u8]) {}

    fn port_write(&self, port: u16, data: &[u8]) {
        if (port, data) == (PORT, &[WORD]) {
            self.seen.store(true, Ordering::Relaxed);
        }
    }

    fn mmio_read(&self, _: u64, _: &mut [u8]) {}

    fn mmio_write(&self, _: u64, _: &[u8]) {}
}

fn attempt(mut vcpu: Box<dyn Vcpu>, done: &Sender<Result<Box<dyn Vcpu>, Error>>) {
    let outcome = outcome(vcpu.as_mut());
    // Nobody listens any more after the limit, and then the answer is known.
    let _ = done.send(outcome.map(|()| vcpu));
}

fn outcome(vcpu: &mut dyn Vcpu) -> Result<(), Error> {
    let witness = Witness::default();
    loop {
        let exit = vcpu.run(&witness);
        if witness.seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        match exit {
            Ok(Exit::Handled) => {}
            Ok(Exit::Interrupted) => return Err(Error::Stalled(LIMIT.as_millis())),
            Ok(Exit::Reset) => return Err(Error::Emulated("a trial guest ended in a triple fault".into())),
            Err(Error::Broken { reason, .. }) => return Err(Error::Emulated(reason)),
            Err(other) => return Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_kvm_runs_guests_or_is_named() {
        // Whatever the machine that tests run on has: never a hang, never a raw errno.
        match of_host() {
            Ok(()) | Err(Error::Absent | Error::Permission | Error::Emulated(_) | Error::Capability(_)) => {}
            Err(other) => panic!("not recognised: {other}"),
        }
    }
}
