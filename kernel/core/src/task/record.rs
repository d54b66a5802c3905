//! What proc(5) keeps about a process: settings that nothing here acts on, and the name that a zombie shows.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use stockade_kernel_sync::Mutex;

use super::Process;

/// MMF_DUMP_FILTER_DEFAULT: private and shared anonymous memory, ELF headers, private huge pages.
const DUMP_FILTER: u32 = 0x33;

/// The record of one process.
#[derive(Debug)]
pub(crate) struct Record {
    oom_score_adj: AtomicI32,
    /// What a process without CAP_SYS_RESOURCE can lower it to.
    oom_floor: AtomicI32,
    login_uid: AtomicU32,
    dump_filter: AtomicU32,
    last_name: Mutex<Vec<u8>>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            oom_score_adj: AtomicI32::new(0),
            oom_floor: AtomicI32::new(0),
            login_uid: AtomicU32::new(u32::MAX),
            dump_filter: AtomicU32::new(DUMP_FILTER),
            last_name: Mutex::default(),
        }
    }
}

impl Record {
    /// A child begins with what its parent has.
    pub fn inherit(&self, parent: &Record) {
        self.oom_score_adj.store(parent.oom_score_adj.load(Ordering::Relaxed), Ordering::Relaxed);
        self.oom_floor.store(parent.oom_floor.load(Ordering::Relaxed), Ordering::Relaxed);
        self.login_uid.store(parent.login_uid.load(Ordering::Relaxed), Ordering::Relaxed);
        self.dump_filter.store(parent.dump_filter.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// What oom_score_adj can be lowered to.
    pub fn oom_floor(&self) -> i32 {
        self.oom_floor.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_oom_floor(&self, value: i32) {
        self.oom_floor.store(value, Ordering::Relaxed);
    }

    /// Who logged in; `u32::MAX` for nobody.
    pub fn login_uid(&self) -> u32 {
        self.login_uid.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_login_uid(&self, uid: u32) {
        self.login_uid.store(uid, Ordering::Relaxed);
    }

    /// What a core dump would hold (core(5)).
    pub fn dump_filter(&self) -> u32 {
        self.dump_filter.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_dump_filter(&self, value: u32) {
        self.dump_filter.store(value, Ordering::Relaxed);
    }

    /// The name of the last task that ended.
    pub fn last_name(&self) -> Vec<u8> {
        self.last_name.lock().clone()
    }

    /// A task ends.
    pub fn set_last_name(&self, name: Vec<u8>) {
        *self.last_name.lock() = name;
    }
}

impl Process {
    /// How willingly it is killed when memory runs out: -1000..=1000.
    pub fn oom_score_adj(&self) -> i32 {
        self.record.oom_score_adj.load(Ordering::Relaxed)
    }

    /// What it has from outside, below which only privilege gets.
    pub(super) fn begin_with_oom_score_adj(&self, value: i32) {
        self.set_oom_score_adj(value);
        self.record.set_oom_floor(value);
    }

    /// Changes that.
    pub fn set_oom_score_adj(&self, value: i32) {
        self.record.oom_score_adj.store(value, Ordering::Relaxed);
    }
}
