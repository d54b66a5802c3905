//! One container in the kernel.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use oci_spec::runtime::{LinuxResources, Process as ProcessSpec, Spec};
use stockade_kernel::Kernel;
use stockade_kernel::signal::{Signal, SignalInfo};
use stockade_kernel::task::{ExitStatus, Manner, Namespaces, Pid, ProcessWatcher, Task};
use stockade_kernel::trace::Tracer;
use stockade_kernel::vfs::FsContext;
use stockade_kernel_platform::HostMachine;
use stockade_sandbox::protocol::{CreateContainer, FdRole, ProcessEntry};
use stockade_sandbox::{Error, Result, Stats};

use super::directory::Directory;
use super::root::Root;
use super::server::{Endings, ProcessName};
use super::stream::Stream;
use super::tell::Counted;
use super::trace::Lines;
use super::{limits, manner, process, root, tell};

/// The descriptors that came with a request, by what they are.
#[derive(Debug, Default)]
pub(super) struct Luggage {
    /// Descriptors 0, 1 and 2, or none.
    pub streams: Vec<Arc<Stream>>,
    /// The raw slave of the host's pty.
    pub terminal: Option<Arc<Stream>>,
    /// Layers, lowest first.
    pub layers: Vec<OwnedFd>,
    /// The file that catches writes, unless that is memory.
    pub upper: Option<OwnedFd>,
    /// What takes the trace.
    pub trace: Option<OwnedFd>,
    /// A connection to the file server of the root.
    pub file_server: Option<OwnedFd>,
}

impl Luggage {
    /// Sorts descriptors.
    pub(super) fn new(roles: &[i32], descriptors: Vec<OwnedFd>) -> Result<Self> {
        if roles.len() != descriptors.len() {
            return Err(Error::Other("descriptors got lost on their way to the monitor".to_owned()));
        }
        let mut luggage = Self::default();
        for (role, descriptor) in roles.iter().zip(descriptors) {
            match FdRole::try_from(*role) {
                Ok(FdRole::Stdin | FdRole::Stdout | FdRole::Stderr) => luggage.streams.push(Stream::new(descriptor)),
                Ok(FdRole::Terminal) => luggage.terminal = Some(Stream::new(descriptor)),
                Ok(FdRole::Layer) => luggage.layers.push(descriptor),
                Ok(FdRole::Upper) => luggage.upper = Some(descriptor),
                Ok(FdRole::Trace) => luggage.trace = Some(descriptor),
                Ok(FdRole::FileServer) => luggage.file_server = Some(descriptor),
                _ => return Err(Error::Other(format!("the monitor knows no use for descriptor role {role}"))),
            }
        }
        Ok(luggage)
    }

    /// Those with news.
    pub(super) fn streams(&self) -> Vec<Arc<Stream>> {
        self.streams.iter().chain(&self.terminal).cloned().collect()
    }
}

/// A container.
#[derive(Debug)]
pub(super) struct Container {
    kernel: Arc<Kernel>,
    id: String,
    namespaces: Arc<Namespaces>,
    /// What new processes get a copy of.
    fs: Arc<FsContext>,
    /// What its root lies on, unless that is an image.
    directory: Option<Arc<Directory>>,
    counted: Counted,
    /// How its processes begin where they do not say.
    manner: Manner,
    /// By name; the init has none.
    processes: BTreeMap<String, Arc<Task>>,
}

/// What a new container is made on.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub kernel: &'a Arc<Kernel>,
    pub machine: &'a Arc<HostMachine>,
    pub namespaces: Arc<Namespaces>,
    /// As the sandbox was started (nice(2)).
    pub nice: i32,
}

/// Tells the loop how a process ended.
#[derive(Debug)]
struct Watcher {
    name: ProcessName,
    endings: Arc<Endings>,
}

impl ProcessWatcher for Watcher {
    fn ended(&self, status: ExitStatus) {
        self.endings.tell(self.name.clone(), status.raw());
    }
}

impl Container {
    /// Builds the root, and an init that waits for [`Self::start`].
    pub(super) fn new(
        place: Place<'_>,
        request: &CreateContainer,
        spec: &Spec,
        mut luggage: Luggage,
        endings: &Arc<Endings>,
    ) -> Result<Self> {
        let Place { kernel, machine, namespaces, nice } = place;
        if let Some(resources) = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref()) {
            limits::apply(kernel, &namespaces, resources);
        }
        if let Some(taker) = luggage.trace.take() {
            namespaces.set_tracer(Tracer::new(Lines::new(taker)));
        }
        let process = spec.process().as_ref().ok_or_else(|| Error::InvalidConfig("process is missing".into()))?;
        let source = match luggage.file_server.take() {
            Some(socket) => root::Source::FileServer(socket),
            None => root::Source::Layers(std::mem::take(&mut luggage.layers), luggage.upper.take()),
        };
        let root = root::Builder { kernel, machine, namespaces: &namespaces };
        let Root { fs, directory } = root.build(spec, source, &request.files)?;
        let (kernel, id) = (kernel.clone(), request.id.clone());
        let counted = if request.beside.is_some() { Counted::Processes } else { Counted::Sandbox };
        let personality = spec.linux().as_ref().and_then(|linux| linux.personality().as_ref());
        let manner = manner::of_container(nice, personality)?;
        let mut container = Self { kernel, id, namespaces, fs, directory, counted, manner, processes: BTreeMap::new() };
        container.add("", process, request.user.as_deref(), luggage, endings)?;
        Ok(container)
    }

    fn add(
        &mut self,
        name: &str,
        process: &ProcessSpec,
        user: Option<&str>,
        luggage: Luggage,
        endings: &Arc<Endings>,
    ) -> Result<Arc<Task>> {
        let watcher = Arc::new(Watcher { name: (self.id.clone(), name.to_owned()), endings: endings.clone() });
        let manner = match name {
            "" => manner::of_process(self.manner, process)?,
            _ => manner::of_joining(self.manner, process, &self.kernel)?,
        };
        let place = process::Place { kernel: &self.kernel, namespaces: &self.namespaces, fs: self.fs.copy(), manner };
        let task = process::make(place, process, user, luggage, watcher)?;
        self.processes.insert(name.to_owned(), task.clone());
        Ok(task)
    }

    /// Runs one more process.
    pub(super) fn exec(
        &mut self,
        name: &str,
        process: &ProcessSpec,
        user: Option<&str>,
        luggage: Luggage,
        endings: &Arc<Endings>,
    ) -> Result<()> {
        self.add(name, process, user, luggage, endings)?.start();
        Ok(())
    }

    /// Lets the init run.
    pub(super) fn start(&self) {
        if let Some(init) = self.processes.get("") {
            init.start();
        }
    }

    /// Signals one process, as the host's root does.
    pub(super) fn signal(&self, name: &str, signal: i32) -> Result<()> {
        let task = self.processes.get(name).ok_or(Error::NotRunning)?;
        task.process().send_signal(info(signal)?);
        Ok(())
    }

    /// Signals every process.
    pub(super) fn signal_all(&self, signal: i32) -> Result<()> {
        let info = info(signal)?;
        self.namespaces.pids.processes().iter().for_each(|process| process.send_signal(info));
        Ok(())
    }

    /// Tells a process's terminal its size.
    pub(super) fn resize(&self, name: &str, rows: u32, columns: u32) -> Result<()> {
        let task = self.processes.get(name).filter(|task| !task.process().has_ended()).ok_or(Error::NotRunning)?;
        let size = |cells: u32| u16::try_from(cells).unwrap_or(u16::MAX);
        if let Some(terminal) = task.session().terminal() {
            terminal.resize(size(rows), size(columns));
        }
        Ok(())
    }

    /// What its processes see of the system.
    pub(super) fn namespaces(&self) -> &Arc<Namespaces> {
        &self.namespaces
    }

    /// Its processes, as ps(1) tells of them.
    pub(super) fn processes(&self) -> Vec<ProcessEntry> {
        let read = |path| root::read_text(&self.kernel, &self.fs, path).unwrap_or_default();
        let names = tell::Names::new(&read("/etc/passwd"), &read("/etc/group"));
        tell::processes(&self.kernel, &self.namespaces, &names)
    }

    /// What it uses.
    pub(super) fn stats(&self) -> Stats {
        tell::stats(&self.kernel, &self.namespaces, self.counted)
    }

    /// Changes its limits.
    pub(super) fn update(&self, resources: &LinuxResources) {
        limits::apply(&self.kernel, &self.namespaces, resources);
    }

    /// A process ended.
    pub(super) fn forget(&mut self, name: &str) {
        self.processes.remove(name);
    }

    /// Its init ended, and so has all of it: who still has one of its files gets no more of it.
    pub(super) fn end(self) {
        if let Some(directory) = &self.directory {
            directory.close();
        }
    }
}

fn info(signal: i32) -> Result<SignalInfo> {
    let signal = Signal::new(signal).map_err(|_| Error::Other(format!("unknown signal {signal}")))?;
    Ok(SignalInfo::user(signal, Pid::NONE, 0))
}
