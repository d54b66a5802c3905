//! A terminal of the host as the far end: a container's console.

use alloc::sync::{Arc, Weak};

use super::{Owner, State, Tty};
use crate::Errno;
use crate::platform::{HostStream, Wake};

/// Bytes read at a time.
const STEP_BYTES: usize = 1024;

/// Passes news of the host on.
#[derive(Debug)]
struct News(Weak<Tty>);

impl Wake for News {
    fn wake(&self) {
        if let Some(tty) = self.0.upgrade() {
            tty.pump();
        }
    }
}

impl Tty {
    /// A terminal whose far end is a raw terminal of the host.
    pub(super) fn console(number: u32, owner: Owner, host: Arc<dyn HostStream>) -> Arc<Self> {
        let tty = Self::new(number, owner, Some(host.clone()));
        host.watch(Arc::new(News(tty.me.clone())));
        tty
    }

    /// Takes what the host has typed, as long as there is room for it, and gives it what it may take.
    pub(super) fn pump(&self) {
        let Some(host) = &self.host else { return };
        let mut bytes = [0; STEP_BYTES];
        while self.state.lock().discipline.has_input_room() {
            match host.read(&mut bytes) {
                Ok(0) => return self.hang_up(),
                Ok(count) => self.typed(&bytes[..count]),
                Err(Errno::EAGAIN) => break,
                Err(_) => return self.hang_up(),
            }
        }
        self.show();
    }

    pub(super) fn show_host(&self, state: &mut State) {
        let Some(host) = &self.host else { return };
        while state.discipline.has_output() {
            let output = state.discipline.output();
            let (front, _) = output.as_slices();
            match host.write(front) {
                Ok(count) if count > 0 => drop(output.drain(..count)),
                _ => return,
            }
        }
    }
}
