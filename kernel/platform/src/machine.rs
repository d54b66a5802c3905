//! The machine: what all spaces of a sandbox share.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stockade_kernel::Errno;
use stockade_kernel::platform::{Blob, BlobId, HostClock, HostFile, Machine, MachineInfo, Pool, Space, Store, Wake};
use stockade_kernel_stub::abi::{
    self, Command, Hello, Message, RawCall, SAID_BORN, SAID_STILLBORN, SAID_THREAD, Token,
};

use crate::blob::Blobs;
use crate::boot::{BootSocket, Progress, Said, Spawner};
use crate::file::Files;
use crate::path::TrapPath;
use crate::pool::HostPool;
use crate::procfs::{Expendable, Proc};
use crate::random;
use crate::receivers::Receivers;
use crate::space::HostSpace;
use crate::stub::{Inherited, Slots, Stub};
use crate::sys::memory;
use crate::sys::seccomp::Listener;
use crate::thread::Entry;
use crate::timer::Timer;
use crate::turn::Untold;
use crate::watch::Watch;
use crate::watchdog::Watchdog;
use crate::zygote::{self, Zygote};

/// Where the first thread of an empty stub waits.
const FIRST_SLOT: u32 = 1;

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most bytes of the pool: tmpfs files and shared memory.
    pub pool_bytes_max: u64,
    /// Control groups that applications live in: each a file to write `0` to.
    pub groups: Arc<[OwnedFd]>,
    /// Numbers of the system calls that need registers or host calls, and so go through the stub's handler.
    pub trapped_calls: Vec<u32>,
    /// Numbers of system calls that fail with ENOSYS without being asked about.
    pub absent_calls: Vec<u32>,
}

/// A machine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A step failed.
    #[error("{step}: {source}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A path was asked for.
    #[error("this host's kernel cannot do the trap path {asked:?}, only {best:?}")]
    Path {
        /// Which.
        asked: TrapPath,
        /// What it can do.
        best: TrapPath,
    },
}

impl StartError {
    pub(crate) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| StartError::Step { step, source: source.into() }
    }
}

/// Applications in host processes.
#[derive(Debug)]
pub struct HostMachine {
    shared: Arc<Shared>,
    timer: Timer,
    zygote: Zygote,
    /// Whether a space was asked for.
    has_spaces: AtomicBool,
}

/// What threads and spaces need of their machine.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: MachineInfo,
    pub(crate) hello: Hello,
    pub(crate) pool: HostPool,
    pub(crate) blobs: Blobs,
    pub(crate) files: Arc<Files>,
    pub(crate) proc: Proc,
    pub(crate) path: TrapPath,
    pub(crate) receivers: Arc<Receivers>,
    pub(crate) watchdog: Arc<Watchdog>,
    boot: Mutex<BootSocket>,
    watch: Watch,
    untold: Untold,
}

impl HostMachine {
    /// Starts the zygote and the machine's own threads.
    pub fn start(options: &Options) -> Result<Arc<Self>, StartError> {
        Self::start_on(options, TrapPath::of_host().map_err(StartError::at("see what seccomp can do"))?)
    }

    /// The same on a chosen path, which may be older than the host.
    pub fn start_on(options: &Options, path: TrapPath) -> Result<Arc<Self>, StartError> {
        crate::park::set_up();
        demand(path)?;
        let proc = Proc::open().map_err(StartError::at("open /proc"))?;
        let pool = HostPool::new(options.pool_bytes_max).map_err(StartError::at("make the memory pool"))?;
        let (zygote, started) = zygote::start(options, path, &proc)?;
        let shared = Arc::new(Shared {
            info: started.info,
            hello: started.hello,
            pool,
            blobs: Blobs::default(),
            files: Arc::default(),
            proc,
            path,
            receivers: Arc::default(),
            watchdog: Arc::default(),
            boot: Mutex::new(started.boot),
            watch: Watch::start().map_err(StartError::at("watch processes"))?,
            untold: Untold::default(),
        });
        let timer = Timer::start().map_err(StartError::at("make a timer"))?;
        // The sandbox's first program will want it soon.
        shared.order_ahead(zygote.spawner());
        Ok(Arc::new(Self { shared, timer, zygote, has_spaces: AtomicBool::new(false) }))
    }

    /// The trap path in use.
    pub fn path(&self) -> TrapPath {
        self.shared.path
    }

    /// Kills whatever is left, when the process is about to end: both take time, and can do so at once.
    pub fn kill_all(&self) {
        self.zygote.kill_all();
    }

    /// Whom [`Machine::set_timer`] wakes.
    pub fn on_timer(&self, wake: Arc<dyn Wake>) {
        self.timer.on_expiry(wake);
    }

    /// Takes a file of the host that never changes, an EROFS layer, so that spaces can map it.
    pub fn add_blob(&self, file: OwnedFd) -> io::Result<Arc<dyn Blob>> {
        self.shared.blobs.add(file)
    }

    /// Takes a regular file of the host that anybody may change, so that the kernel can use it and spaces can map it.
    pub fn add_file(&self, file: OwnedFd) -> Arc<dyn HostFile> {
        self.shared.files.add(file)
    }

    /// Takes an unlinked file of the host that nobody else has, as a part of the pool. Its length says how much it may
    /// hold.
    pub fn add_store(&self, file: OwnedFd) -> io::Result<Arc<dyn Store>> {
        Ok(self.shared.pool.add_store(file)?)
    }

    /// A blob that was added.
    pub fn blob(&self, id: BlobId) -> Option<Arc<dyn Blob>> {
        self.shared.blobs.get(id)
    }
}

impl Drop for HostMachine {
    /// The copy that nobody needed ends as others do.
    fn drop(&mut self) {
        let ahead = self.shared.boot().take_ahead(self.zygote.spawner());
        if let Ok(Some(said)) = ahead {
            drop(self.shared.adopt(said, FIRST_SLOT, Inherited::default()));
        }
    }
}

fn demand(asked: TrapPath) -> Result<(), StartError> {
    let best = TrapPath::of_host().map_err(StartError::at("see what seccomp can do"))?;
    if asked <= best { Ok(()) } else { Err(StartError::Path { asked, best }) }
}

impl Machine for HostMachine {
    fn info(&self) -> &MachineInfo {
        &self.shared.info
    }

    fn now(&self, clock: HostClock) -> Duration {
        crate::timer::now(clock)
    }

    fn set_timer(&self, at: Option<Duration>) {
        self.timer.set(at);
    }

    fn random(&self, buffer: &mut [u8]) {
        random::fill(buffer);
    }

    fn create_space(&self) -> Result<Arc<dyn Space>, Errno> {
        let zygote = self.zygote.spawner();
        let NewStub { stub, listener, .. } = self.shared.empty_stub(zygote)?;
        let listener = Listener::new(listener.ok_or(Errno::EAGAIN)?, self.shared.path);
        // Where programs begin in new spaces again and again, there is always one ahead.
        if self.has_spaces.swap(true, Ordering::Relaxed) {
            self.shared.order_ahead(zygote);
        }
        Ok(Arc::new(HostSpace::with_thread(self.shared.clone(), Arc::new(stub), (FIRST_SLOT, listener))))
    }

    fn pool(&self) -> &dyn Pool {
        &self.shared.pool
    }
}

/// A new process, and the listener of its first thread if one was asked for.
#[derive(Debug)]
pub(crate) struct NewStub {
    pub(crate) stub: Stub,
    pub(crate) listener: Option<OwnedFd>,
    /// The host's id of that thread, as the process says.
    pub(crate) thread: i64,
}

impl Shared {
    fn boot(&self) -> MutexGuard<'_, BootSocket> {
        self.boot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a process copied. `slot`: of the copy's first thread; 0 for none. `parent`: unless it is the zygote, with
    /// what the thread enters with.
    pub(crate) fn fork_stub(
        &self,
        spawner: Spawner<'_>,
        slot: u32,
        parent: Option<(&Stub, &Entry<'_>)>,
    ) -> Result<NewStub, Errno> {
        let inherited = parent.map(|(stub, _)| stub.bequeath()).unwrap_or_default();
        let token = token();
        let mut born = Err(Errno::EAGAIN);
        let order = Order { entry: parent.map(|(_, entry)| entry), ..Order::new(Command::Fork(slot, token)) };
        self.order(spawner, &order, |said| {
            match said.message.kind {
                // Whoever knows the token is the copy, or has its parent's memory, and cheats itself.
                SAID_BORN if said.message.value == token.value() => born = Ok(said),
                SAID_STILLBORN if said.sender == spawner.pid => born = Err(errno(said.message)),
                _ => return Progress::Refused,
            }
            Progress::Done
        })?;
        self.adopt(born?, slot, inherited)
    }

    /// A copy of the zygote with one thread: the one that was ordered ahead, if there is one.
    fn empty_stub(&self, zygote: Spawner<'_>) -> Result<NewStub, Errno> {
        let ahead = self.boot().take_ahead(zygote).map_err(|error| given_up(&error, zygote))?;
        match ahead {
            Some(said) => self.adopt(said, FIRST_SLOT, Inherited::default()),
            None => self.fork_stub(zygote, FIRST_SLOT, None),
        }
    }

    /// Has the zygote make such a copy for whoever needs one next. If it cannot, nothing is lost.
    fn order_ahead(&self, zygote: Spawner<'_>) {
        let token = token();
        let mut boot = self.boot();
        if let Err(error) = boot.order_ahead(zygote.pid, FIRST_SLOT, token) {
            tracing::debug!(%error, "no stub is made ahead");
        }
    }

    /// Where the host refuses (its caller set a score that nobody may lower), its own choice counts.
    pub(crate) fn set_expendable(&self, pid: Pid, expendable: Expendable) {
        if let Err(error) = self.proc.set_expendable(pid, expendable) {
            tracing::debug!(%error, pid = pid.as_raw_nonzero(), "the host chooses who ends for lack of memory");
        }
    }

    /// Sees whose turn it is once there is one more copy.
    pub(crate) fn see_turns(&self, copy: &Arc<Stub>) {
        self.see_turn(copy);
        if let Some(oldest) = self.untold.add(copy) {
            self.set_expendable(oldest.pid(), Expendable::First);
        }
    }

    /// Tells the host that a process ends early, if it has mapped much.
    pub(crate) fn see_turn(&self, stub: &Stub) {
        if stub.turn().has_grown() {
            self.set_expendable(stub.pid(), Expendable::First);
        }
    }

    /// Takes over a copy that spoke.
    fn adopt(&self, said: Said, slot: u32, inherited: Inherited) -> Result<NewStub, Errno> {
        let stub = Stub::new(said.sender, Slots::after(slot), inherited).map_err(|_| Errno::EAGAIN)?;
        self.watch.add(stub.pidfd(), stub.life()).map_err(|_| Errno::ENOMEM)?;
        Ok(NewStub { stub, listener: said.descriptor, thread: said.message.thread })
    }

    /// Has a thread made in a slot; gives its listener.
    pub(crate) fn make_thread(&self, spawner: Spawner<'_>, slot: u32, entry: &Entry<'_>) -> Result<OwnedFd, Errno> {
        let mut result = Err(Errno::EAGAIN);
        let order = Order { entry: Some(entry), ..Order::new(Command::Thread(slot)) };
        self.order(spawner, &order, |said| {
            let is_answer = (said.sender, said.message.kind, said.message.slot) == (spawner.pid, SAID_THREAD, slot);
            if !is_answer {
                return Progress::Refused;
            }
            result = match said.descriptor {
                Some(listener) => Ok(listener),
                None if said.message.value < 0 => Err(errno(said.message)),
                None => {
                    // No descriptor was left here for the listener: its thread would run, and nobody would hear it.
                    let _already_dead = kill_process(spawner.pid, Signal::KILL);
                    Err(Errno::EAGAIN)
                }
            };
            Progress::Done
        })?;
        result
    }

    /// Asks a spawner. One that does not answer is killed.
    pub(crate) fn order(
        &self,
        spawner: Spawner<'_>,
        order: &Order<'_>,
        done: impl FnMut(Said) -> Progress,
    ) -> Result<(), Errno> {
        let mut boot = self.boot();
        if !order.put(spawner) {
            return Err(Errno::EAGAIN);
        }
        boot.request(spawner, order.command, done).map_err(|error| given_up(&error, spawner))
    }
}

/// What a spawner is told to do.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    command: Command,
    /// In its slot.
    call: Option<RawCall>,
    /// In the slot of the thread that it makes.
    entry: Option<&'a Entry<'a>>,
}

impl<'a> Order<'a> {
    /// Without arguments.
    pub(crate) fn new(command: Command) -> Self {
        Self { command, call: None, entry: None }
    }

    /// With these.
    pub(crate) fn with(self, [a, b, c]: [u64; 3]) -> Self {
        Self { call: Some(RawCall { number: 0, arguments: [a, b, c, 0, 0, 0] }), ..self }
    }

    /// Leaves all of it in the slots, at once; false when the spawner is dead.
    fn put(&self, spawner: Spawner<'_>) -> bool {
        let call = self.call.as_ref().map(|call| (abi::slot_address(0) + abi::CALLS_OFFSET, memory::bytes_of(call)));
        let is_told = call.is_none_or(|call| memory::write_pieces(spawner.pid, &[call]));
        is_told && self.entry.is_none_or(|entry| entry.write(spawner.pid).is_ok())
    }
}

/// A spawner did not answer. One that takes too long is killed.
fn given_up(error: &io::Error, spawner: Spawner<'_>) -> Errno {
    tracing::warn!(%error, pid = spawner.pid.as_raw_nonzero(), "a spawner did not answer");
    if error.kind() == io::ErrorKind::TimedOut {
        let _already_dead = kill_process(spawner.pid, Signal::KILL);
    }
    Errno::EAGAIN
}

/// A number that nobody guesses.
fn token() -> Token {
    let mut bytes = [0; 8];
    random::fill(&mut bytes);
    Token::new(u64::from_ne_bytes(bytes))
}

fn errno(message: Message) -> Errno {
    let number = i32::try_from(message.value.wrapping_neg()).ok();
    number.and_then(Errno::from_raw).unwrap_or(Errno::EAGAIN)
}
