/* eventfd, timerfd, pidfd, inotify's limits. Prints the same on every Linux. */
#include "show.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>

static void counters(void) {
    uint64_t v = 0;
    TRY("flags", eventfd(0, 99));
    int fd = OPEN("eventfd", eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC));
    TRY("short", read(fd, &v, 4));
    TRY("read", read(fd, &v, 8)), SHOW("%llu\n", (unsigned long long)v);
    TRY("empty", read(fd, &v, 8));
    v = -1;
    TRY("all ones", write(fd, &v, 8));
    v = -2;
    TRY("maximum", write(fd, &v, 8));
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    SHOW("poll %d %x\n", poll(&p, 1, 0), p.revents);
    v = 1;
    TRY("full", write(fd, &v, 8));
    TRY("short write", write(fd, &v, 4));
    v = 0;
    TRY("zero", write(fd, &v, 8));
    TRY("read", read(fd, &v, 16)), SHOW("%llx\n", (unsigned long long)v);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    TRY("one", read(fd, &v, 8)), SHOW("%llu\n", (unsigned long long)v);
    TRY("two", read(fd, &v, 8)), SHOW("%llu\n", (unsigned long long)v);
    TRY("none", read(fd, &v, 8));
    TRY("seek", lseek(fd, 0, SEEK_SET));
    TRY("pread", pread(fd, &v, 8, 0));
}

static void timers(void) {
    uint64_t v;
    struct itimerspec t = {{0, 0}, {0, 10000000}}, old;
    TRY("clock", timerfd_create(99, 0));
    TRY("flags", timerfd_create(CLOCK_MONOTONIC, 1));
    int fd = OPEN("create", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    TRY("idle", read(fd, &v, 8));
    TRY("short", read(fd, &v, 4));
    TRY("set", timerfd_settime(fd, 0, &t, &old));
    TRY("get", timerfd_gettime(fd, &old)), SHOW("%d\n", old.it_value.tv_nsec > 0);
    struct pollfd p = {fd, POLLIN, 0};
    SHOW("poll %d %x\n", poll(&p, 1, 5000), p.revents);
    TRY("read", read(fd, &v, 8)), SHOW("%d\n", (int)v);
    TRY("once", read(fd, &v, 8));
    TRY("get", timerfd_gettime(fd, &old)), SHOW("%ld %ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
    t.it_interval.tv_nsec = 2000000;
    TRY("repeat", timerfd_settime(fd, 0, &t, 0));
    usleep(40000);
    TRY("read", read(fd, &v, 8)), SHOW("%d\n", v >= 10);
    TRY("flags", timerfd_settime(fd, 99, &t, 0));
    t.it_value.tv_nsec = 1000000000;
    TRY("nanoseconds", timerfd_settime(fd, 0, &t, 0));
    TRY("not a timer", timerfd_settime(0, 0, &t, 0));
    t.it_value.tv_nsec = 1;
    TRY("absolute", timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, 0));
    fcntl(fd, F_SETFL, 0);
    TRY("past", read(fd, &v, 8)), SHOW("%d\n", v > 100);
    TRY("write", write(fd, &v, 8));
    t.it_value.tv_sec = 0, t.it_interval.tv_nsec = 0;
    TRY("disarm", timerfd_settime(fd, 0, &t, &old)), SHOW("%ld\n", old.it_interval.tv_nsec);
    fd = OPEN("realtime", timerfd_create(CLOCK_REALTIME, 0));
    t.it_value.tv_sec = time(0) + 100;
    TRY("cancel on set", timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, 0));
    TRY("boottime", timerfd_create(CLOCK_BOOTTIME, 0) >= 0);
    TRY("alarm", timerfd_create(CLOCK_REALTIME_ALARM, 0) >= 0);
    TRY("cpu", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
}

static void processes(void) {
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    TRY("flags", syscall(SYS_pidfd_open, child, 1));
    TRY("nobody", syscall(SYS_pidfd_open, 999999, 0));
    TRY("zero", syscall(SYS_pidfd_open, 0, 0));
    int fd = OPEN("open", syscall(SYS_pidfd_open, child, 0));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW("poll %d\n", poll(&p, 1, 0));
    TRY("read", read(fd, &p, 4));
    TRY("signal 0", syscall(SYS_pidfd_send_signal, fd, 0, 0, 0));
    TRY("signal flags", syscall(SYS_pidfd_send_signal, fd, 0, 0, 0x100));
    TRY("signal number", syscall(SYS_pidfd_send_signal, fd, 99, 0, 0));
    TRY("getfd", fcntl(syscall(SYS_pidfd_getfd, fd, 1, 0), F_GETFD));
    TRY("getfd none", syscall(SYS_pidfd_getfd, fd, 99, 0));
    TRY("kill", syscall(SYS_pidfd_send_signal, fd, SIGTERM, 0, 0));
    SHOW("poll %d %x\n", poll(&p, 1, 5000), p.revents);
    siginfo_t i = {0};
    TRY("waitid", waitid(P_PIDFD, fd, &i, WEXITED));
    SHOW("%d %d %d\n", i.si_code, i.si_status, i.si_pid == child);
    TRY("waitid again", waitid(P_PIDFD, fd, &i, WEXITED));
    TRY("signal gone", syscall(SYS_pidfd_send_signal, fd, 0, 0, 0));
    SHOW("poll %d %x\n", poll(&p, 1, 0), p.revents & POLLIN);
}

/* What is counted by user, as one that nobody else is. */
static void watchers(void) {
    char text[32] = {0};
    int fd = open("/proc/sys/fs/inotify/max_user_instances", O_RDONLY), count = 0, last = -1;
    read(fd, text, sizeof text - 1), close(fd);
    TRY("become", setuid(54321));
    for (int next; (next = inotify_init1(0)) >= 0; count++) last = next;
    SHOW("instances as many as shown %d error %d\n", count == atoi(text), errno);
    close(last), OPEN("one less", inotify_init1(0)), OPEN("and one more", inotify_init1(0));
    OPEN("other objects", eventfd(0, 0));
}

int main(void) {
    PART(counters), PART(timers), PART(processes), PART(watchers);
    return 0;
}
