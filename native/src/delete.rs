//! The `delete` verb, and the clearing away of what a killed `create` left.

use std::path::Path;
use std::time::Duration;

use stockade_sandbox::{ContainerId, DeleteMode, Error, Result, Status};

use crate::hooks;
use crate::layers::Layers;
use crate::state::{Dir, Record};

/// How long a killed process may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long those may take that end with the init, a monitor for one.
const FOLLOW_LIMIT: Duration = Duration::from_millis(20);

/// Removes a container and all it held.
pub(crate) fn delete(state_root: &Path, id: &ContainerId, mode: DeleteMode) -> Result<()> {
    let dir = Dir::of(state_root, id);
    let record = match dir.read() {
        Err(Error::NotFound) if dir.exists() => return remove_half_made(state_root, &dir, id, mode),
        Err(Error::NotFound) if mode == DeleteMode::Force => return Ok(()),
        answer => answer?,
    };
    match dir.status(&record) {
        Status::Stopped | Status::Created => {}
        _ if mode == DeleteMode::Force => {}
        status => return Err(Error::NotStopped { id: id.to_string(), status }),
    }
    destroy(state_root, &dir, &record)
}

fn remove_half_made(state_root: &Path, dir: &Dir, id: &ContainerId, mode: DeleteMode) -> Result<()> {
    if mode == DeleteMode::Stopped && dir.try_lock()?.is_none() {
        return Err(Error::NotFound);
    }
    clear(state_root, dir, id)
}

/// Clears away whatever there is of a container, without asking for its state.
pub(crate) fn clear(state_root: &Path, dir: &Dir, id: &ContainerId) -> Result<()> {
    match dir.read() {
        Ok(record) => destroy(state_root, dir, &record),
        Err(_) => {
            release_layers(state_root, id)?;
            dir.remove()
        }
    }
}

/// Ends the container's use of image layers, and that of containers whose creators were killed and cleared away.
fn release_layers(state_root: &Path, id: &ContainerId) -> Result<()> {
    let layers = Layers::new(state_root);
    layers.release(id)?;
    layers.sweep(|user| state_root.join(user).exists())
}

fn destroy(state_root: &Path, dir: &Dir, record: &Record) -> Result<()> {
    end_processes(record)?;
    record.cgroup.remove()?;
    if record.image_layers {
        release_layers(state_root, &record.id)?;
    }
    let poststop = record.hooks.as_ref().and_then(|hooks| hooks.poststop().as_ref());
    hooks::run_all("poststop", poststop, &hooks::state_json(record, Status::Stopped, None));
    dir.remove()
}

fn end_processes(record: &Record) -> Result<()> {
    let was_over = record.init.is_some_and(|init| matches!(init.signal(libc::SIGKILL), Ok(false)));
    // To kill them all takes a freezer, which stops every processor for a moment.
    let follow = was_over && record.cgroup.is_empty_within(FOLLOW_LIMIT).unwrap_or(false);
    // Those of a shared pid namespace outlive the init; a frozen one would not die.
    if !follow && record.cgroup.pids().is_ok_and(|pids| !pids.is_empty()) {
        record.cgroup.kill_all()?;
    }
    match record.init {
        Some(init) if !init.wait_end(KILL_LIMIT) => Err(Error::Other("container init still running".into())),
        _ => Ok(()),
    }
}
