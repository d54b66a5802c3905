//! What a task's names are resolved with.

use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::{MountNamespace, Path};
use crate::Kernel;
use crate::task::{Credentials, Task};

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// With which rights.
    pub credentials: Arc<Credentials>,
    /// Which task; `None` for the kernel itself.
    pub task: Option<Arc<Task>>,
}

impl Caller {
    /// A task with its rights of now.
    pub fn of(task: &Arc<Task>) -> Self {
        Self { credentials: task.credentials(), task: Some(task.clone()) }
    }

    /// The kernel itself, with somebody's rights.
    pub fn kernel(credentials: Arc<Credentials>) -> Self {
        Self { credentials, task: None }
    }
}

/// Root, working directory and umask: what CLONE_FS shares.
#[derive(Debug)]
pub struct FsContext {
    namespace: Arc<MountNamespace>,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    root: Path,
    cwd: Path,
    umask: u32,
}

impl FsContext {
    /// At the root of a namespace, with umask 022.
    pub fn new(namespace: Arc<MountNamespace>) -> Arc<Self> {
        let mut root = namespace.root();
        namespace.cross(&mut root);
        let state = Mutex::new(State { cwd: root.clone(), root, umask: 0o022 });
        Arc::new(Self { namespace, state })
    }

    /// A copy of its own, for a child without CLONE_FS.
    pub fn copy(&self) -> Arc<Self> {
        Arc::new(Self { namespace: self.namespace.clone(), state: Mutex::new(self.state.lock().clone()) })
    }

    /// The mounts.
    pub fn namespace(&self) -> &Arc<MountNamespace> {
        &self.namespace
    }

    /// What `/` means.
    pub fn root(&self) -> Path {
        self.state.lock().root.clone()
    }

    /// The working directory.
    pub fn cwd(&self) -> Path {
        self.state.lock().cwd.clone()
    }

    /// Both at once.
    pub fn places(&self) -> (Path, Path) {
        let state = self.state.lock();
        (state.root.clone(), state.cwd.clone())
    }

    /// chroot(2)
    pub fn set_root(&self, root: Path) {
        let old = core::mem::replace(&mut self.state.lock().root, root);
        drop(old);
    }

    /// chdir(2)
    pub fn set_cwd(&self, cwd: Path) {
        let old = core::mem::replace(&mut self.state.lock().cwd, cwd);
        drop(old);
    }

    /// Permission bits that new files do not get.
    pub fn umask(&self) -> u32 {
        self.state.lock().umask
    }

    /// Sets them, and says what they were.
    pub fn set_umask(&self, umask: u32) -> u32 {
        core::mem::replace(&mut self.state.lock().umask, umask & 0o777)
    }
}

impl Kernel {
    /// Moves everybody whose root or working directory is the root of `from` to `to`, as pivot_root(2) does.
    pub fn move_roots(&self, from: &Path, to: &Path) {
        for task in self.processes().iter().flat_map(|process| process.tasks()) {
            let context = task.fs();
            let mut state = context.state.lock();
            if state.root == *from {
                state.root = to.clone();
            }
            if state.cwd == *from {
                state.cwd = to.clone();
            }
        }
    }
}
