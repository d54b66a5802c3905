//! Class `kernel`: Python's own tests pass where they pass in class `native`: a selection of them.

mod kernel;

use std::time::Duration;

use kernel::python::{Bounds, same};

const FAST: &[&str] = &[
    "test_os",
    "test_posix",
    "test_select",
    "test_mmap",
    "test_epoll",
    "test_fcntl",
    "test_resource",
    "test_popen",
    "test_pty",
    "test_tempfile",
    "test_shutil",
    "test_pathlib",
    "test_fileio",
    "test_thread",
    "test_time",
    "test_threading=*LockTests*,*ThreadTests*,*ForkTests*,*ThreadJoinOnShutdown*",
    "test_signal=*Wakeup*,*Pending*,*Pidfd*,*Posix*",
    "test_subprocess=*POSIXProcessTestCase*",
    "test_socket=*GeneralModuleTests*,*RFC3542*,*SCMRights*,*UDPLITE*,*Sendfile*",
    "test.test_asyncio.test_unix_events",
    "test.test_asyncio.test_sendfile=*EPoll*",
    "test_multiprocessing_fork=*WithProcessesTestSharedMemory*,*WithProcessesTestQueue*,*WithProcessesTestSemaphore*",
];

#[test]
fn python_passes_its_tests_of_the_system() {
    same(FAST, Bounds { jobs: 2, suite: 120, all: Duration::from_secs(300) });
}
