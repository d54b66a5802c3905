//! System call numbers of x86, by name (arch/x86/entry/syscalls in Linux 6.18).

/// One name and its number in each of the three call tables.
pub(super) struct Call {
    pub name: &'static str,
    /// x86_64, i386, x32 (less the bit that marks x32); `NO` where the table lacks it.
    pub numbers: [u16; 3],
}

/// No such call.
pub(super) const NO: u16 = u16::MAX;

const fn c(name: &'static str, x86_64: u16, i386: u16, x32: u16) -> Call {
    Call { name, numbers: [x86_64, i386, x32] }
}

/// Looks a name up. Profiles name hundreds, so this is a hash table, made by the compiler.
pub(super) fn find(name: &str) -> Option<&'static Call> {
    let mut slot = hash(name.as_bytes());
    while let Some(call) = CALLS.get(usize::from(SLOTS[slot])) {
        if call.name == name {
            return Some(call);
        }
        slot = (slot + 1) % SLOTS.len();
    }
    None
}

/// Indices into `CALLS`; collisions go to the next free slot, free slots hold `NO`.
static SLOTS: [u16; 2048] = {
    let mut slots = [NO; 2048];
    let mut call: u16 = 0;
    while (call as usize) < CALLS.len() {
        let mut slot = hash(CALLS[call as usize].name.as_bytes());
        while slots[slot] != NO {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = call;
        call += 1;
    }
    slots
};

/// FNV-1a, cut to the length of `SLOTS`.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    ((hash >> 16) ^ hash) as usize % 2048
}

/// Sorted by name.
#[rustfmt::skip]
const CALLS: &[Call] = &[
    c("_llseek", NO, 140, NO), c("_newselect", NO, 142, NO), c("_sysctl", 156, 149, NO), c("accept", 43, NO, 43),
    c("accept4", 288, 364, 288), c("access", 21, 33, 21), c("acct", 163, 51, 163), c("add_key", 248, 286, 248),
    c("adjtimex", 159, 124, 159), c("afs_syscall", 183, 137, 183), c("alarm", 37, 27, 37),
    c("arch_prctl", 158, 384, 158), c("bdflush", NO, 134, NO), c("bind", 49, 361, 49), c("bpf", 321, 357, 321),
    c("break", NO, 17, NO), c("brk", 12, 45, 12), c("cachestat", 451, 451, 451), c("capget", 125, 184, 125),
    c("capset", 126, 185, 126), c("chdir", 80, 12, 80), c("chmod", 90, 15, 90), c("chown", 92, 182, 92),
    c("chown32", NO, 212, NO), c("chroot", 161, 61, 161), c("clock_adjtime", 305, 343, 305),
    c("clock_adjtime64", NO, 405, NO), c("clock_getres", 229, 266, 229), c("clock_getres_time64", NO, 406, NO),
    c("clock_gettime", 228, 265, 228), c("clock_gettime64", NO, 403, NO), c("clock_nanosleep", 230, 267, 230),
    c("clock_nanosleep_time64", NO, 407, NO), c("clock_settime", 227, 264, 227), c("clock_settime64", NO, 404, NO),
    c("clone", 56, 120, 56), c("clone3", 435, 435, 435), c("close", 3, 6, 3), c("close_range", 436, 436, 436),
    c("connect", 42, 362, 42), c("copy_file_range", 326, 377, 326), c("creat", 85, 8, 85),
    c("create_module", 174, 127, NO), c("delete_module", 176, 129, 176), c("dup", 32, 41, 32), c("dup2", 33, 63, 33),
    c("dup3", 292, 330, 292), c("epoll_create", 213, 254, 213), c("epoll_create1", 291, 329, 291),
    c("epoll_ctl", 233, 255, 233), c("epoll_ctl_old", 214, NO, NO), c("epoll_pwait", 281, 319, 281),
    c("epoll_pwait2", 441, 441, 441), c("epoll_wait", 232, 256, 232), c("epoll_wait_old", 215, NO, NO),
    c("eventfd", 284, 323, 284), c("eventfd2", 290, 328, 290), c("execve", 59, 11, 520), c("execveat", 322, 358, 545),
    c("exit", 60, 1, 60), c("exit_group", 231, 252, 231), c("faccessat", 269, 307, 269),
    c("faccessat2", 439, 439, 439), c("fadvise64", 221, 250, 221), c("fadvise64_64", NO, 272, NO),
    c("fallocate", 285, 324, 285), c("fanotify_init", 300, 338, 300), c("fanotify_mark", 301, 339, 301),
    c("fchdir", 81, 133, 81), c("fchmod", 91, 94, 91), c("fchmodat", 268, 306, 268), c("fchmodat2", 452, 452, 452),
    c("fchown", 93, 95, 93), c("fchown32", NO, 207, NO), c("fchownat", 260, 298, 260), c("fcntl", 72, 55, 72),
    c("fcntl64", NO, 221, NO), c("fdatasync", 75, 148, 75), c("fgetxattr", 193, 231, 193),
    c("file_getattr", 468, 468, 468), c("file_setattr", 469, 469, 469), c("finit_module", 313, 350, 313),
    c("flistxattr", 196, 234, 196), c("flock", 73, 143, 73), c("fork", 57, 2, 57), c("fremovexattr", 199, 237, 199),
    c("fsconfig", 431, 431, 431), c("fsetxattr", 190, 228, 190), c("fsmount", 432, 432, 432),
    c("fsopen", 430, 430, 430), c("fspick", 433, 433, 433), c("fstat", 5, 108, 5), c("fstat64", NO, 197, NO),
    c("fstatat64", NO, 300, NO), c("fstatfs", 138, 100, 138), c("fstatfs64", NO, 269, NO), c("fsync", 74, 118, 74),
    c("ftime", NO, 35, NO), c("ftruncate", 77, 93, 77), c("ftruncate64", NO, 194, NO), c("futex", 202, 240, 202),
    c("futex_requeue", 456, 456, 456), c("futex_time64", NO, 422, NO), c("futex_wait", 455, 455, 455),
    c("futex_waitv", 449, 449, 449), c("futex_wake", 454, 454, 454), c("futimesat", 261, 299, 261),
    c("get_kernel_syms", 177, 130, NO), c("get_mempolicy", 239, 275, 239), c("get_robust_list", 274, 312, 531),
    c("get_thread_area", 211, 244, NO), c("getcpu", 309, 318, 309), c("getcwd", 79, 183, 79),
    c("getdents", 78, 141, 78), c("getdents64", 217, 220, 217), c("getegid", 108, 50, 108),
    c("getegid32", NO, 202, NO), c("geteuid", 107, 49, 107), c("geteuid32", NO, 201, NO), c("getgid", 104, 47, 104),
    c("getgid32", NO, 200, NO), c("getgroups", 115, 80, 115), c("getgroups32", NO, 205, NO),
    c("getitimer", 36, 105, 36), c("getpeername", 52, 368, 52), c("getpgid", 121, 132, 121),
    c("getpgrp", 111, 65, 111), c("getpid", 39, 20, 39), c("getpmsg", 181, 188, 181), c("getppid", 110, 64, 110),
    c("getpriority", 140, 96, 140), c("getrandom", 318, 355, 318), c("getresgid", 120, 171, 120),
    c("getresgid32", NO, 211, NO), c("getresuid", 118, 165, 118), c("getresuid32", NO, 209, NO),
    c("getrlimit", 97, 76, 97), c("getrusage", 98, 77, 98), c("getsid", 124, 147, 124), c("getsockname", 51, 367, 51),
    c("getsockopt", 55, 365, 542), c("gettid", 186, 224, 186), c("gettimeofday", 96, 78, 96),
    c("getuid", 102, 24, 102), c("getuid32", NO, 199, NO), c("getxattr", 191, 229, 191),
    c("getxattrat", 464, 464, 464), c("gtty", NO, 32, NO), c("idle", NO, 112, NO), c("init_module", 175, 128, 175),
    c("inotify_add_watch", 254, 292, 254), c("inotify_init", 253, 291, 253), c("inotify_init1", 294, 332, 294),
    c("inotify_rm_watch", 255, 293, 255), c("io_cancel", 210, 249, 210), c("io_destroy", 207, 246, 207),
    c("io_getevents", 208, 247, 208), c("io_pgetevents", 333, 385, 333), c("io_pgetevents_time64", NO, 416, NO),
    c("io_setup", 206, 245, 543), c("io_submit", 209, 248, 544), c("io_uring_enter", 426, 426, 426),
    c("io_uring_register", 427, 427, 427), c("io_uring_setup", 425, 425, 425), c("ioctl", 16, 54, 514),
    c("ioperm", 173, 101, 173), c("iopl", 172, 110, 172), c("ioprio_get", 252, 290, 252),
    c("ioprio_set", 251, 289, 251), c("ipc", NO, 117, NO), c("kcmp", 312, 349, 312),
    c("kexec_file_load", 320, NO, 320), c("kexec_load", 246, 283, 528), c("keyctl", 250, 288, 250),
    c("kill", 62, 37, 62), c("landlock_add_rule", 445, 445, 445), c("landlock_create_ruleset", 444, 444, 444),
    c("landlock_restrict_self", 446, 446, 446), c("lchown", 94, 16, 94), c("lchown32", NO, 198, NO),
    c("lgetxattr", 192, 230, 192), c("link", 86, 9, 86), c("linkat", 265, 303, 265), c("listen", 50, 363, 50),
    c("listmount", 458, 458, 458), c("listns", 470, 470, 470), c("listxattr", 194, 232, 194),
    c("listxattrat", 465, 465, 465), c("llistxattr", 195, 233, 195), c("lock", NO, 53, NO),
    c("lookup_dcookie", 212, 253, 212), c("lremovexattr", 198, 236, 198), c("lseek", 8, 19, 8),
    c("lsetxattr", 189, 227, 189), c("lsm_get_self_attr", 459, 459, 459), c("lsm_list_modules", 461, 461, 461),
    c("lsm_set_self_attr", 460, 460, 460), c("lstat", 6, 107, 6), c("lstat64", NO, 196, NO),
    c("madvise", 28, 219, 28), c("map_shadow_stack", 453, 453, NO), c("mbind", 237, 274, 237),
    c("membarrier", 324, 375, 324), c("memfd_create", 319, 356, 319), c("memfd_secret", 447, 447, 447),
    c("migrate_pages", 256, 294, 256), c("mincore", 27, 218, 27), c("mkdir", 83, 39, 83), c("mkdirat", 258, 296, 258),
    c("mknod", 133, 14, 133), c("mknodat", 259, 297, 259), c("mlock", 149, 150, 149), c("mlock2", 325, 376, 325),
    c("mlockall", 151, 152, 151), c("mmap", 9, 90, 9), c("mmap2", NO, 192, NO), c("modify_ldt", 154, 123, 154),
    c("mount", 165, 21, 165), c("mount_setattr", 442, 442, 442), c("move_mount", 429, 429, 429),
    c("move_pages", 279, 317, 533), c("mprotect", 10, 125, 10), c("mpx", NO, 56, NO),
    c("mq_getsetattr", 245, 282, 245), c("mq_notify", 244, 281, 527), c("mq_open", 240, 277, 240),
    c("mq_timedreceive", 243, 280, 243), c("mq_timedreceive_time64", NO, 419, NO), c("mq_timedsend", 242, 279, 242),
    c("mq_timedsend_time64", NO, 418, NO), c("mq_unlink", 241, 278, 241), c("mremap", 25, 163, 25),
    c("mseal", 462, 462, 462), c("msgctl", 71, 402, 71), c("msgget", 68, 399, 68), c("msgrcv", 70, 401, 70),
    c("msgsnd", 69, 400, 69), c("msync", 26, 144, 26), c("munlock", 150, 151, 150), c("munlockall", 152, 153, 152),
    c("munmap", 11, 91, 11), c("name_to_handle_at", 303, 341, 303), c("nanosleep", 35, 162, 35),
    c("newfstatat", 262, NO, 262), c("nfsservctl", 180, 169, NO), c("nice", NO, 34, NO), c("oldfstat", NO, 28, NO),
    c("oldlstat", NO, 84, NO), c("oldolduname", NO, 59, NO), c("oldstat", NO, 18, NO), c("olduname", NO, 109, NO),
    c("open", 2, 5, 2), c("open_by_handle_at", 304, 342, 304), c("open_tree", 428, 428, 428),
    c("open_tree_attr", 467, 467, 467), c("openat", 257, 295, 257), c("openat2", 437, 437, 437),
    c("pause", 34, 29, 34), c("perf_event_open", 298, 336, 298), c("personality", 135, 136, 135),
    c("pidfd_getfd", 438, 438, 438), c("pidfd_open", 434, 434, 434), c("pidfd_send_signal", 424, 424, 424),
    c("pipe", 22, 42, 22), c("pipe2", 293, 331, 293), c("pivot_root", 155, 217, 155), c("pkey_alloc", 330, 381, 330),
    c("pkey_free", 331, 382, 331), c("pkey_mprotect", 329, 380, 329), c("poll", 7, 168, 7), c("ppoll", 271, 309, 271),
    c("ppoll_time64", NO, 414, NO), c("prctl", 157, 172, 157), c("pread64", 17, 180, 17), c("preadv", 295, 333, 534),
    c("preadv2", 327, 378, 546), c("prlimit64", 302, 340, 302), c("process_madvise", 440, 440, 440),
    c("process_mrelease", 448, 448, 448), c("process_vm_readv", 310, 347, 539), c("process_vm_writev", 311, 348, 540),
    c("prof", NO, 44, NO), c("profil", NO, 98, NO), c("pselect6", 270, 308, 270), c("pselect6_time64", NO, 413, NO),
    c("ptrace", 101, 26, 521), c("putpmsg", 182, 189, 182), c("pwrite64", 18, 181, 18), c("pwritev", 296, 334, 535),
    c("pwritev2", 328, 379, 547), c("query_module", 178, 167, NO), c("quotactl", 179, 131, 179),
    c("quotactl_fd", 443, 443, 443), c("read", 0, 3, 0), c("readahead", 187, 225, 187), c("readdir", NO, 89, NO),
    c("readlink", 89, 85, 89), c("readlinkat", 267, 305, 267), c("readv", 19, 145, 515), c("reboot", 169, 88, 169),
    c("recvfrom", 45, 371, 517), c("recvmmsg", 299, 337, 537), c("recvmmsg_time64", NO, 417, NO),
    c("recvmsg", 47, 372, 519), c("remap_file_pages", 216, 257, 216), c("removexattr", 197, 235, 197),
    c("removexattrat", 466, 466, 466), c("rename", 82, 38, 82), c("renameat", 264, 302, 264),
    c("renameat2", 316, 353, 316), c("request_key", 249, 287, 249), c("restart_syscall", 219, 0, 219),
    c("rmdir", 84, 40, 84), c("rseq", 334, 386, 334), c("rt_sigaction", 13, 174, 512),
    c("rt_sigpending", 127, 176, 522), c("rt_sigprocmask", 14, 175, 14), c("rt_sigqueueinfo", 129, 178, 524),
    c("rt_sigreturn", 15, 173, 513), c("rt_sigsuspend", 130, 179, 130), c("rt_sigtimedwait", 128, 177, 523),
    c("rt_sigtimedwait_time64", NO, 421, NO), c("rt_tgsigqueueinfo", 297, 335, 536),
    c("sched_get_priority_max", 146, 159, 146), c("sched_get_priority_min", 147, 160, 147),
    c("sched_getaffinity", 204, 242, 204), c("sched_getattr", 315, 352, 315), c("sched_getparam", 143, 155, 143),
    c("sched_getscheduler", 145, 157, 145), c("sched_rr_get_interval", 148, 161, 148),
    c("sched_rr_get_interval_time64", NO, 423, NO), c("sched_setaffinity", 203, 241, 203),
    c("sched_setattr", 314, 351, 314), c("sched_setparam", 142, 154, 142), c("sched_setscheduler", 144, 156, 144),
    c("sched_yield", 24, 158, 24), c("seccomp", 317, 354, 317), c("security", 185, NO, 185), c("select", 23, 82, 23),
    c("semctl", 66, 394, 66), c("semget", 64, 393, 64), c("semop", 65, NO, 65), c("semtimedop", 220, NO, 220),
    c("semtimedop_time64", NO, 420, NO), c("sendfile", 40, 187, 40), c("sendfile64", NO, 239, NO),
    c("sendmmsg", 307, 345, 538), c("sendmsg", 46, 370, 518), c("sendto", 44, 369, 44),
    c("set_mempolicy", 238, 276, 238), c("set_mempolicy_home_node", 450, 450, 450),
    c("set_robust_list", 273, 311, 530), c("set_thread_area", 205, 243, NO), c("set_tid_address", 218, 258, 218),
    c("setdomainname", 171, 121, 171), c("setfsgid", 123, 139, 123), c("setfsgid32", NO, 216, NO),
    c("setfsuid", 122, 138, 122), c("setfsuid32", NO, 215, NO), c("setgid", 106, 46, 106), c("setgid32", NO, 214, NO),
    c("setgroups", 116, 81, 116), c("setgroups32", NO, 206, NO), c("sethostname", 170, 74, 170),
    c("setitimer", 38, 104, 38), c("setns", 308, 346, 308), c("setpgid", 109, 57, 109),
    c("setpriority", 141, 97, 141), c("setregid", 114, 71, 114), c("setregid32", NO, 204, NO),
    c("setresgid", 119, 170, 119), c("setresgid32", NO, 210, NO), c("setresuid", 117, 164, 117),
    c("setresuid32", NO, 208, NO), c("setreuid", 113, 70, 113), c("setreuid32", NO, 203, NO),
    c("setrlimit", 160, 75, 160), c("setsid", 112, 66, 112), c("setsockopt", 54, 366, 541),
    c("settimeofday", 164, 79, 164), c("setuid", 105, 23, 105), c("setuid32", NO, 213, NO),
    c("setxattr", 188, 226, 188), c("setxattrat", 463, 463, 463), c("sgetmask", NO, 68, NO), c("shmat", 30, 397, 30),
    c("shmctl", 31, 396, 31), c("shmdt", 67, 398, 67), c("shmget", 29, 395, 29), c("shutdown", 48, 373, 48),
    c("sigaction", NO, 67, NO), c("sigaltstack", 131, 186, 525), c("signal", NO, 48, NO),
    c("signalfd", 282, 321, 282), c("signalfd4", 289, 327, 289), c("sigpending", NO, 73, NO),
    c("sigprocmask", NO, 126, NO), c("sigreturn", NO, 119, NO), c("sigsuspend", NO, 72, NO), c("socket", 41, 359, 41),
    c("socketcall", NO, 102, NO), c("socketpair", 53, 360, 53), c("splice", 275, 313, 275), c("ssetmask", NO, 69, NO),
    c("stat", 4, 106, 4), c("stat64", NO, 195, NO), c("statfs", 137, 99, 137), c("statfs64", NO, 268, NO),
    c("statmount", 457, 457, 457), c("statx", 332, 383, 332), c("stime", NO, 25, NO), c("stty", NO, 31, NO),
    c("swapoff", 168, 115, 168), c("swapon", 167, 87, 167), c("symlink", 88, 83, 88), c("symlinkat", 266, 304, 266),
    c("sync", 162, 36, 162), c("sync_file_range", 277, 314, 277), c("syncfs", 306, 344, 306),
    c("sysfs", 139, 135, 139), c("sysinfo", 99, 116, 99), c("syslog", 103, 103, 103), c("tee", 276, 315, 276),
    c("tgkill", 234, 270, 234), c("time", 201, 13, 201), c("timer_create", 222, 259, 526),
    c("timer_delete", 226, 263, 226), c("timer_getoverrun", 225, 262, 225), c("timer_gettime", 224, 261, 224),
    c("timer_gettime64", NO, 408, NO), c("timer_settime", 223, 260, 223), c("timer_settime64", NO, 409, NO),
    c("timerfd_create", 283, 322, 283), c("timerfd_gettime", 287, 326, 287), c("timerfd_gettime64", NO, 410, NO),
    c("timerfd_settime", 286, 325, 286), c("timerfd_settime64", NO, 411, NO), c("times", 100, 43, 100),
    c("tkill", 200, 238, 200), c("truncate", 76, 92, 76), c("truncate64", NO, 193, NO), c("tuxcall", 184, NO, 184),
    c("ugetrlimit", NO, 191, NO), c("ulimit", NO, 58, NO), c("umask", 95, 60, 95), c("umount", NO, 22, NO),
    c("umount2", 166, 52, 166), c("uname", 63, 122, 63), c("unlink", 87, 10, 87), c("unlinkat", 263, 301, 263),
    c("unshare", 272, 310, 272), c("uprobe", 336, NO, NO), c("uretprobe", 335, NO, NO), c("uselib", 134, 86, NO),
    c("userfaultfd", 323, 374, 323), c("ustat", 136, 62, 136), c("utime", 132, 30, 132),
    c("utimensat", 280, 320, 280), c("utimensat_time64", NO, 412, NO), c("utimes", 235, 271, 235),
    c("vfork", 58, 190, 58), c("vhangup", 153, 111, 153), c("vm86", NO, 166, NO), c("vm86old", NO, 113, NO),
    c("vmsplice", 278, 316, 532), c("vserver", 236, 273, NO), c("wait4", 61, 114, 61), c("waitid", 247, 284, 529),
    c("waitpid", NO, 7, NO), c("write", 1, 4, 1), c("writev", 20, 146, 516),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_knows_the_kernel() {
        assert!(CALLS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(find("read").unwrap().numbers, [0, 3, 0]);
        assert_eq!(find("execve").unwrap().numbers, [59, 11, 520]);
        assert_eq!(find("socketcall").unwrap().numbers, [NO, 102, NO]);
        assert_eq!(usize::from(find("clone3").unwrap().numbers[0]), usize::try_from(libc::SYS_clone3).unwrap());
        assert!(find("nonsense").is_none());
    }
}
