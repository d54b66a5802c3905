//! What the host says of the machine: the time, random numbers, its name, its network, its shares.

use std::fs::OpenOptions;

use stockade_sandbox::protocol::Configure;
use stockade_sandbox::{Error, Result};

use crate::world::World;
use crate::{network, sys};

/// Does all of it; may be said again.
pub(crate) fn configure(world: &World, configure: &Configure) -> Result<()> {
    if configure.time_ns != 0 {
        world.set_time(configure.time_ns)?;
    }
    if !configure.entropy.is_empty() {
        add_entropy(&configure.entropy).map_err(|error| Error::os("add entropy", error))?;
    }
    if !configure.hostname.is_empty() {
        rustix::system::sethostname(configure.hostname.as_bytes())
            .map_err(|errno| Error::os("set the machine's name", errno))?;
    }
    configure.network.as_ref().map_or(Ok(()), |network| network::configure(world, network))?;
    configure.shares.iter().try_for_each(|share| world.mount_share(&share.tag))
}

fn add_entropy(bytes: &[u8]) -> std::io::Result<()> {
    let random = OpenOptions::new().write(true).open("/dev/random")?;
    bytes.chunks(sys::ENTROPY_CHUNK_BYTES).try_for_each(|chunk| sys::add_entropy(&random, chunk))?;
    sys::reseed(&random)
}
