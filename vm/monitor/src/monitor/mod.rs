//! The monitor: the jailed process that is a sandbox's machine.
//!
//! Threads of the machine run the guest and its devices; the main thread waits for connections of the sandbox protocol,
//! passes what they ask on to the guest's agent, and copies between streams of the host and of the guest. It ends when
//! its container has ended and everybody who waited for that was told, when the proxy of the container's init is gone,
//! or when the guest is.
//!
//! Its descriptors: 0 is the listening socket, 2 its log; from 3 on what its settings say.

mod agent;
mod answers;
mod console;
mod machine;
mod relay;
mod server;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use rustix::stdio::{stderr, stdin};
use stockade_hosted::{files, log};
use stockade_native::rest::keep_one_heap;
use stockade_sandbox::protocol::Connection;
use stockade_sandbox::{Error, IsolationClass};

use self::console::Console;
use self::server::Server;
use crate::MONITOR;
use crate::settings::Settings;

/// Runs as the monitor; its exit status.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> i32 {
    files::raise_descriptor_limit();
    keep_one_heap();
    if let Ok(taker) = stderr().try_clone_to_owned() {
        log::install(MONITOR, taker);
    }
    let words: Vec<String> = arguments.filter_map(|word| word.into_string().ok()).collect();
    match serve(&words) {
        Ok(()) => 0,
        Err(error) => {
            let _ = rustix::io::write(stderr(), format!("{MONITOR}: {error}\n").as_bytes());
            1
        }
    }
}

fn serve(words: &[String]) -> Result<(), String> {
    let word = words.first().ok_or("it was told nothing")?;
    let settings: Settings = serde_json::from_str(word).map_err(|error| error.to_string())?;
    let count = u16::try_from(settings.descriptors.len()).map_err(|error| error.to_string())?;
    let descriptors = stockade_native::take_descriptors(count).map_err(|error| error.to_string())?;
    let listener = stdin().try_clone_to_owned().map_err(|error| error.to_string())?;
    let console = Console::default();
    match machine::start(&settings, descriptors, &console) {
        Ok(guest) => Server::new(listener, guest, console, &settings)?.run(),
        Err(error) => refuse(&listener, error),
    }
}

/// Tells the first who asks why there is no machine.
fn refuse(listener: &OwnedFd, why: String) -> Result<(), String> {
    // The launcher has connected, or is about to; it ends this process if it cannot.
    rustix::io::ioctl_fionbio(listener, false).map_err(|errno| errno.to_string())?;
    let socket = rustix::net::accept(listener).map_err(|errno| errno.to_string())?;
    let mut peer = Connection::new(socket);
    if let Ok(Some(request)) = peer.request() {
        let error = Error::Unsupported {
            class: IsolationClass::Vm,
            what: "run a guest on this host".to_owned(),
            why: why.clone(),
        };
        // Who asked may be gone.
        let _ = peer.respond(request.stream, Err(error));
    }
    Err(why)
}
