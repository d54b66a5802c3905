//! What a container's processes see of the system as a whole.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use super::Pids;
use crate::ipc::Ipc;
use crate::net::Net;
use crate::trace::Tracer;
use crate::tty::Terminals;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The namespaces of a container.
#[derive(Debug)]
pub struct Namespaces {
    id: u64,
    /// Its processes.
    pub pids: Pids,
    /// Its names.
    pub uts: Arc<Uts>,
    /// Its System V objects.
    pub ipc: Arc<Ipc>,
    /// Its network.
    pub net: Arc<Net>,
    /// Its terminals.
    pub terminals: Arc<Terminals>,
    is_traced: AtomicBool,
    tracer: Mutex<Option<Arc<Tracer>>>,
}

/// What a container shares with another one of its sandbox; the rest is its own.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Names.
    pub uts: Option<Arc<Uts>>,
    /// System V objects.
    pub ipc: Option<Arc<Ipc>>,
    /// The network.
    pub net: Option<Arc<Net>>,
}

impl Namespaces {
    /// With no process yet, and nothing shared.
    pub fn new(hostname: &[u8]) -> Arc<Self> {
        Self::beside(Shared::default(), hostname)
    }

    /// With no process yet. The host name is for names of its own.
    pub fn beside(shared: Shared, hostname: &[u8]) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            id,
            pids: Pids::default(),
            uts: shared.uts.unwrap_or_else(|| Arc::new(Uts::new(hostname))),
            ipc: shared.ipc.unwrap_or_default(),
            net: shared.net.unwrap_or_else(|| Arc::new(Net::new())),
            terminals: Terminals::new(),
            is_traced: AtomicBool::new(false),
            tracer: Mutex::new(None),
        })
    }

    /// A number that no other container's have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Has its processes traced from now on.
    pub fn set_tracer(&self, tracer: Arc<Tracer>) {
        *self.tracer.lock() = Some(tracer);
        self.is_traced.store(true, Ordering::Release);
    }

    /// Who traces its processes: mostly nobody, and then one load.
    pub(crate) fn tracer(&self) -> Option<Arc<Tracer>> {
        if self.is_traced.load(Ordering::Acquire) { self.tracer.lock().clone() } else { None }
    }
}

/// Names of the system (uname(2)).
#[derive(Debug)]
pub struct Uts {
    hostname: Mutex<Vec<u8>>,
    domainname: Mutex<Vec<u8>>,
}

impl Uts {
    /// Longest name in bytes.
    pub const NAME_BYTES_MAX: usize = 64;
    /// `sysname`
    pub const SYSNAME: &[u8] = b"Linux";
    /// `release`: what programs and libraries compare with what they need.
    pub const RELEASE: &[u8] = b"6.12.0-stockade";
    /// `version`
    pub const VERSION: &[u8] = b"#1 SMP PREEMPT_DYNAMIC Stockade";
    /// `machine`
    pub const MACHINE: &[u8] = b"x86_64";

    fn new(hostname: &[u8]) -> Self {
        Self { hostname: Mutex::new(hostname.to_vec()), domainname: Mutex::new(b"(none)".to_vec()) }
    }

    /// `nodename`
    pub fn hostname(&self) -> Vec<u8> {
        self.hostname.lock().clone()
    }

    /// sethostname(2)
    pub fn set_hostname(&self, name: Vec<u8>) {
        *self.hostname.lock() = name;
    }

    /// `domainname`
    pub fn domainname(&self) -> Vec<u8> {
        self.domainname.lock().clone()
    }

    /// setdomainname(2)
    pub fn set_domainname(&self, name: Vec<u8>) {
        *self.domainname.lock() = name;
    }
}
