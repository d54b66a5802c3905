//! The requests that read and change a terminal's modes (ioctl_tty(2)).

use linux_raw_sys::{general as abi, ioctl};

use super::termios::{Halves, WithSpeeds};
use super::{Termios, Tty};
use crate::Errno;
use crate::task::{Capabilities, Task};

impl Tty {
    /// `ENOTTY` for all others.
    pub(super) fn mode_request(&self, task: &Task, request: u32, argument: u64) -> Result<(), Errno> {
        let memory = task.memory();
        let modes = || *self.state.lock().discipline.termios();
        let asked = match request {
            ioctl::TCGETS => return memory.write_struct(argument, &modes()),
            ioctl::TCGETS2 => return memory.write_struct(argument, &WithSpeeds(modes())),
            ioctl::TCGETA => return memory.write_struct(argument, &Halves::of(&modes())),
            ioctl::TIOCGLCKTRMIOS => return memory.write_struct(argument, &self.state.lock().locked),
            ioctl::TIOCSLCKTRMIOS => return self.lock_modes(task, argument),
            ioctl::TIOCGSOFTCAR => {
                return memory.write_struct(argument, &i32::from(modes().control & abi::CLOCAL != 0));
            }
            ioctl::TIOCSSOFTCAR => {
                let local = if memory.read_struct::<i32>(argument)? == 0 { 0 } else { abi::CLOCAL };
                let mut asked = modes();
                asked.control = asked.control & !abi::CLOCAL | local;
                asked
            }
            ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETSF => memory.read_struct(argument)?,
            ioctl::TCSETS2 | ioctl::TCSETSW2 | ioctl::TCSETSF2 => memory.read_struct::<WithSpeeds>(argument)?.0,
            ioctl::TCSETA | ioctl::TCSETAW | ioctl::TCSETAF => {
                memory.read_struct::<Halves>(argument)?.put_into(&modes())
            }
            _ => return Err(Errno::ENOTTY),
        };
        self.set_up(request, &asked);
        Ok(())
    }

    fn set_up(&self, request: u32, asked: &Termios) {
        {
            let mut state = self.state.lock();
            if [ioctl::TCSETSF, ioctl::TCSETSF2, ioctl::TCSETAF].contains(&request) {
                state.discipline.flush_input();
            }
            let termios = state.discipline.termios().changed_to(asked, &state.locked);
            state.discipline.set_termios(termios);
        }
        self.slave_queue.wake();
        self.show();
    }

    fn lock_modes(&self, task: &Task, argument: u64) -> Result<(), Errno> {
        let credentials = task.credentials();
        if !credentials.has(Capabilities::SYS_ADMIN) && !credentials.has(Capabilities::CHECKPOINT_RESTORE) {
            return Err(Errno::EPERM);
        }
        let locked = task.memory().read_struct(argument)?;
        self.state.lock().locked = locked;
        Ok(())
    }
}
