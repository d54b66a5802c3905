//! `create`: the monitor, the container in it, and the container's proxy.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use oci_spec::runtime::Spec;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use stockade_hosted::{Luggage, Owner, SOCKET, binds, connect, files, null, proxy_of, rlimits};
use stockade_native::Helper;
use stockade_native::gate::Gate;
use stockade_native::hosted::{Stage, layers, root_tree};
use stockade_native::jail::{self, Authority, Network, NewNetwork, Starting};
use stockade_sandbox::protocol::{CreateContainer, Empty, FdRole, Method};
use stockade_sandbox::{ContainerId, CreateRequest, Error, IsolationClass, Result};

use super::{clocks, limits, upper};
use crate::settings::Settings;
use crate::{FILES, MONITOR};

/// The monitor's own messages, in the container's directory of state.
const LOG: &str = "monitor.log";

/// A file server that takes longer is broken, or its disk is.
const FILE_SERVER_PATIENCE: Duration = Duration::from_secs(60);

/// The sandbox of a container.
#[derive(Debug)]
pub(super) enum Home {
    /// A new one, in this network namespace.
    Own(NewNetwork),
    /// Another container's.
    Another(Owner),
}

/// Starts a sandbox with this one container, or puts it into one that runs, and returns the pid of the container's
/// proxy.
pub(super) fn launch(
    id: &ContainerId,
    stage: Stage<'_>,
    home: Home,
    spec: &Spec,
    request: &mut CreateRequest,
) -> Result<u32> {
    let upper = upper::of(spec, &request.rootfs)?;
    let monitor = match home {
        Home::Another(owner) => {
            make_groups(&stage, spec)?;
            owner.join(&stage.dir).map(|()| None)?
        }
        Home::Own(network) => Some(start_monitor(&stage, spec, network)?),
    };
    // All enter their jails at the same time.
    let server = match layers(&request.rootfs) {
        Some(_) => None,
        None => Some(start_file_server(&stage, spec, monitor.as_ref())?),
    };
    let (server, connection) = server.unzip();
    let mut client = connect(&stage.dir)?;
    let (terminal, mut luggage) = pack(request, connection)?;
    if let Some(file) = upper {
        luggage.add(FdRole::Upper, file);
    }
    let monitors = monitor.as_ref().map(Starting::pid);
    let start_proxy = || start_proxy(id, &stage, monitors, terminal.as_ref());
    // A monitor that runs may remember how a container of this name ended, and tell that to a proxy that is early.
    let early = monitors.map(|_| start_proxy()).transpose()?;
    let message = describe(id, &stage, spec, request, luggage.roles)?;
    [server, monitor].into_iter().flatten().try_for_each(|starting| starting.wait().map(drop))?;
    stockade_native::seal::forget_program();
    let descriptors: Vec<_> = luggage.descriptors.iter().map(AsFd::as_fd).collect();
    client.call::<Empty>(Method::Create, &message, &descriptors)?;
    early.map_or_else(start_proxy, Ok)?.wait()
}

/// Starts the container's proxy, with a connection of its own.
fn start_proxy(
    id: &ContainerId,
    stage: &Stage<'_>,
    monitor: Option<u32>,
    terminal: Option<&OwnedFd>,
) -> Result<Starting> {
    let connection = OwnedFd::from(connect(&stage.dir)?.into_connection());
    let fifo = stage.fifo.try_clone().map_err(|error| Error::os("copy exec.fifo", error))?;
    stage.begin_proxy(&proxy_of(id, "", connection, Some(fifo), terminal)?, monitor, terminal)
}

fn make_groups(stage: &Stage<'_>, spec: &Spec) -> Result<()> {
    stage.make_groups()?;
    Ok(stage.cgroup.make_parts(&limits::of_applications(&limits::of_spec(spec)))?)
}

/// Most of the control groups are made while it starts; it waits for them before it has a second thread.
fn start_monitor(stage: &Stage<'_>, spec: &Spec, network: NewNetwork) -> Result<Starting> {
    let clocks = clocks::start(spec)?;
    let (gate, helpers_end) = Gate::new()?;
    let monitor = Helper {
        program: files::own_program()?,
        arguments: [vec![MONITOR.to_owned()], Settings::of_host()?.words()].concat(),
        environment: Vec::new(),
        streams: [files::listen_in(&stage.dir, SOCKET)?, null()?, files::append(&stage.dir.join(LOG))?],
        descriptors: vec![helpers_end],
    };
    let early = stage.cgroup.takes_early();
    if early { stage.begin_groups() } else { make_groups(stage, spec) }?;
    let network = network.wait()?;
    let group = stage.cgroup.monitor();
    let starting = jail::begin_early(&monitor, &group, clocks, &network)?;
    // The helper's end of the gate is its own now: when it ends, the gate says so.
    drop((monitor, network));
    if early {
        make_groups(stage, spec)?;
    }
    gate.open(&group, &stage.cgroup.applications().entrances()?)?;
    Ok(starting)
}

/// Starts the process that has the bundle's directory; and a connection to it.
fn start_file_server(stage: &Stage<'_>, spec: &Spec, monitor: Option<&Starting>) -> Result<(Starting, OwnedFd)> {
    let failed = |errno| Error::os("make the file server's socket", errno);
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(failed)?;
    for limit in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&ours, limit, Some(FILE_SERVER_PATIENCE)).map_err(failed)?;
    }
    stockade_kernel_files::hand_over(root_tree(spec, stage.bundle)?.as_fd(), ours.as_fd())
        .map_err(|errno| Error::os("hand the root to the file server", errno))?;
    let server = Helper {
        program: files::own_program()?,
        arguments: vec![FILES.to_owned()],
        environment: Vec::new(),
        streams: [theirs, null()?, files::append(&stage.dir.join(LOG))?],
        descriptors: Vec::new(),
    };
    let starting = jail::begin(&server, &stage.cgroup.monitor(), Authority::Files(spec), Network::Of(monitor))?;
    Ok((starting, ours))
}

/// What goes with the container; and its terminal's slave, if it has one.
fn pack(request: &mut CreateRequest, file_server: Option<OwnedFd>) -> Result<(Option<OwnedFd>, Luggage)> {
    let (terminal, mut luggage) = stockade_hosted::pack(request)?;
    if let Some(trace) = &request.trace {
        luggage.add_trace(trace, terminal.as_ref())?;
    }
    if let Some(blobs) = layers(&request.rootfs) {
        luggage.add_layers(blobs)?;
    }
    if let Some(connection) = file_server {
        luggage.add(FdRole::FileServer, connection);
    }
    Ok((terminal, luggage))
}

/// What the monitor is told of the container.
fn describe(
    id: &ContainerId,
    stage: &Stage<'_>,
    spec: &Spec,
    request: &CreateRequest,
    descriptors: Vec<i32>,
) -> Result<CreateContainer> {
    let mut inside = spec.clone();
    inside.process_mut().as_mut().map(rlimits::inherit).transpose()?;
    // A filter of calls to the host's kernel, which are not the container's.
    inside.linux_mut().as_mut().map(|linux| linux.set_seccomp(None));
    let spec_json = serde_json::to_vec(&inside).map_err(|error| Error::Other(error.to_string()))?;
    Ok(CreateContainer {
        id: id.to_string(),
        spec: spec_json,
        user: request.user.clone(),
        descriptors,
        files: binds::read_all(IsolationClass::Kernel, spec, stage.bundle)?,
        beside: request.sandbox.as_ref().map(ToString::to_string),
        streams: Vec::new(),
        root: None,
        mounts: Vec::new(),
    })
}
