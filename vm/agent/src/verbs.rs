//! The verbs: from a request to class native, and back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcsetwinsize};
use stockade_native::signals::forward;
use stockade_sandbox::protocol::{
    CreateContainer, Empty, OomRequest, ProcessRequest, Processes, Resize, SignalRequest, StatsReply,
};
use stockade_sandbox::{
    CgroupManager, CgroupParent, ContainerId, CreateRequest, DeleteMode, Error, ExecRequest, IsolationClass, PivotRoot,
    Result, Runtime, SessionKeyring, SignalTarget,
};

use crate::container::{Container, Oom, Process, Question};
use crate::request::{Create, Exec, Request};
use crate::root::Held;
use crate::server::Server;
use crate::spec::{self, Guest};
use crate::stdio::{Ours, Wiring};
use crate::world::World;
use crate::{surroundings, top};

type Answer = Result<Vec<u8>>;

impl Server {
    /// `None` when the answer comes later.
    pub(crate) fn answer(&mut self, question: Question, request: Request, now: Instant) -> Option<Answer> {
        let answer = match request {
            Request::Wait(request) => return self.wait_for(question, &request).err().map(Err),
            Request::WaitOom(request) => return self.wait_oom(question, &request).err().map(Err),
            Request::Shutdown(grace_ms) => {
                self.begin_ending(Some(question), Duration::from_millis(grace_ms.into()), now);
                return None;
            }
            Request::Stats(id) => self.stats(&id),
            Request::Processes(id) => self.processes(&id),
            other => self.do_it(other).map(|()| Empty {}.encode_to_vec()),
        };
        Some(answer.map_err(as_ours))
    }

    fn do_it(&mut self, request: Request) -> Result<()> {
        match request {
            Request::Configure(configure) => surroundings::configure(&self.world, &configure),
            Request::Create(create) => self.create(*create),
            Request::Exec(exec) => self.exec(*exec),
            Request::Start(id) => self.native.start(&id),
            Request::Signal(request) => self.signal(&request),
            Request::Resize(request) => self.resize(&request),
            Request::Update(id, mut resources) => {
                spec::adapt_resources(&mut resources);
                self.native.update(&id, &resources)
            }
            Request::Pause(id) => self.native.pause(&id),
            Request::Resume(id) => self.native.resume(&id),
            Request::Delete(id) => self.delete(&id),
            // Those whose answer is not empty are served by `answer`.
            _ => Ok(()),
        }
    }

    fn create(&mut self, create: Create) -> Result<()> {
        if self.containers.contains_key(create.id.as_str()) {
            return Err(Error::AlreadyExists);
        }
        if self.ending.is_some() {
            return Err(Error::Other("the machine is about to end".to_owned()));
        }
        let wiring = Wiring::new(&create.message.streams, &mut self.lobby)?;
        let mut held = Held::new(create.id.as_str())?;
        match self.create_in(&mut held, create.id.clone(), create, wiring) {
            Ok((id, init)) => {
                let oom = self.native.watch_oom(&id).ok().map(Oom::new);
                self.containers.insert(id.to_string(), Container::new(held, init, oom));
                Ok(())
            }
            Err(error) => {
                if let Err(error) = held.release(&self.world) {
                    self.world.say(&format!("clear away a container that failed: {error}"));
                }
                Err(error)
            }
        }
    }

    fn create_in(
        &self,
        held: &mut Held,
        id: ContainerId,
        create: Create,
        wiring: Wiring,
    ) -> Result<(ContainerId, Process)> {
        let Create { spec, message, .. } = create;
        let (rootfs, root) = held.open_root(&self.world, &message.root.clone().unwrap_or_default())?;
        let binds = binds(&spec, &message, held)?;
        let beside = message.beside.as_deref().map(|other| self.init_of(other)).transpose()?;
        let spec = Guest { id: id.as_str(), binds, root, beside }.adapt(spec)?;
        let (stdio, terminal, ours) = wiring.split();
        let request = CreateRequest {
            bundle: held.bundle().to_owned(),
            spec,
            rootfs,
            user: message.user,
            terminal,
            stdio,
            preserve_fds: 0,
            pid_file: None,
            pivot_root: PivotRoot::Pivot,
            keyring: SessionKeyring::New,
            cgroup_manager: CgroupManager::Cgroupfs,
            cgroup_parent: CgroupParent::Shared,
            sandbox: None,
            trace: None,
        };
        let pid = self.native.create(&id, request)?;
        match connect(pid, ours) {
            Ok(init) => Ok((id, init)),
            Err(error) => {
                self.native.delete(&id, DeleteMode::Force)?;
                Err(error)
            }
        }
    }

    fn init_of(&self, id: &str) -> Result<u32> {
        self.containers.get(id).ok_or(Error::NotFound)?.init().ok_or(Error::NotRunning)
    }

    fn exec(&mut self, exec: Exec) -> Result<()> {
        let Exec { id, process, message } = exec;
        let container = self.containers.get(id.as_str()).ok_or(Error::NotFound)?;
        if container.processes.get(&message.process).is_some_and(Process::is_alive) {
            return Err(Error::Other(format!("there is a process {:?}", message.process)));
        }
        let (stdio, terminal, ours) = Wiring::new(&message.streams, &mut self.lobby)?.split();
        let request = ExecRequest {
            process,
            user: message.user,
            terminal,
            stdio,
            preserve_fds: 0,
            pid_file: None,
            sub_cgroup: None,
            ignore_paused: false,
        };
        let pid = self.native.exec(&id, request)?;
        let process = connect(pid, ours).inspect_err(|_| {
            // It may have ended.
            let _ = Pid::from_raw(pid.cast_signed()).map(|pid| kill_process(pid, Signal::KILL));
        })?;
        if let Some(container) = self.containers.get_mut(id.as_str()) {
            container.add(message.process, process);
        }
        Ok(())
    }

    fn process(&mut self, id: &str, process: &str) -> Result<&mut Process> {
        let container = self.containers.get_mut(id).ok_or(Error::NotFound)?;
        container.processes.get_mut(process).ok_or(Error::NotRunning)
    }

    fn signal(&mut self, request: &SignalRequest) -> Result<()> {
        let SignalRequest { id, process, signal, all } = request;
        if process.is_empty() {
            let target = if *all { SignalTarget::All } else { SignalTarget::Init };
            let id = id.parse().map_err(|_| Error::NotFound)?;
            return self.native.signal(&id, *signal, target);
        }
        match self.process(id, process)? {
            process if process.is_alive() => {
                forward(process.pid, *signal);
                Ok(())
            }
            _ => Err(Error::NotRunning),
        }
    }

    fn resize(&mut self, request: &Resize) -> Result<()> {
        let cells = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        let size = Winsize { ws_row: cells(request.rows), ws_col: cells(request.columns), ws_xpixel: 0, ws_ypixel: 0 };
        match &self.process(&request.id, &request.process)?.streams.terminal {
            Some(terminal) => tcsetwinsize(terminal, size).map_err(|errno| Error::os("resize the terminal", errno)),
            None => Err(Error::Other("the process has no terminal".to_owned())),
        }
    }

    fn wait_for(&mut self, question: Question, request: &ProcessRequest) -> Result<()> {
        self.process(&request.id, &request.process).map(|process| process.wait(question))
    }

    fn wait_oom(&mut self, question: Question, request: &OomRequest) -> Result<()> {
        let container = self.containers.get_mut(&request.id).ok_or(Error::NotFound)?;
        let oom = container.oom.as_mut().ok_or_else(|| Error::Unsupported {
            class: IsolationClass::Vm,
            what: "watch for processes killed for lack of memory".to_owned(),
            why: "the guest's kernel has no memory controller".to_owned(),
        })?;
        oom.wait(question, request.seen);
        Ok(())
    }

    fn stats(&self, id: &ContainerId) -> Answer {
        let stats = serde_json::to_vec(&self.native.stats(id)?).map_err(|error| Error::Other(error.to_string()))?;
        Ok(StatsReply { stats }.encode_to_vec())
    }

    fn processes(&self, id: &ContainerId) -> Answer {
        let pids = self.native.processes(id)?;
        let entries = pids.into_iter().filter_map(top::entry).collect();
        Ok(Processes { pids: Vec::new(), entries }.encode_to_vec())
    }

    /// Whatever is left of the container ends; who waits for that is told first.
    fn delete(&mut self, id: &ContainerId) -> Result<()> {
        self.native.delete(id, DeleteMode::Force)?;
        let now = Instant::now();
        self.reap(now);
        let Some(mut container) = self.containers.remove(id.as_str()) else {
            return match Held::is_left(id.as_str()) {
                true => Err(Error::Other(format!("disks of {id} are still in use"))),
                false => Ok(()),
            };
        };
        for process in container.processes.values_mut() {
            process.streams.pump();
            process.streams.relays.clear();
            if let Some((wait_status, questions)) = process.settle(now) {
                let answer = stockade_sandbox::protocol::ExitStatus { wait_status }.encode_to_vec();
                questions.into_iter().for_each(|question| self.respond(question, Ok(answer.clone())));
            }
        }
        for question in container.oom.iter_mut().flat_map(Oom::abandon).collect::<Vec<_>>() {
            self.respond(question, Err(Error::NotFound));
        }
        container.held.release(&self.world)
    }
}

fn connect(pid: u32, ours: Ours) -> Result<Process> {
    Ok(Process::new(pid, ours.connect()?))
}

/// The sources of the spec's bind mounts: shares, and files that came along.
fn binds(spec: &oci_spec::runtime::Spec, message: &CreateContainer, held: &Held) -> Result<Vec<(usize, PathBuf)>> {
    let mut binds = Vec::new();
    for mount in &message.mounts {
        let source = mount.source.as_ref().ok_or_else(|| Error::InvalidConfig("a mount has no source".to_owned()))?;
        binds.push((usize::try_from(mount.mount).unwrap_or(usize::MAX), World::shared(source)?));
    }
    let files = held.write_files(&message.files)?;
    for (place, mount) in spec.mounts().iter().flatten().enumerate().filter(|(_, mount)| spec::is_bind(mount)) {
        let destination = mount.destination().to_string_lossy();
        let file = message.files.iter().position(|file| *file.destination == *destination);
        if let Some(path) = file.and_then(|number| files.get(number)) {
            binds.push((place, path.clone()));
        }
    }
    Ok(binds)
}

/// Class native speaks of itself; outside, it is a part of class vm.
fn as_ours(error: Error) -> Error {
    match error {
        Error::Unsupported { what, why, .. } => Error::Unsupported { class: IsolationClass::Vm, what, why },
        other => other,
    }
}
