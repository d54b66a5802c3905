//! A processor's thread.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use vmm_sys_util::signal::Killable;

use super::Outcome;
use super::control::Order;
use super::platform::Platform;
use crate::hypervisor::{Exit, Vcpu, kick_signal};
use crate::seccomp::{Filters, Role};

/// A processor and the thread that runs it. The thread holds the lock while it runs guest code and gives it away while
/// it stands still.
pub struct VcpuThread {
    vcpu: Arc<Mutex<Box<dyn Vcpu>>>,
    thread: JoinHandle<()>,
}

impl VcpuThread {
    /// Starts a thread, which stands still until the control says otherwise.
    pub fn start(index: u8, vcpu: Box<dyn Vcpu>, platform: Arc<Platform>, filters: Filters) -> io::Result<Self> {
        let vcpu = Arc::new(Mutex::new(vcpu));
        let shared = vcpu.clone();
        let thread = thread::Builder::new().name(format!("vcpu {index}")).spawn(move || {
            if platform.control.confine(Role::Vcpu, filters) {
                run(&shared, &platform);
            }
        })?;
        Ok(VcpuThread { vcpu, thread })
    }

    /// Brings the processor back from the guest, so that it looks at the control.
    pub fn kick(&self) {
        if let Err(error) = self.thread.kill(kick_signal()) {
            // Its thread has ended.
            tracing::trace!("kick: {error}");
        }
    }

    /// The processor, once it stands still.
    pub fn vcpu(&self) -> MutexGuard<'_, Box<dyn Vcpu>> {
        lock(&self.vcpu)
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a processor's thread panicked");
        }
    }
}

fn lock(vcpu: &Mutex<Box<dyn Vcpu>>) -> MutexGuard<'_, Box<dyn Vcpu>> {
    vcpu.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(vcpu: &Mutex<Box<dyn Vcpu>>, platform: &Platform) {
    loop {
        match platform.control.order() {
            Order::Run => {
                let vcpu = &mut lock(vcpu);
                run_until_told(vcpu, platform);
                settle(vcpu, platform);
            }
            Order::Pause => {
                platform.control.wait_while_paused();
            }
            Order::End => return,
        }
    }
}

fn run_until_told(vcpu: &mut Box<dyn Vcpu>, platform: &Platform) {
    while platform.control.order() == Order::Run {
        match vcpu.run(platform) {
            Ok(Exit::Handled) => {}
            Ok(Exit::Interrupted) => platform.statistics.count_interrupted(),
            Ok(Exit::Reset) => platform.control.end(Outcome::Reset),
            Err(error) => platform.control.end(Outcome::Failed(error.to_string())),
        }
    }
}

/// Leaves the processor between two instructions, where its state can be told.
fn settle(vcpu: &mut Box<dyn Vcpu>, platform: &Platform) {
    if platform.control.order() != Order::Pause {
        return;
    }
    match vcpu.settle(platform) {
        Ok(Exit::Handled | Exit::Interrupted) => {}
        Ok(Exit::Reset) => platform.control.end(Outcome::Reset),
        Err(error) => platform.control.end(Outcome::Failed(error.to_string())),
    }
}
