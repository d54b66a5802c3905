//! Host threads that receive calls. They are kept for the next application thread, because making one costs more than
//! handing it over.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::thread::Inner;

/// Each idle one holds a few pages of stack.
const IDLE_MAX: usize = 16;

/// The idle ones.
#[derive(Debug, Default)]
pub(crate) struct Receivers(Mutex<Vec<Sender<Arc<Inner>>>>);

impl Receivers {
    /// Has a thread received for.
    pub(crate) fn receive(self: &Arc<Self>, thread: Arc<Inner>) -> io::Result<()> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            // An idle one waits for this and cannot be gone.
            Some(idle) => idle.send(thread).map_err(|_| io::ErrorKind::BrokenPipe.into()),
            None => Self::spawn(Arc::downgrade(self), thread),
        }
    }

    fn spawn(pool: Weak<Self>, thread: Arc<Inner>) -> io::Result<()> {
        let (sender, threads) = channel();
        let builder = std::thread::Builder::new().name("stub-thread".into()).stack_size(crate::THREAD_STACK_BYTES);
        let run = move || {
            thread.receive();
            while pool.upgrade().is_some_and(|pool| pool.keep(&sender)) {
                match threads.recv() {
                    Ok(thread) => thread.receive(),
                    Err(_) => return,
                }
            }
        };
        builder.spawn(run).map(drop)
    }

    /// Notes an idle thread; false when there are enough.
    fn keep(&self, sender: &Sender<Arc<Inner>>) -> bool {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = idle.len() < IDLE_MAX;
        if keep {
            idle.push(sender.clone());
        }
        keep
    }
}
