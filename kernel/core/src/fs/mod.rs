//! File systems.

mod anonymous;
mod cgroup;
mod configuration;
pub mod dev;
mod devpts;
mod erofs;
mod hostdir;
mod overlay;
mod parameters;
mod proc;
mod stream;
pub mod synthetic;
mod sys;
mod system;
mod tmpfs;
mod types;

pub use anonymous::{Anonymous, AnonymousFs};
pub use cgroup::Cgroup2;
pub use configuration::{Configuration, Value};
pub use devpts::DevPts;
pub use erofs::Erofs;
pub use hostdir::HostDir;
pub use overlay::Overlay;
pub(crate) use proc::process_of_directory;
pub use proc::{HidePid, OpenNamespace, Proc, ProcOptions, ProcessReport, ThreadReport};
pub use stream::{StreamFile, open_stream};
pub use sys::Sysfs;
pub use tmpfs::{Seals, Tmpfs, TmpfsOptions, sealed_node};
pub use types::{TYPES, make};
