//! Signals (signal(7)).

use alloc::sync::Arc;

use crate::platform::{Fault, LayoutError, Reply};
use crate::syscall::Call;
use crate::task::Task;
use crate::wait::Stop;

impl Task {
    /// Whether a signal waits that is not blocked.
    pub(crate) fn has_signal(&self) -> bool {
        false
    }

    pub(crate) fn interrupt_call(self: &Arc<Self>, _call: Call, _stop: Stop) {
        self.reply(Reply::Exit);
    }

    pub(crate) fn fault(self: &Arc<Self>, _fault: Fault) {
        self.reply(Reply::Exit);
    }

    pub(crate) fn interrupted(self: &Arc<Self>) {
        self.reply(Reply::Resume);
    }

    pub(crate) fn layout_done(self: &Arc<Self>, _result: Result<(), LayoutError>) {
        self.reply(Reply::Resume);
    }

    pub(crate) fn gone(self: &Arc<Self>) {}
}
