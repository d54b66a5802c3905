//! What the tests of `stockade` share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use stockade_tests::{Cmd, Registry, Scratch, wait_until};

/// The image of most tests, as `run` is told of it.
pub const IMAGE: &str = "localhost/busybox";

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// `stockade` with directories of its own.
pub struct People {
    pub scratch: Scratch,
}

impl People {
    /// Without images.
    pub fn empty() -> Self {
        Self { scratch: Scratch::new() }
    }

    /// With [`IMAGE`].
    #[track_caller]
    pub fn new() -> Self {
        let people = Self::empty();
        let registry = Registry::start();
        let name = registry.reference("busybox");
        people.stockade(&["pull", "-q", &name]).ok();
        people.stockade(&["tag", &name, IMAGE]).ok();
        people
    }

    pub fn stockade(&self, args: &[&str]) -> Cmd {
        self.scratch.stockade(args)
    }

    /// `run` in the image, with flags first.
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Cmd {
        self.stockade(&["run"]).args(flags).arg(IMAGE).args(command)
    }

    /// Starts a container in the background and returns its id.
    #[track_caller]
    pub fn background(&self, flags: &[&str], command: &[&str]) -> String {
        self.run(&[&["-d"], flags].concat(), command).ok().out().to_owned()
    }

    /// One field of `inspect`.
    #[track_caller]
    pub fn field(&self, name: &str, template: &str) -> String {
        self.stockade(&["inspect", "--format", template, name]).ok().out().to_owned()
    }

    /// Waits until `inspect` says so.
    #[track_caller]
    pub fn wait_for(&self, name: &str, template: &str, expected: &str) {
        wait_until(&format!("{template} of {name} to be {expected}"), PATIENCE, || {
            self.stockade(&["inspect", "--format", template, name]).run().out() == expected
        });
    }

    /// Waits until the container has written `text`.
    #[track_caller]
    pub fn wait_for_log(&self, name: &str, text: &str) {
        wait_until(&format!("{text:?} in the log of {name}"), PATIENCE, || {
            self.stockade(&["logs", name]).run().stdout.contains(text)
        });
    }
}
