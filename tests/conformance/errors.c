/* Bad pointers, bad descriptors and unknown flags in many calls. Prints the same on every Linux. */
#include "show.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define BAD ((void *)8)
static int fd, pair[2];

/* By number, so that no library looks at an argument first. */
#define BY(name, ...) TRY(#name, syscall(SYS_##name, __VA_ARGS__))

static void pointers(void) {
    fd = open("f", O_CREAT | O_RDWR, 0600), write(fd, "0123456789", 10), lseek(fd, 0, SEEK_SET),
        socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    BY(read, fd, BAD, 5), BY(write, fd, BAD, 5), BY(pread64, fd, BAD, 5, 0), BY(pwrite64, fd, BAD, 5, 0),
        BY(readv, fd, BAD, 1), BY(writev, fd, BAD, 1);
    BY(open, BAD, 0), BY(openat, AT_FDCWD, BAD, 0), BY(openat2, AT_FDCWD, "f", BAD, 24), BY(creat, BAD, 0600),
        BY(stat, "f", BAD), BY(stat, BAD, BAD), BY(fstat, fd, BAD), BY(lstat, "f", BAD);
    BY(newfstatat, AT_FDCWD, "f", BAD, 0), BY(statx, AT_FDCWD, "f", 0, 0xfff, BAD), BY(access, BAD, 0),
        BY(faccessat, AT_FDCWD, BAD, 0), BY(readlink, BAD, BAD, 5), BY(getcwd, BAD, 4096);
    BY(mkdir, BAD, 0), BY(rmdir, BAD), BY(unlink, BAD), BY(rename, "f", BAD), BY(link, BAD, "x"), BY(symlink, BAD, "x"),
        BY(chmod, BAD, 0), BY(chown, BAD, 0, 0), BY(truncate, BAD, 0), BY(utimensat, AT_FDCWD, "f", BAD, 0);
    BY(chdir, BAD), BY(chroot, BAD), BY(statfs, "/", BAD), BY(fstatfs, fd, BAD), BY(mknod, BAD, 0, 0),
        BY(getdents64, open(".", O_RDONLY), BAD, 4096);
    BY(pipe, BAD), BY(pipe2, BAD, 0), BY(poll, BAD, 1, 0), BY(ppoll, 0, 0, BAD, 0, 8), BY(select, 5, BAD, 0, 0, 0),
        BY(pselect6, 0, 0, 0, 0, BAD, 0);
    BY(epoll_ctl, epoll_create1(0), EPOLL_CTL_ADD, pair[0], BAD), BY(timerfd_settime, 0, 0, BAD, 0),
        BY(signalfd4, -1, BAD, 8, 0), BY(memfd_create, BAD, 0), BY(inotify_add_watch, 0, BAD, 1);
    BY(rt_sigaction, SIGUSR1, BAD, 0, 8), BY(rt_sigaction, SIGUSR1, 0, BAD, 8), BY(rt_sigprocmask, 0, BAD, 0, 8),
        BY(rt_sigpending, BAD, 8), BY(rt_sigtimedwait, BAD, 0, 0, 8), BY(rt_sigqueueinfo, getpid(), SIGUSR1, BAD),
        BY(sigaltstack, BAD, 0), BY(rt_sigsuspend, BAD, 8);
    BY(nanosleep, BAD, 0), BY(clock_gettime, 0, BAD), BY(clock_getres, 0, BAD), BY(clock_nanosleep, 0, 0, BAD, 0),
        BY(gettimeofday, BAD, 0), BY(getitimer, 0, BAD), BY(setitimer, 0, BAD, 0), BY(timer_create, 0, BAD, BAD),
        BY(times, BAD);
    BY(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD), BY(bind, pair[0], BAD, 10), BY(connect, pair[0], BAD, 10),
        BY(getsockname, pair[0], BAD, BAD), BY(getpeername, pair[0], BAD, BAD), BY(sendto, pair[0], BAD, 5, 0, 0, 0),
        BY(sendmsg, pair[0], BAD, 0);
    send(pair[0], "x", 1, 0), BY(recvfrom, pair[1], BAD, 5, MSG_DONTWAIT, 0, 0),
        BY(recvmsg, pair[1], BAD, MSG_DONTWAIT), BY(setsockopt, pair[0], SOL_SOCKET, SO_REUSEADDR, BAD, 4),
        BY(getsockopt, pair[0], SOL_SOCKET, SO_TYPE, BAD, BAD), BY(recvmmsg, pair[1], BAD, 1, MSG_DONTWAIT, 0),
        BY(sendmmsg, pair[0], BAD, 1, 0);
    BY(wait4, -1, 0, 0, BAD), BY(getrlimit, 0, BAD), BY(setrlimit, 0, BAD), BY(prlimit64, 0, 0, BAD, 0),
        BY(getrusage, 0, BAD), BY(sysinfo, BAD), BY(uname, BAD), BY(getgroups, 5, BAD), BY(setgroups, 5, BAD),
        BY(getresuid, BAD, BAD, BAD), BY(sethostname, BAD, 5);
    BY(sched_getparam, 0, BAD), BY(sched_setparam, 0, BAD), BY(sched_setaffinity, 0, 8, BAD),
        BY(sched_getaffinity, 0, 8, BAD), BY(sched_rr_get_interval, 0, BAD), BY(sched_getattr, 0, BAD, 48, 0),
        BY(sched_setattr, 0, BAD, 0), BY(getcpu, BAD, 0, 0);
    BY(capget, BAD, 0), BY(prctl, 15, BAD), BY(prctl, 16, BAD), BY(getrandom, BAD, 5, 0), BY(mincore, 4096, 4096, BAD),
        BY(execve, BAD, 0, 0), BY(clone3, BAD, 88), BY(set_robust_list, BAD, 5), BY(get_robust_list, 0, BAD, BAD),
        BY(membarrier, 99, 0, 0);
    BY(sendfile, fd, fd, BAD, 5), BY(splice, fd, BAD, fd, 0, 5, 0), BY(copy_file_range, fd, BAD, fd, 0, 5, 0),
        BY(vmsplice, fd, BAD, 1, 0), BY(process_vm_readv, getpid(), BAD, 1, BAD, 1, 0), BY(fcntl, fd, F_GETLK, BAD),
        BY(ioctl, pair[0], 0x541b, BAD);
    BY(setxattr, "f", BAD, "x", 1, 0), BY(getxattr, BAD, "user.x", 0, 0), BY(listxattr, BAD, 0, 0),
        BY(shmctl, 0, 2, BAD) == 0, BY(mount, BAD, BAD, BAD, 0, 0), BY(umount2, BAD, 0), BY(pivot_root, BAD, BAD),
        BY(mremap, 8, 4096, 4096, 0), BY(futex, BAD, 0, 0, 0, 0, 0);
}

static void descriptors(void) {
    BY(read, 99, 0, 0), BY(write, 99, 0, 0), BY(close, 99), BY(fstat, 99, 0), BY(lseek, 99, 0, 0),
        BY(pread64, 99, 0, 0, 0), BY(readv, 99, 0, 0), BY(dup, 99), BY(dup2, 99, 5), BY(dup3, 99, 5, 0),
        BY(fcntl, 99, 1), BY(ioctl, 99, 0), BY(fsync, 99), BY(fdatasync, 99);
    BY(ftruncate, 99, 0), BY(fchmod, 99, 0), BY(fchown, 99, 0, 0), BY(fchdir, 99), BY(getdents64, 99, 0, 0),
        BY(flock, 99, 1), BY(fallocate, 99, 0, 0, 1), BY(sendfile, 99, 99, 0, 0), BY(splice, 99, 0, 99, 0, 1, 0),
        BY(tee, 99, 98, 1, 0), BY(vmsplice, 99, 0, 0, 0);
    BY(epoll_ctl, 99, 1, 98, 0), BY(epoll_wait, 99, pair, 1, 0), BY(timerfd_gettime, 99, 0),
        BY(inotify_rm_watch, 99, 1), BY(signalfd4, 99, pair, 8, 0), BY(accept, 99, 0, 0), BY(listen, 99, 1),
        BY(shutdown, 99, 0), BY(sendto, 99, 0, 0, 0, 0, 0), BY(recvfrom, 99, 0, 0, 0, 0, 0),
        BY(getsockopt, 99, 0, 0, 0, 0);
    BY(mmap, 0, 4096, 1, 1, 99, 0), BY(openat, 99, "x", 0), BY(unlinkat, 99, "x", 0),
        BY(execveat, 99, "", 0, 0, AT_EMPTY_PATH), BY(pidfd_send_signal, 99, 0, 0, 0), BY(pidfd_getfd, 99, 0, 0),
        BY(fgetxattr, 99, "user.x", 0, 0), BY(copy_file_range, 99, 0, 98, 0, 1, 0), BY(readahead, 99, 0, 1),
        BY(syncfs, 99), BY(sync_file_range, 99, 0, 0, 0);
}

static void flags(void) {
    BY(pipe2, pair, 8), BY(dup3, 0, 5, 8), BY(epoll_create1, 8), BY(eventfd2, 0, 8), BY(timerfd_create, 0, 8),
        BY(signalfd4, -1, pair, 8, 8), BY(inotify_init1, 8), BY(memfd_create, "x", 0x8000), BY(socket, 1, 0x100001, 0),
        BY(accept4, 0, 0, 0, 8), BY(unlinkat, AT_FDCWD, "x", 8), BY(linkat, AT_FDCWD, "f", AT_FDCWD, "x", 8);
    BY(renameat2, AT_FDCWD, "f", AT_FDCWD, "x", 64), BY(fchownat, AT_FDCWD, "f", 0, 0, 8),
        BY(newfstatat, AT_FDCWD, "f", pair, 8), BY(statx, AT_FDCWD, "f", 8, 0, pair),
        BY(utimensat, AT_FDCWD, "f", 0, 8), BY(faccessat2, AT_FDCWD, "f", 0, 8), BY(fallocate, 0, 0x1000, 0, 1),
        BY(copy_file_range, 0, 0, 0, 0, 1, 8), BY(getrandom, pair, 1, 0x80);
    BY(mmap, 0, 4096, 3, 0, -1, 0), BY(mmap, 0, 4096, 3, 0x23, -1, 0), BY(mmap, 0, 0, 3, 0x22, -1, 0),
        BY(mmap, 1, 4096, 3, 0x32, -1, 0), BY(mmap, 0, 4096, 3, 2, 0, 1), BY(mprotect, 1, 4096, 0),
        BY(mprotect, 4096, 4096, 0), BY(munmap, 1, 4096), BY(munmap, 4096, 0), BY(mremap, 4096, 4096, 4096, 8),
        BY(msync, 4096, 4096, 8), BY(madvise, 4096, 4096, 999), BY(mlock2, 4096, 4096, 8), BY(mlockall, 8),
        BY(mlockall, 0);
    BY(clone3, pair, 8), BY(wait4, -1, 0, 0x100, 0), BY(waitid, 0, 0, 0, 0x100, 0), BY(kill, 0, 99),
        BY(kill, 1 << 30, 0), BY(tgkill, 0, 0, 0), BY(tkill, -1, 0), BY(setpriority, 9, 0, 0),
        BY(sched_setscheduler, 0, 99, pair), BY(prctl, 9999), BY(personality, 0xffffffff), BY(membarrier, 0, 8, 0),
        BY(close_range, 90, 95, 8), BY(unshare, 8);
    BY(timer_create, 99, 0, pair), BY(timer_settime, 99, 0, 0, 0), BY(clock_nanosleep, 99, 0, 0, 0),
        BY(clock_gettime, 99, pair), BY(setitimer, 9, 0, 0), BY(getitimer, 9, pair), BY(rt_sigaction, 99, 0, 0, 8),
        BY(rt_sigaction, SIGKILL, pair, 0, 8), BY(rt_sigaction, 1, 0, 0, 4), BY(rt_sigprocmask, 9, pair, 0, 8),
        BY(sigaltstack, 0, 0), BY(shmget, 0, 0, 0), BY(shmat, -1, 0, 0), BY(pidfd_open, 1, 8),
        BY(openat2, AT_FDCWD, "f", pair, 8);
    TRY("no call", syscall(9999)), TRY("no call", syscall(-1));
}

int main(void) {
    PART(pointers), PART(descriptors), PART(flags);
    return 0;
}
