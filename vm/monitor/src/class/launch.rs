//! `create`: the monitor with its machine, the container in it, and the container's proxy.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::fs::OFlags;
use stockade_hosted::{Luggage, MACHINE, Owner, SOCKET, connect, files, null, pack, proxy_of, rlimits};
use stockade_native::Helper;
use stockade_native::hosted::{Stage, layers};
use stockade_native::jail::{self, Authority, Network, Starting};
use stockade_sandbox::protocol::{
    Client, CreateContainer, DiskPart, Empty, FdRole, GuestNetwork, GuestRoot, GuestUpper, Method, SharePath,
};
use stockade_sandbox::{ContainerId, CreateRequest, Error, GUEST_KERNEL_ANNOTATION, Result};
use stockade_vm_kernel::{Kernel, Kernels, Name};
use stockade_vmm::hypervisor::kvm;

use super::network::{self, Cards, Kept};
use super::size::{Size, nothing};
use super::upper::Upper;
use super::{Places, guest_spec, initramfs, lacking, members};
use crate::MONITOR;
use crate::settings::{Given, LAYERS, Settings};
use crate::share::{Lines, Shares};

/// The monitor's own messages, and the guest's console when it failed, in the container's directory of state.
const LOG: &str = "monitor.log";

/// A container that is to be started in a machine of its own.
pub(super) struct Start<'a> {
    pub id: &'a ContainerId,
    pub places: &'a Places,
    pub size: Size,
    pub spec: &'a Spec,
}

impl Start<'_> {
    /// Starts a sandbox with this one container, and returns the pid of the container's proxy. `kept` is what has to be
    /// cleared should it fail, or anything after it.
    pub(super) fn launch(
        &self,
        stage: &Stage<'_>,
        request: &mut CreateRequest,
        kept: &mut Option<Kept>,
    ) -> Result<u32> {
        stage.make_groups()?;
        let blobs = open_layers(layers(&request.rootfs).unwrap_or_default())?;
        let shares = Shares::open(self.spec, &request.rootfs, stage.bundle)?;
        let upper = Upper::of(self.spec, &request.rootfs)?;
        let root = root(&blobs, shares.root(), upper.guest)?;
        let Lines { connections, listeners } = shares.lines(&stage.dir)?;
        let shared = connections.into_iter().map(|(tag, connection)| (Given::Share(tag), connection));
        let Cards { given: cards, namespace, network } =
            network::prepare(&stage.dir, self.spec, &request.rootfs, kept)?;
        let others = upper.disk.into_iter().chain(shared).chain(cards);
        let monitor = self.start_monitor(stage, blobs, others, namespace.as_ref())?;
        let servers = shares.serve(stage, listeners, Path::new(LOG), &monitor)?;
        let mut client = connect(&stage.dir)?;
        let (terminal, luggage) = pack(request)?;
        let monitor = monitor.wait()?;
        let servers = servers.wait()?;
        let claims = shares.claim_volumes()?;
        if network != GuestNetwork::default() {
            network::tell(&mut client, network).map_err(|error| with_log(error, &stage.dir))?;
        }
        create(self.id, self.spec, &mut client, stage, request, (shares.message(root), luggage))?;
        drop(claims);
        if self.spec.root().as_ref().and_then(|root| root.readonly()) == Some(true) {
            shares.seal_root(&servers)?;
        }
        start_proxy(self.id, client, stage, Some(monitor), terminal.as_ref())
    }

    fn start_monitor(
        &self,
        stage: &Stage<'_>,
        blobs: Vec<File>,
        others: impl Iterator<Item = (Given, OwnedFd)>,
        namespace: Option<&OwnedFd>,
    ) -> Result<Starting> {
        let mut given = Vec::new();
        let mut descriptors = Vec::new();
        let mut add = |what: Given, file: File| {
            given.push(what);
            descriptors.push(OwnedFd::from(file));
        };
        add(Given::Kvm, device()?);
        let kernel = kernel(self.places, &self.kernel_name()?)?;
        let initrd = initramfs::make(&kernel, &self.places.agents)?;
        add(Given::Kernel, files::open(&kernel.image, OFlags::RDONLY)?.into());
        add(Given::Initrd, initrd);
        blobs.into_iter().for_each(|blob| add(Given::Layer, blob));
        others.for_each(|(given, descriptor)| add(given, descriptor.into()));
        let settings =
            serde_json::to_string(&self.settings(given)?).map_err(|error| Error::Other(error.to_string()))?;
        mark(stage, &settings)?;
        let listener = files::listen_in(&stage.dir, SOCKET)?;
        let helper = Helper {
            program: files::own_program()?,
            arguments: vec![MONITOR.to_owned(), settings],
            environment: Vec::new(),
            streams: [listener, null()?, files::append(&stage.dir.join(LOG))?],
            descriptors,
        };
        stage.cgroup.make_parts(&nothing())?;
        let network = namespace.map_or(Network::Own, |namespace| Network::Given(namespace.as_fd()));
        jail::begin(&helper, &stage.cgroup.monitor(), Authority::Nothing, network)
    }

    /// The annotation's, or that of containers that have none.
    fn kernel_name(&self) -> Result<Name> {
        let annotation = self.spec.annotations().as_ref().and_then(|all| all.get(GUEST_KERNEL_ANNOTATION));
        let invalid = |error| Error::InvalidConfig(format!("annotation {GUEST_KERNEL_ANNOTATION}: {error}"));
        annotation.map_or_else(|| Ok(self.places.kernel.clone()), |name| name.parse().map_err(invalid))
    }

    fn settings(&self, descriptors: Vec<Given>) -> Result<Settings> {
        Ok(Settings {
            memory_mib: usize::try_from(self.size.memory_mib).unwrap_or(usize::MAX),
            vcpus: self.size.vcpus,
            slots: members::slots(self.spec)?,
            hostname: self.spec.hostname().clone().unwrap_or_default(),
            descriptors,
        })
    }
}

/// A container that is to be started in a machine that runs.
pub(super) struct Joining<'a> {
    pub id: &'a ContainerId,
    pub owner: &'a Owner,
    pub spec: &'a Spec,
}

impl Joining<'_> {
    /// Makes the container, whose disks come with it, and returns the pid of its proxy. What they are called, the
    /// monitor says.
    pub(super) fn launch(&self, stage: &Stage<'_>, request: &mut CreateRequest) -> Result<u32> {
        stage.make_groups()?;
        let blobs = open_layers(layers(&request.rootfs).unwrap_or_default())?;
        let shares = Shares::open(self.spec, &request.rootfs, stage.bundle)?;
        let upper = Upper::of(self.spec, &request.rootfs)?;
        let root = root(&blobs, None, upper.guest)?;
        mark(stage, "")?;
        self.owner.join(&stage.dir)?;
        stage.cgroup.make_parts(&nothing())?;
        let mut client = connect(&stage.dir)?;
        let (terminal, mut luggage) = pack(request)?;
        blobs.into_iter().for_each(|blob| luggage.add(FdRole::Layer, blob.into()));
        upper.disk.into_iter().for_each(|(_, file)| luggage.add(FdRole::Upper, file));
        let beside = request.sandbox.as_ref().map(ToString::to_string);
        let message = CreateContainer { beside, ..shares.message(root) };
        create(self.id, self.spec, &mut client, stage, request, (message, luggage))?;
        start_proxy(self.id, client, stage, None, terminal.as_ref())
    }
}

/// Marks a container as one of this class.
fn mark(stage: &Stage<'_>, settings: &str) -> Result<()> {
    std::fs::write(stage.dir.join(MACHINE), settings).map_err(|error| Error::os(format!("write {MACHINE}"), error))
}

/// Makes the container.
fn create(
    id: &ContainerId,
    spec: &Spec,
    client: &mut Client,
    stage: &Stage<'_>,
    request: &CreateRequest,
    (message, luggage): (CreateContainer, Luggage),
) -> Result<()> {
    let mut inside = guest_spec::of(spec);
    inside.process_mut().as_mut().map(rlimits::inherit).transpose()?;
    let message = CreateContainer {
        id: id.to_string(),
        spec: serde_json::to_vec(&inside).map_err(|error| Error::Other(error.to_string()))?,
        user: request.user.clone(),
        descriptors: luggage.roles,
        ..message
    };
    let descriptors: Vec<_> = luggage.descriptors.iter().map(AsFd::as_fd).collect();
    let made = client.call::<Empty>(Method::Create, &message, &descriptors);
    made.map(drop).map_err(|error| with_log(error, &stage.dir))
}

fn start_proxy(
    id: &ContainerId,
    client: Client,
    stage: &Stage<'_>,
    monitor: Option<u32>,
    terminal: Option<&OwnedFd>,
) -> Result<u32> {
    let connection = OwnedFd::from(client.into_connection());
    let fifo = stage.fifo.try_clone().map_err(|error| Error::os("copy exec.fifo", error))?;
    let proxy = proxy_of(id, "", connection, Some(fifo), terminal)?;
    stage.spawn_proxy(&proxy, monitor, terminal)
}

/// A monitor that ended without an answer has said why in its log, which goes with the container.
fn with_log(error: Error, dir: &Path) -> Error {
    let log = std::fs::read_to_string(dir.join(LOG)).unwrap_or_default();
    match (error, log.lines().last()) {
        (Error::Other(text), Some(last)) => Error::Other(format!("{text}: {last}")),
        (error, _) => error,
    }
}

/// The hypervisor's device.
pub(super) fn device() -> Result<File> {
    kvm::device().map_err(|error| lacking("run a guest on this host", error.to_string()))
}

/// A guest kernel by its name.
pub(super) fn kernel(places: &Places, name: &Name) -> Result<Kernel> {
    let found = Kernels::of(&places.root).find(name);
    found.map_err(|error| lacking("run a guest", error.to_string()))
}

fn open_layers(blobs: &[PathBuf]) -> Result<Vec<File>> {
    blobs.iter().map(|blob| Ok(files::open(blob, OFlags::RDONLY)?.into())).collect()
}

/// All layers, one after the other on one disk, and what catches writes; or a directory.
fn root(blobs: &[File], directory: Option<SharePath>, upper: GuestUpper) -> Result<GuestRoot> {
    if directory.is_some() {
        return Ok(GuestRoot { directory, ..GuestRoot::default() });
    }
    let mut parts = Vec::with_capacity(blobs.len());
    let mut offset_bytes = 0;
    for blob in blobs {
        let len_bytes = blob.metadata().map_err(|error| Error::os("look at a layer", error))?.len();
        parts.push(DiskPart { offset_bytes, len_bytes });
        offset_bytes += len_bytes;
    }
    Ok(GuestRoot { disk: LAYERS.to_owned(), parts, upper: Some(upper), ..GuestRoot::default() })
}
