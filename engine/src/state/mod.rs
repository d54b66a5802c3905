//! State on disk. Everything survives `kill -9` of any process at any moment; the next command repairs what it finds.
//!
//! ```text
//! ROOT/containers/ID/config.json      what was asked for (Record); changes by update and rename only
//! ROOT/containers/ID/state.json       where it is in its life (RunState)
//! ROOT/containers/ID/lock             flock(2): held while config.json or state.json changes
//! ROOT/containers/ID/supervisor.lock  fcntl(2) lock: held as long as the supervisor lives
//! ROOT/containers/ID/{log.json,hostname,hosts,resolv.conf,rw/}
//! ROOT/names/NAME                     the id; changes under the flock ROOT/names/.lock
//! ROOT/volumes/NAME/{_data/,volume.json}
//! STATE/containers/ID/                exists from before the class's create until after its delete; holds
//!                                     `attach.sock`
//! STATE/events/log                    one JSON document per line
//! ```
//!
//! Lock order: container, then names, then events. A supervisor takes its container's lock when the workload ends, so
//! nobody may wait for a supervisor while holding that lock.

mod container;
mod file;
mod id;
mod lock;
mod lookup;
mod names;
mod record;
mod remove;
mod repair;

pub(crate) use container::Container;
pub(crate) use file::{Durability, read_json, write_json};
pub(crate) use id::{new_id, now, short};
pub(crate) use lock::{ContainerLock, SupervisorLock, flock_path};
pub(crate) use names::{NameTable, random_name};
pub(crate) use record::{MountKind, MountRecord, Record, RunState};
pub(crate) use remove::remove_tree;
