//! The monitor: the jailed process that holds a sandbox's kernel.
//!
//! Its main thread waits for connections of the sandbox protocol and for news of the host's streams; the kernel itself
//! runs on the threads that receive the applications' calls (`kernel/platform`). It ends when its last container has
//! ended and everybody who waited for that was told, or when the proxy of a container's init is gone.
//!
//! Its descriptors: 0 is the listening socket, 2 its log; 3 the gate through which it gets into its control groups, and
//! the entrances of the applications'.

mod capacity;
mod container;
mod directory;
pub(crate) mod filter;
mod limits;
mod manner;
mod masks;
mod namespaces;
mod process;
mod root;
mod sandbox;
mod server;
mod stream;
mod tell;
mod trace;

use std::ffi::OsString;

use rustix::stdio::{stderr, stdin};
use stockade_hosted::{files, log};
use stockade_native::rest;

use crate::settings::Settings;

/// Runs as the monitor; its exit status.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> i32 {
    rest::begin();
    let words: Vec<String> = arguments.filter_map(|word| word.into_string().ok()).collect();
    files::raise_descriptor_limit();
    if let Ok(taker) = stderr().try_clone_to_owned() {
        log::install(crate::MONITOR, taker);
    }
    let served = stdin().try_clone_to_owned().map_err(|error| error.to_string()).and_then(|listener| {
        let settings = Settings::parse(&words).map_err(|error| error.to_string())?;
        let [gate] = stockade_native::take_descriptors(1)
            .map_err(|error| error.to_string())?
            .try_into()
            .map_err(|_| "the gate is missing")?;
        let sandbox = sandbox::Sandbox::start(&settings, &gate)?;
        let path = sandbox.trap_path();
        let server = server::Server::new(listener, sandbox)?;
        filter::install(path)?;
        server.run()
    });
    match served {
        Ok(()) => 0,
        Err(error) => {
            let _ = rustix::io::write(stderr(), format!("stockade-monitor: {error}\n").as_bytes());
            1
        }
    }
}
