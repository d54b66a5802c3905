//! The system calls of x86-64 that are served, and how far each is. docs/reference/syscalls.md is made from this, and
//! from the calls of `unserved`.

use super::{Call, Outcome};
use crate::task::Task;
use crate::wait::Stop;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How far a call is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux.
    Full,
    /// What is lacking.
    Partial(&'static str),
    /// Refused with ENOSYS, and why.
    None(&'static str),
}

type Handler = fn(&Arc<Task>, &mut Call) -> Result<Outcome, Stop>;

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// Its name in section 2 of the manual.
    pub name: &'static str,
    /// How far it is supported.
    pub support: Support,
    /// Which file of `kernel/core/src/syscall` serves it.
    pub family: &'static str,
    /// What serves it.
    pub handler: Option<Handler>,
}

macro_rules! calls {
    ($($number:literal $family:ident :: $name:ident $support:expr;)*) => {
        /// The calls that are served, by rising number.
        pub const TABLE: &[Entry] = &[$(Entry {
            number: $number,
            name: stringify!($name),
            support: $support,
            family: stringify!($family),
            handler: Some(|task, call| super::$family::$name(task, call).map(Outcome::from)),
        },)*];
    };
}

use Support::{Full, Partial};
calls! {
    0 read_write::read Full;
    1 read_write::write Full;
    2 open::open Full;
    3 descriptors::close Full;
    4 stat::stat Full;
    5 stat::fstat Full;
    6 stat::lstat Full;
    7 poll::poll Full;
    8 seek::lseek Full;
    9 mmap::mmap Full;
    10 mmap::mprotect Full;
    11 mmap::munmap Full;
    12 mmap::brk Full;
    13 sigaction::rt_sigaction Full;
    14 sigaction::rt_sigprocmask Full;
    15 sigaction::rt_sigreturn Full;
    16 ioctl::ioctl Full;
    17 read_write::pread64 Full;
    18 read_write::pwrite64 Full;
    19 read_write::readv Full;
    20 read_write::writev Full;
    21 attributes::access Full;
    22 pipe::pipe Full;
    23 select::select Full;
    24 sched::sched_yield Full;
    25 mmap::mremap Full;
    26 madvise::msync Full;
    27 madvise::mincore Full;
    28 madvise::madvise Partial("without KSM");
    29 shm::shmget Full;
    30 shm::shmat Full;
    31 shm::shmctl Full;
    32 descriptors::dup Full;
    33 descriptors::dup2 Full;
    34 sigaction::pause Full;
    35 clock::nanosleep Full;
    36 timers::getitimer Full;
    37 timers::alarm Full;
    38 timers::setitimer Full;
    39 ids::getpid Full;
    40 copy::sendfile Full;
    41 socket::socket Partial("no virtual machine sockets; raw and packet sockets see no TCP");
    42 socket::connect Full;
    43 socket::accept Full;
    44 send::sendto Partial("out-of-band data of TCP only, without SIGURG");
    45 receive::recvfrom Partial("no error queue");
    46 send::sendmsg Partial("out-of-band data of TCP only, without SIGURG");
    47 receive::recvmsg Partial("no error queue");
    48 socket::shutdown Full;
    49 socket::bind Full;
    50 socket::listen Full;
    51 socket::getsockname Full;
    52 socket::getpeername Full;
    53 socket::socketpair Full;
    54 sockopt::setsockopt Partial("no filters");
    55 sockopt::getsockopt Full;
    56 clone::clone Partial("no namespaces (EPERM), no CLONE_PTRACE");
    57 clone::fork Full;
    58 clone::vfork Full;
    59 exec::execve Full;
    60 clone::exit Full;
    61 wait4::wait4 Full;
    62 kill::kill Full;
    63 system::uname Full;
    64 sem::semget Full;
    65 sem::semop Full;
    66 sem::semctl Full;
    67 shm::shmdt Full;
    68 msg::msgget Full;
    69 msg::msgsnd Full;
    70 msg::msgrcv Full;
    71 msg::msgctl Full;
    72 descriptors::fcntl Partial("no leases");
    73 locks::flock Full;
    74 seek::fsync Full;
    75 seek::fdatasync Full;
    76 seek::truncate Full;
    77 seek::ftruncate Full;
    78 directory::getdents Full;
    79 directory::getcwd Full;
    80 directory::chdir Full;
    81 directory::fchdir Full;
    82 names::rename Full;
    83 names::mkdir Full;
    84 names::rmdir Full;
    85 open::creat Full;
    86 names::link Full;
    87 names::unlink Full;
    88 names::symlink Full;
    89 names::readlink Full;
    90 attributes::chmod Full;
    91 attributes::fchmod Full;
    92 attributes::chown Full;
    93 attributes::fchown Full;
    94 attributes::lchown Full;
    95 attributes::umask Full;
    96 clock::gettimeofday Full;
    97 usage::getrlimit Full;
    98 usage::getrusage Partial("the most memory is what it has at its end, unless it gave back much; no counts of blocks");
    99 system::sysinfo Full;
    100 usage::times Full;
    102 ids::getuid Full;
    103 system::syslog Partial("no log: EPERM");
    104 ids::getgid Full;
    105 ids::setuid Full;
    106 ids::setgid Full;
    107 ids::geteuid Full;
    108 ids::getegid Full;
    109 groups::setpgid Full;
    110 ids::getppid Full;
    111 groups::getpgrp Full;
    112 groups::setsid Full;
    113 ids::setreuid Full;
    114 ids::setregid Full;
    115 ids::getgroups Full;
    116 ids::setgroups Full;
    117 ids::setresuid Full;
    118 ids::getresuid Full;
    119 ids::setresgid Full;
    120 ids::getresgid Full;
    121 groups::getpgid Full;
    122 ids::setfsuid Full;
    123 ids::setfsgid Full;
    124 groups::getsid Full;
    125 capabilities::capget Full;
    126 capabilities::capset Full;
    127 sigaction::rt_sigpending Full;
    128 sigaction::rt_sigtimedwait Full;
    129 kill::rt_sigqueueinfo Full;
    130 sigaction::rt_sigsuspend Full;
    131 sigaction::sigaltstack Full;
    132 attributes::utime Full;
    133 names::mknod Full;
    135 prctl::personality Partial("kept, without effect");
    137 stat::statfs Full;
    138 stat::fstatfs Full;
    140 sched::getpriority Full;
    141 sched::setpriority Partial("kept, the host schedules");
    142 sched::sched_setparam Partial("kept, the host schedules");
    143 sched::sched_getparam Full;
    144 sched::sched_setscheduler Partial("kept, the host schedules");
    145 sched::sched_getscheduler Full;
    146 sched::sched_get_priority_max Full;
    147 sched::sched_get_priority_min Full;
    148 sched::sched_rr_get_interval Full;
    149 madvise::mlock Full;
    150 madvise::munlock Full;
    151 madvise::mlockall Full;
    152 madvise::munlockall Full;
    153 system::vhangup Partial("refused: EPERM");
    155 mount::pivot_root Full;
    157 prctl::prctl Partial("no PR_SET_MM, seccomp, tracing or speculation control (EINVAL)");
    158 prctl::arch_prctl Partial("no faulting cpuid, shadow stacks or components of extended state");
    159 clock::adjtimex Partial("only looking, EPERM otherwise");
    160 usage::setrlimit Full;
    161 directory::chroot Full;
    162 seek::sync Full;
    163 system::acct Partial("refused: EPERM");
    164 system::settimeofday Partial("refused: EPERM");
    165 mount::mount Partial("new tmpfs, proc, sysfs and their like; nothing propagates");
    166 mount::umount2 Full;
    167 system::swapon Partial("refused: EPERM");
    168 system::swapoff Partial("refused: EPERM");
    169 system::reboot Partial("refused: EPERM");
    170 system::sethostname Full;
    171 system::setdomainname Full;
    172 system::iopl Partial("refused: EPERM");
    173 system::ioperm Partial("refused: EPERM");
    175 system::init_module Partial("refused: EPERM");
    176 system::delete_module Partial("refused: EPERM");
    179 system::quotactl Partial("refused: EPERM");
    186 ids::gettid Full;
    187 seek::readahead Full;
    188 xattr::setxattr Full;
    189 xattr::lsetxattr Full;
    190 xattr::fsetxattr Full;
    191 xattr::getxattr Full;
    192 xattr::lgetxattr Full;
    193 xattr::fgetxattr Full;
    194 xattr::listxattr Full;
    195 xattr::llistxattr Full;
    196 xattr::flistxattr Full;
    197 xattr::removexattr Full;
    198 xattr::lremovexattr Full;
    199 xattr::fremovexattr Full;
    200 kill::tkill Full;
    201 clock::time Full;
    202 futex::futex Partial("without FUTEX_FD");
    203 sched::sched_setaffinity Partial("kept, the host schedules");
    204 sched::sched_getaffinity Full;
    206 aio::io_setup Full;
    207 aio::io_destroy Full;
    208 aio::io_getevents Full;
    209 aio::io_submit Partial("carried out at once; without IOCB_CMD_POLL");
    210 aio::io_cancel Full;
    212 system::lookup_dcookie Partial("refused: EPERM");
    213 epoll::epoll_create Full;
    217 directory::getdents64 Full;
    218 clone::set_tid_address Full;
    220 sem::semtimedop Full;
    221 seek::fadvise64 Full;
    222 timers::timer_create Full;
    223 timers::timer_settime Full;
    224 timers::timer_gettime Full;
    225 timers::timer_getoverrun Full;
    226 timers::timer_delete Full;
    227 system::clock_settime Partial("refused: EPERM");
    228 clock::clock_gettime Full;
    229 clock::clock_getres Full;
    230 clock::clock_nanosleep Full;
    231 clone::exit_group Full;
    232 epoll::epoll_wait Full;
    233 epoll::epoll_ctl Full;
    234 kill::tgkill Full;
    235 attributes::utimes Full;
    240 mq::mq_open Full;
    241 mq::mq_unlink Full;
    242 mq::mq_timedsend Full;
    243 mq::mq_timedreceive Full;
    244 mq::mq_notify Full;
    245 mq::mq_getsetattr Full;
    246 system::kexec_load Partial("refused: EPERM");
    247 wait4::waitid Full;
    251 sched::ioprio_set Partial("kept, the host schedules");
    252 sched::ioprio_get Full;
    253 inotify::inotify_init Full;
    254 inotify::inotify_add_watch Full;
    255 inotify::inotify_rm_watch Full;
    257 open::openat Full;
    258 names::mkdirat Full;
    259 names::mknodat Full;
    260 attributes::fchownat Full;
    261 attributes::futimesat Full;
    262 stat::newfstatat Full;
    263 names::unlinkat Full;
    264 names::renameat Full;
    265 names::linkat Full;
    266 names::symlinkat Full;
    267 names::readlinkat Full;
    268 attributes::fchmodat Full;
    269 attributes::faccessat Full;
    270 select::pselect6 Full;
    271 poll::ppoll Full;
    272 clone::unshare Partial("no namespaces: EPERM");
    273 clone::set_robust_list Full;
    274 clone::get_robust_list Full;
    275 splice::splice Full;
    276 splice::tee Full;
    277 seek::sync_file_range Full;
    278 splice::vmsplice Full;
    280 attributes::utimensat Full;
    281 epoll::epoll_pwait Full;
    282 signalfd::signalfd Full;
    283 timers::timerfd_create Full;
    284 eventfd::eventfd Full;
    285 seek::fallocate Full;
    286 timers::timerfd_settime Full;
    287 timers::timerfd_gettime Full;
    288 socket::accept4 Full;
    289 signalfd::signalfd4 Full;
    290 eventfd::eventfd2 Full;
    291 epoll::epoll_create1 Full;
    292 descriptors::dup3 Full;
    293 pipe::pipe2 Full;
    294 inotify::inotify_init1 Full;
    295 read_write::preadv Full;
    296 read_write::pwritev Full;
    297 kill::rt_tgsigqueueinfo Full;
    298 system::perf_event_open Partial("refused: EPERM");
    299 receive::recvmmsg Full;
    300 system::fanotify_init Support::None("ENOSYS, as Linux without CONFIG_FANOTIFY; inotify tells of changes");
    301 system::fanotify_mark Support::None("ENOSYS, as fanotify_init");
    302 usage::prlimit64 Full;
    303 handles::name_to_handle_at Full;
    304 handles::open_by_handle_at Partial("files of tmpfs and cgroup2");
    305 clock::clock_adjtime Partial("only looking, EPERM otherwise");
    306 seek::syncfs Full;
    307 send::sendmmsg Full;
    308 clone::setns Partial("no namespaces: EINVAL");
    309 sched::getcpu Partial("always CPU 0 of node 0");
    310 process_vm::process_vm_readv Full;
    311 process_vm::process_vm_writev Full;
    312 kcmp::kcmp Partial("no KCMP_EPOLL_TFD");
    313 system::finit_module Partial("refused: EPERM");
    314 sched::sched_setattr Partial("kept, no SCHED_DEADLINE, the host schedules");
    315 sched::sched_getattr Full;
    316 names::renameat2 Full;
    318 system::getrandom Full;
    319 memfd::memfd_create Partial("without huge pages");
    320 system::kexec_file_load Partial("refused: EPERM");
    321 system::bpf Partial("refused: EPERM");
    322 exec::execveat Full;
    324 madvise::membarrier Partial("without restartable sequences");
    325 madvise::mlock2 Full;
    326 copy::copy_file_range Full;
    327 read_write::preadv2 Full;
    328 read_write::pwritev2 Full;
    329 mmap::pkey_mprotect Partial("only with the default key");
    332 stat::statx Full;
    333 aio::io_pgetevents Full;
    424 kill::pidfd_send_signal Full;
    428 open_tree::open_tree Full;
    429 open_tree::move_mount Partial("nothing propagates");
    430 fsopen::fsopen Full;
    431 fsopen::fsconfig Full;
    432 fsopen::fsmount Full;
    433 fsopen::fspick Full;
    434 pidfd::pidfd_open Full;
    435 clone::clone3 Partial("as clone, no CLONE_INTO_CGROUP");
    436 descriptors::close_range Full;
    437 open::openat2 Full;
    438 pidfd::pidfd_getfd Full;
    439 attributes::faccessat2 Full;
    441 epoll::epoll_pwait2 Full;
    442 mount_attributes::mount_setattr Partial("no mapped ids; nothing propagates");
    449 futex::futex_waitv Full;
    452 attributes::fchmodat2 Full;
    454 futex::futex_wake Full;
    455 futex::futex_wait Full;
    456 futex::futex_requeue Full;
    457 statmount::statmount Full;
    458 statmount::listmount Full;
    467 mount_attributes::open_tree_attr Partial("no mapped ids; nothing propagates");
}

/// How many numbers there are.
const COUNT: usize = 512;

/// Index into [`TABLE`] by number, plus one.
const BY_NUMBER: [u16; COUNT] = {
    let mut index = [0; COUNT];
    let mut at = 0;
    while at < TABLE.len() {
        #[expect(clippy::cast_possible_truncation, reason = "the table is shorter than 65536")]
        {
            index[TABLE[at].number as usize] = at as u16 + 1;
        }
        at += 1;
    }
    index
};

/// The entry of a number, if the call is served.
pub fn entry(number: u32) -> Option<&'static Entry> {
    let at = *BY_NUMBER.get(usize::try_from(number).ok()?)?;
    TABLE.get(usize::from(at).checked_sub(1)?)
}

/// The calls that must come with a frame ([`crate::platform::Form::Trapped`]): they change registers, or the address
/// space at a place that the kernel chooses. A thread mostly sends signals to itself by its id (raise(3), abort(3)),
/// and then enters the handler straight from the call.
const TRAPPED: &[&str] = &[
    "brk",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "mmap",
    "mremap",
    "rt_sigreturn",
    "shmat",
    "shmdt",
    "sigaltstack",
    "tgkill",
    "tkill",
    "vfork",
];

/// The numbers of the calls that must come with a frame.
pub fn trapped_calls() -> Vec<u32> {
    TABLE.iter().filter(|entry| TRAPPED.contains(&entry.name)).map(|entry| entry.number).collect()
}
