//! From a container's record to an OCI runtime spec, with Docker's defaults.

mod capabilities;
mod devices;
mod environment;
mod etc;
mod limits;
mod linux;
mod mounts;
mod process;
mod seccomp;

use oci_spec::OciSpecError;
use oci_spec::runtime::{RootBuilder, Spec, SpecBuilder};

use crate::options::{InvalidOption, NamespaceMode};
use crate::state::{Container, Record};
use crate::{Engine, LookupError, StateError};

pub(crate) use limits::limits_change;
pub(crate) use linux::cgroup_parent;
pub(crate) use process::exec_process;

/// Why no spec can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    /// An option that cannot be honoured.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// A container whose namespace is to be joined.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Such a container does not run.
    #[error("cannot join the namespace of a non running container: {0}")]
    NotRunning(String),
    /// The container's own files.
    #[error(transparent)]
    State(#[from] StateError),
    /// A part lacks a field.
    #[error(transparent)]
    Spec(#[from] OciSpecError),
}

/// What the parts of a spec are made from.
pub(crate) struct Context<'a> {
    engine: &'a Engine,
    container: &'a Container,
    record: &'a Record,
}

/// The spec of a container that is about to start. Writes its /etc files.
pub(crate) fn build(engine: &Engine, container: &Container, record: &Record) -> Result<Spec, SpecError> {
    let context = Context { engine, container, record };
    etc::write(&context)?;
    let mut spec = SpecBuilder::default()
        .version("1.2.0")
        .root(RootBuilder::default().path("rootfs").readonly(record.options.read_only).build()?)
        .process(process::init(record)?)
        .mounts(mounts::all(&context)?)
        .linux(linux::build(&context)?)
        .annotations(record.options.annotations.clone().into_iter().collect::<std::collections::HashMap<_, _>>())
        .build()?;
    // The builder has a default, which only a namespace of the container's own can take.
    let owned = record.options.uts != NamespaceMode::Host;
    spec.set_hostname(owned.then(|| record.hostname().to_owned()));
    spec.set_domainname(record.options.domainname.clone().filter(|_| owned));
    Ok(spec)
}

/// Refuses at create what could not start.
pub(crate) fn check(record: &Record) -> Result<(), InvalidOption> {
    capabilities::bounding(record)?;
    process::check(record)?;
    seccomp::check(record)?;
    devices::check(record)
}

/// `user[:group]` as asked for, to be resolved inside the root file system.
pub(crate) fn user(record: &Record) -> Option<String> {
    let image = || record.image.config.user().clone();
    record.options.user.clone().or_else(image).filter(|user| !user.is_empty())
}

/// The init's environment, for `inspect`.
pub(crate) fn environment(record: &Record) -> Vec<String> {
    environment::init(record)
}
