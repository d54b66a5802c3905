/* Flags that no call knows are refused. Prints the same on every Linux. */
#include "show.h"
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#define RAW(name, ...) TRY(#name, syscall(SYS_##name, __VA_ARGS__))

static long page;

static void makers(void) {
    int p[2];
    sigset_t none;
    sigemptyset(&none);
    TRY("pipe2", pipe2(p, 0x10)), RAW(eventfd2, 0, 0x10), RAW(signalfd4, -1, &none, 8, 0x10);
    RAW(timerfd_create, 1, 0x10), RAW(inotify_init1, 0x10), RAW(epoll_create1, 0x10), RAW(memfd_create, "m", 0x100);
    RAW(dup3, 0, 60, 0x10), RAW(socket, AF_UNIX, SOCK_STREAM | 0x1000, 0);
    RAW(socketpair, AF_UNIX, SOCK_STREAM | 0x1000, 0, p), RAW(pidfd_open, getpid(), 0x10);
    int s = socket(AF_UNIX, SOCK_STREAM, 0), i = inotify_init(), t = timerfd_create(1, 0);
    RAW(accept4, s, 0, 0, 0x10), RAW(inotify_add_watch, i, ".", 0), RAW(inotify_add_watch, i, ".", 0x00100000);
    struct itimerspec never = {0};
    RAW(timerfd_settime, t, 4, &never, 0), RAW(close_range, 100, 200, 1), RAW(getrandom, p, 4, 8);
    RAW(getrandom, p, 4, 6), RAW(pidfd_send_signal, 0, 0, 0, 8), RAW(pidfd_getfd, 0, 0, 1);
}

static void names(void) {
    struct stat st;
    char x[256];
    struct timespec now[2] = {{0}};
    close(open("f", O_CREAT | O_RDWR, 0600));
    RAW(newfstatat, AT_FDCWD, "f", &st, 1), RAW(statx, AT_FDCWD, "f", 1, 0, x), RAW(statx, AT_FDCWD, "f", 0x6000, 0, x);
    RAW(statx, AT_FDCWD, "f", 0, 0x80000000, x), RAW(fchownat, AT_FDCWD, "f", -1, -1, 1);
    RAW(linkat, AT_FDCWD, "f", AT_FDCWD, "g", 1), RAW(unlinkat, AT_FDCWD, "f", 1);
    RAW(renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 8), RAW(utimensat, AT_FDCWD, "f", now, 1);
    RAW(faccessat2, AT_FDCWD, "f", 0, 1), RAW(faccessat2, AT_FDCWD, "f", 8, 0), RAW(execveat, AT_FDCWD, "f", 0, 0, 1);
    RAW(setxattr, "f", "user.a", "b", 1, 4), RAW(umount2, "f", 0x10);
    struct open_how how = {0};
    how.flags = 1ull << 40, RAW(openat2, AT_FDCWD, "f", &how, sizeof how);
    how.flags = 0, how.resolve = 0x100, RAW(openat2, AT_FDCWD, "f", &how, sizeof how);
    how.resolve = 0, how.mode = 0600, RAW(openat2, AT_FDCWD, "f", &how, sizeof how);
    how.resolve = RESOLVE_BENEATH | RESOLVE_IN_ROOT, how.mode = 0, RAW(openat2, AT_FDCWD, "f", &how, sizeof how);
    struct { struct open_how how; long more; } longer = {.more = 1};
    RAW(openat2, AT_FDCWD, "f", &longer, sizeof longer), RAW(openat2, AT_FDCWD, "f", &how, 8);
    SHOW("there %d\n", access("f", F_OK));
}

static void data(void) {
    int p[2], q[2], f = open("d", O_CREAT | O_RDWR, 0600);
    char b[8] = "abcdefg";
    struct iovec v = {b, 8};
    pipe(p), pipe(q), write(f, b, 8), write(p[1], b, 8);
    RAW(preadv2, f, &v, 1, 0, 0, 0x1000), RAW(pwritev2, f, &v, 1, 0, 0, 0x1000), RAW(splice, f, 0, q[1], 0, 4, 0x10);
    RAW(tee, p[0], q[1], 4, 0x10), RAW(vmsplice, q[1], &v, 1, 0x10), RAW(copy_file_range, f, 0, f, 0, 4, 1);
    RAW(fallocate, f, 0x100, 0, 4), RAW(fallocate, f, 2, 0, 4), RAW(sync_file_range, f, 0, 4, 8);
    RAW(fadvise64, f, 0, 4, 9), RAW(lseek, f, 0, 9), RAW(flock, f, 0x10);
}

static void memory(void) {
    char *at = mmap(0, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY("mmap type", mmap(0, page, PROT_READ, MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    int f = open("d", O_CREAT | O_RDWR, 0600);
    TRY("mmap validated", mmap(0, page, PROT_READ, MAP_SHARED_VALIDATE | 0x8000000, f, 0) != MAP_FAILED);
    RAW(mprotect, at, page, 0x100), RAW(mremap, at, page, page, 8), RAW(mremap, at, page, page, 2);
    RAW(msync, at, page, 8), RAW(msync, at, page, MS_SYNC | MS_ASYNC), RAW(mlock2, at, page, 2), RAW(mlockall, 8);
    RAW(mlockall, 0), RAW(madvise, at, page, 1000), RAW(membarrier, 1 << 20, 0), RAW(membarrier, 0, 2);
    RAW(pkey_mprotect, at, page, 1, 77), RAW(mincore, at + 1, page, at);
}

static void tasks(void) {
    int status;
    struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long deadline[3];
             unsigned clamp[2], more; } a = {.size = 48, .flags = 1ul << 40};
    RAW(wait4, -1, &status, 0x100, 0), RAW(waitid, P_ALL, 0, 0, 0, 0), RAW(waitid, 9, 0, 0, WEXITED, 0);
    RAW(waitid, P_ALL, 0, 0, WEXITED | 0x100, 0), RAW(unshare, 1), RAW(sched_setattr, 0, &a, 0), a.flags = 0;
    RAW(sched_setattr, 0, &a, 1), a.size = sizeof a, a.more = 1, RAW(sched_setattr, 0, &a, 0);
    SHOW("size %d\n", a.size >= 48 && a.size < sizeof a), a.size = 20, RAW(sched_setattr, 0, &a, 0);
    RAW(sched_getattr, 0, &a, 48, 1), RAW(sched_getattr, 0, &a, 8, 0), RAW(sched_setscheduler, 0, 99, &status);
    struct clone_args c = {.flags = 1ull << 50, .exit_signal = SIGCHLD};
    RAW(clone3, &c, sizeof c), c.flags = 0, c.exit_signal = 65, RAW(clone3, &c, sizeof c);
    RAW(rt_sigprocmask, 5, &c, 0, 8), RAW(rt_sigprocmask, 0, &c, 0, 4), RAW(rt_sigaction, 10, &c, 0, 4);
    RAW(kill, 0, 65), RAW(tgkill, getpid(), getpid(), -1), RAW(setitimer, 3, &c, 0), RAW(clock_nanosleep, 99, 0, &c, 0);
    RAW(prlimit64, 0, 16, 0, 0), RAW(getrusage, 2, &c), RAW(getpriority, 3, 0), RAW(ioprio_get, 4, 0);
    RAW(prctl, 9999, 0, 0, 0, 0), RAW(prctl, 38, 1, 1, 0, 0), RAW(futex, &c, 99, 0, 0, 0, 0);
}

int main(void) {
    page = sysconf(_SC_PAGESIZE);
    PART(makers), PART(names), PART(data), PART(memory), PART(tasks);
    return 0;
}
