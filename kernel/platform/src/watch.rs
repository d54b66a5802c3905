//! Takes dead stubs off the host. One thread per machine; it sleeps while all live.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::life::Life;
use crate::sys::process;

const STOP: u64 = 0;

/// Watches processes until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    inner: Arc<Inner>,
    stop: OwnedFd,
}

#[derive(Debug)]
struct Inner {
    epoll: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    last: u64,
    stubs: HashMap<u64, (Arc<OwnedFd>, Arc<Life>)>,
}

impl Watch {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN | epoll::EventFlags::ONESHOT)?;
        let inner = Arc::new(Inner { epoll, watched: Mutex::default() });
        let of_thread = inner.clone();
        std::thread::Builder::new()
            .name("stub-watch".into())
            .stack_size(crate::THREAD_STACK_BYTES)
            .spawn(move || of_thread.run())?;
        Ok(Self { inner, stop })
    }

    /// Watches one more process.
    pub(crate) fn add(&self, pidfd: &Arc<OwnedFd>, life: &Arc<Life>) -> io::Result<()> {
        let mut watched = self.inner.watched();
        watched.last += 1;
        let key = watched.last;
        // One event is all: what is left of the registration goes with the file, which the stub has as well.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&self.inner.epoll, pidfd, epoll::EventData::new_u64(key), flags)?;
        watched.stubs.insert(key, (pidfd.clone(), life.clone()));
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let told = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        debug_assert!(told.is_ok(), "an eventfd takes one write");
    }
}

impl Inner {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends once the machine is gone and every stub has been taken off.
    fn run(&self) {
        let mut stopping = false;
        while !(stopping && self.watched().stubs.is_empty()) {
            let mut events = Vec::with_capacity(16);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) => events.iter().for_each(|event| match event.data.u64() {
                    STOP => stopping = true,
                    key => self.take_off(key),
                }),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::error!(%error, "stubs are not watched any more"),
            }
        }
    }

    fn take_off(&self, key: u64) {
        let stub = self.watched().stubs.remove(&key);
        if let Some((pidfd, life)) = stub {
            life.end(process::reap(pidfd.as_fd()));
        }
    }
}
