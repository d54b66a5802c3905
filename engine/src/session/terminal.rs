//! The caller's own terminal.

use std::os::fd::BorrowedFd;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::supervise::protocol::WindowSize;

/// The size of the caller's window, if it has one.
pub(crate) fn own_window() -> Option<WindowSize> {
    let sizes = [rustix::stdio::stdout(), rustix::stdio::stdin()].into_iter().filter_map(|fd| tcgetwinsize(fd).ok());
    sizes.map(|size| WindowSize { rows: size.ws_row, columns: size.ws_col }).find(|size| size.rows > 0)
}

/// Raw mode on standard input, undone on drop.
pub(super) struct RawMode {
    terminal: BorrowedFd<'static>,
    before: Termios,
}

impl RawMode {
    /// `None` when standard input is no terminal.
    pub(super) fn enter() -> Option<Self> {
        let terminal = rustix::stdio::stdin();
        let before = isatty(terminal).then(|| tcgetattr(terminal).ok()).flatten()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
