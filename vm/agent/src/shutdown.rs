//! The machine's end: containers are asked to end, then made to, then everything is written and let go.

use std::time::{Duration, Instant};

use prost::Message;
use stockade_sandbox::protocol::Empty;
use stockade_sandbox::{DeleteMode, Runtime, SignalTarget};

use crate::container::{Container, Question};
use crate::server::Server;
use crate::world::World;

/// How often it is looked whether all have ended: they are seen ending, but not when one is not our child.
const LOOK: Duration = Duration::from_millis(50);

/// A machine that is about to end.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Who is to be told.
    questions: Vec<Question>,
    /// When what still runs is killed.
    until: Instant,
    /// The next look.
    look: Instant,
    is_over: bool,
}

impl Ending {
    /// What processes get that nobody asked for.
    pub(crate) const GRACE: Duration = Duration::from_secs(10);

    /// When to look.
    pub(crate) fn deadline(&self) -> Instant {
        self.look.min(self.until)
    }
}

impl Server {
    /// Whether the loop has nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.is_over)
    }

    /// Asks all processes to end. A second time it may only become sooner.
    pub(crate) fn begin_ending(&mut self, question: Option<Question>, grace: Duration, now: Instant) {
        let until = now + grace;
        if let Some(ending) = &mut self.ending {
            ending.questions.extend(question);
            ending.until = ending.until.min(until);
            return;
        }
        self.ending = Some(Ending { questions: question.into_iter().collect(), until, look: now, is_over: false });
        self.signal_all(libc::SIGTERM);
    }

    /// What a signal does not reach has ended, or is killed with the rest.
    fn signal_all(&self, signal: i32) {
        for id in self.containers.keys().filter_map(|id| id.parse().ok()) {
            let _ = self.native.signal(&id, signal, SignalTarget::All);
            let _ = self.native.resume(&id);
        }
    }

    /// Looks whether it is time.
    pub(crate) fn go_on_ending(&mut self, now: Instant) {
        let is_quiet = self.containers.values().all(|container: &Container| container.init().is_none());
        let Some(ending) = &mut self.ending else { return };
        ending.look = now + LOOK;
        ending.is_over = is_quiet || ending.until <= now;
    }

    /// Kills what is left, lets go of what is mounted, and tells who asked.
    pub(crate) fn answer_shutdown(&mut self) {
        for id in self.containers.keys().cloned().collect::<Vec<_>>() {
            let Ok(parsed) = id.parse() else { continue };
            if let Err(error) = self.native.delete(&parsed, DeleteMode::Force) {
                self.world.say(&format!("remove {id}: {error}"));
            }
        }
        let now = Instant::now();
        self.reap(now);
        self.settle(now);
        for (id, mut container) in std::mem::take(&mut self.containers) {
            if let Err(error) = container.held.release(&self.world) {
                self.world.say(&format!("let go of {id}: {error}"));
            }
        }
        World::unmount_shares();
        rustix::fs::sync();
        for question in self.ending.take().into_iter().flat_map(|ending| ending.questions) {
            self.respond(question, Ok(Empty {}.encode_to_vec()));
        }
    }
}
