//! Class `kernel`: Python's own tests pass where they pass in class `native`: all that ask the kernel for something.

mod kernel;

use std::time::Duration;

use kernel::python::{Bounds, same};

const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn check(suites: &[&str]) {
    same(suites, Bounds { jobs: 2, suite: 600, all: 30 * MINUTE });
}

#[test]
fn processes_and_signals() {
    check(&[
        "test_subprocess",
        "test_signal",
        "test_posix",
        "test_eintr",
        "test_threadsignals",
        "test_faulthandler",
        "test_wait3",
        "test_wait4",
        "test_fork1",
        "test_popen",
        "test_pty",
        "test_openpty",
        "test_ioctl",
        "test_cmd_line",
        "test_cmd_line_script",
        "test_atexit",
        "test_pipes",
        "test_resource",
        "test_pwd",
        "test_grp",
        "test_syslog",
        "test_venv",
        "test_platform",
        "test_sys",
        "test_site",
    ]);
}

#[test]
fn threads() {
    check(&[
        "test_threading",
        "test_thread",
        "test_threading_local",
        "test_threadedtempfile",
        "test_queue",
        "test_sched",
        "test_concurrent_futures",
    ]);
}

#[test]
fn files() {
    check(&[
        "test_os",
        "test_posixpath",
        "test_genericpath",
        "test_pathlib",
        "test_glob",
        "test_shutil",
        "test_tempfile",
        "test_io",
        "test_fileio",
        "test_file",
        "test_file_eintr",
        "test_bufio",
        "test_mmap",
        "test_fcntl",
        "test_stat",
        "test_filecmp",
        "test_fileinput",
        "test_mailbox",
        "test_dbm",
        "test_dbm_dumb",
        "test_zipfile",
        "test_zipimport",
        "test_tarfile",
        "test_gzip",
        "test_bz2",
        "test_lzma",
        "test_shelve",
        "test_import",
        "test_compileall",
        "test_logging",
    ]);
}

/// Apart, since they take gigabytes: the writable layer is in memory.
#[test]
fn large_files() {
    check(&["test_largefile"]);
}

#[test]
fn waiting_and_time() {
    check(&[
        "test_select",
        "test_poll",
        "test_epoll",
        "test_selectors",
        "test_time",
        "test_timeout",
        "test_datetime",
        "test_zoneinfo",
    ]);
}

#[test]
fn sockets() {
    check(&[
        "test_socket",
        "test_socketserver",
        "test_asyncore",
        "test_asynchat",
        "test_ftplib",
        "test_httplib",
        "test_httpservers",
        "test_imaplib",
        "test_nntplib",
        "test_poplib",
        "test_smtpd",
        "test_smtplib",
        "test_ssl",
        "test_telnetlib",
        "test_urllib2_localnet",
        "test_wsgiref",
        "test_xmlrpc",
    ]);
}

#[test]
fn asyncio() {
    check(&["test_asyncio"]);
}

#[test]
fn multiprocessing() {
    check(&[
        "test_multiprocessing_fork",
        "test_multiprocessing_spawn",
        "test_multiprocessing_forkserver",
        "test_multiprocessing_main_handling",
    ]);
}
