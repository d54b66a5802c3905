//! The machine.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::{FakePool, FakeSpace};
use crate::Errno;
use crate::platform::{HostClock, Machine, MachineInfo, Pool, Space, UserRange};

/// The machine. Its entropy is a count, so that tests repeat.
#[derive(Debug)]
pub struct FakeMachine {
    me: Weak<FakeMachine>,
    info: MachineInfo,
    state: Mutex<State>,
    pool: FakePool,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    timer: Option<Duration>,
    entropy: u64,
}

impl FakeMachine {
    /// At time 0.
    pub fn new() -> Arc<Self> {
        let info = MachineInfo {
            user_range: UserRange { start: 0x1_0000, end: 0x7fff_0000_0000 },
            vdso_address: 0x7fff_8000_0000,
            vdso_range: UserRange { start: 0x7fff_7fff_c000, end: 0x7fff_8000_2000 },
            hwcap: [0x1234, 2],
            min_signal_stack_bytes: 2048,
            fp_state_bytes: 0,
            cpuinfo: "processor\t: 0\nvendor_id\t: Fake\ncpu MHz\t\t: 1000.000\nsiblings\t: 64\ncore id\t\t: 0\ncpu cores\t: 32\napicid\t\t: 0\ninitial apicid\t: 0\npower management:".into(),
            cpus: 4,
            memory_bytes: 1 << 30,
        };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            info,
            state: Mutex::new(State::default()),
            pool: FakePool::default(),
        })
    }

    /// Lets time pass; the caller rings `Kernel::timer_expired` when [`Self::timer`] is due.
    pub fn advance(&self, by: Duration) {
        self.state.lock().now += by;
    }

    /// Lets its pool hold so much.
    pub fn limit_pool(&self, bytes: u64) {
        self.pool.limit(bytes);
    }

    /// Words of its pool whose waiters were woken, in order.
    pub fn words_woken(&self) -> Vec<u64> {
        self.pool.woken()
    }

    /// When the kernel wants to be called.
    pub fn timer(&self) -> Option<Duration> {
        self.state.lock().timer
    }
}

impl Machine for FakeMachine {
    fn info(&self) -> &MachineInfo {
        &self.info
    }

    fn now(&self, _: HostClock) -> Duration {
        self.state.lock().now
    }

    fn set_timer(&self, at: Option<Duration>) {
        self.state.lock().timer = at;
    }

    fn random(&self, buffer: &mut [u8]) {
        let mut state = self.state.lock();
        for byte in buffer {
            state.entropy =
                state.entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.entropy.to_be_bytes()[0];
        }
    }

    fn create_space(&self) -> Result<Arc<dyn Space>, Errno> {
        Ok(FakeSpace::new(&self.me.upgrade().expect("the machine outlives its spaces")))
    }

    fn pool(&self) -> &dyn Pool {
        &self.pool
    }
}
