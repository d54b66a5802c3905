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
    "test_poll",
    "test_fcntl",
    "test_resource",
    "test_wait3",
    "test_wait4",
    "test_fork1",
    "test_popen",
    "test_tempfile",
    "test_fileio",
    "test_thread",
];

#[test]
fn python_passes_its_tests_of_the_system() {
    same(FAST, Bounds { jobs: 2, suite: 60, all: Duration::from_secs(120) });
}
