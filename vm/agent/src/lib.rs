//! Process 1 of a guest of class `vm`.
//!
//! It makes a machine of what the kernel booted ([`mod@boot`]), connects to the host, and serves the sandbox protocol
//! on that connection with class `native` inside: the host is the client. A process's streams are connections of their
//! own, which the host opens ([`mod@lobby`]) and [`mod@relay`] joins to the process's pipes or terminal.
//!
//! What it needs of the archive that the kernel boots: itself as `/init`, the devices `/dev/console` and `/dev/null`,
//! and `/modules` with `order` where the kernel has drivers as modules.
//!
//! Invariants:
//! - one thread: class native clones the calling process;
//! - nothing waits but the loop's poll(2), and class native for as long as a container takes to be made or removed;
//! - it never ends before the machine does, whatever containers or the host do.

#[doc(hidden)]
pub mod request;

mod boot;
mod container;
mod control;
mod lobby;
mod network;
mod relay;
mod root;
mod server;
mod shutdown;
mod slots;
mod spec;
mod stdio;
mod surroundings;
mod sys;
mod top;
mod verbs;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::getpid;
use stockade_native::Native;
use stockade_native::signals::Signals;
use stockade_sandbox::{Error, Result};

use lobby::Lobby;
use server::Server;
use world::World;

/// Class native's state.
const STATE: &str = "/run/stockade";
/// How long a process of `exec` may take to become its program: its container may hold it up.
const EXEC_PATIENCE: Duration = Duration::from_secs(30);
/// Without a way to listen there is nothing to do but to say so, and to try again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the agent; ends the machine with it.
pub fn main() -> ! {
    let world = World::of(std::env::args().skip(1));
    if !getpid().is_init() {
        world.say("this is process 1 of a virtual machine, and of no other");
        std::process::exit(1);
    }
    if matches!(world, World::Guest) {
        boot::prepare(&world);
    }
    if let Err(error) = network::loopback_up() {
        world.say(&error.to_string());
    }
    loop {
        match start(&world) {
            Ok(server) => {
                server.run();
                world.end();
            }
            Err(error) => {
                world.say(&error.to_string());
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn start(world: &World) -> Result<Server> {
    let signals = Signals::block().map_err(|error| Error::os("take signals", error))?;
    let lobby = Lobby::new(world.clone(), world.listen()?);
    Ok(Server::new(world.clone(), Native::new(PathBuf::from(STATE)).with_patience(EXEC_PATIENCE), lobby, signals))
}
