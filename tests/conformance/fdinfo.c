/* What /proc/PID/fdinfo tells of files that are no files. Prints the same on every Linux from 6.12 on. */
#include "show.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <time.h>

/* What is told behind the lines that every file has. */
static char *told(int fd) {
    static char text[4096];
    char name[64];
    sprintf(name, "/proc/self/fdinfo/%d", fd);
    int file = open(name, O_RDONLY);
    long len = read(file, text, sizeof text - 1);
    text[len > 0 ? len : 0] = 0, close(file);
    char *at = strstr(text, "\nino:");
    return at ? strchr(at + 1, '\n') + 1 : text;
}

/* As the kernel keeps a device's number. */
static unsigned raw(dev_t device) {
    return major(device) << 20 | minor(device);
}

/* Its number, which differs from machine to machine. */
static int counter(int fd) {
    int id = -1, semaphore = -1;
    char *text = told(fd);
    sscanf(text, "eventfd-count: %*[^\n]\neventfd-id: %d\neventfd-semaphore: %d", &id, &semaphore);
    SHOW("<%.*s> %d %d\n", (int)strcspn(text, "\n"), text, id >= 0, semaphore);
    return id;
}

static void counters(void) {
    int fd = eventfd(0xbeef, EFD_SEMAPHORE), first = counter(fd), other = counter(eventfd(0, 0));
    SHOW("other %d, new after ", other != first), close(fd), SHOW("%d\n", counter(eventfd(1, 0)) != other);
}

static void signals(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGKILL), sigaddset(&set, 64);
    int fd = signalfd(-1, &set, 0);
    SHOW("%s", told(fd)), sigdelset(&set, 64), signalfd(fd, &set, 0), SHOW("%s", told(fd));
}

/* Times that pass are told as 1. */
static void timer(const char *what, int fd) {
    int clock = -1;
    unsigned long long ticks = -1, seconds = -1, rest = -1, every = -1, every_rest = -1;
    char flags[8] = "";
    sscanf(told(fd), "clockid: %d ticks: %llu settime flags: %7s it_value: (%llu, %llu) it_interval: (%llu, %llu)",
        &clock, &ticks, flags, &seconds, &rest, &every, &every_rest);
    SHOW("%s: %d %llu %s %d %llu %llu\n", what, clock, ticks, flags, seconds || rest, every, every_rest);
}

static void timers(void) {
    uint64_t count = 0;
    struct itimerspec set = {{3, 5}, {1000, 0}}, now;
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), other = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    SHOW("%s", told(fd)), timer("new", other);
    timerfd_settime(fd, 0, &set, 0), timer("set", fd);
    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &set, 0), timer("cancelled", fd);
    set = (struct itimerspec){{0, 0}, {0, 1}};
    timerfd_settime(other, TFD_TIMER_ABSTIME, &set, 0), usleep(1000), timer("due", other);
    TRY("read", read(other, &count, 8)), SHOW("%d\n", (int)count), timer("taken", other);
    clock_gettime(CLOCK_MONOTONIC, &set.it_value), set.it_interval.tv_sec = 1000;
    timerfd_settime(other, TFD_TIMER_ABSTIME, &set, 0), usleep(1000), timer("repeats", other);
    timerfd_gettime(other, &now), SHOW("%d %ld\n", now.it_value.tv_sec > 900, now.it_interval.tv_sec);
    timer("looked at", other), TRY("read", read(other, &count, 8)), SHOW("%d\n", (int)count), timer("taken", other);
    set.it_value.tv_nsec = set.it_interval.tv_sec = 0, set.it_value.tv_sec = 0;
    timerfd_settime(other, 0, &set, 0), timer("off", other);
}

static void watch(int fd, const char *name, unsigned mask) {
    struct stat st;
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head.handle_bytes = 128};
    int mount;
    int number = inotify_add_watch(fd, name, mask);
    stat(name, &st), TRY("handle", name_to_handle_at(AT_FDCWD, name, &handle.head, &mount, 0));
    char expected[512];
    int len = sprintf(expected, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0 ", number, st.st_ino,
        raw(st.st_dev), mask & ~IN_ONLYDIR);
    len += sprintf(expected + len, "fhandle-bytes:%x fhandle-type:%x f_handle:", handle.head.handle_bytes,
        handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++) len += sprintf(expected + len, "%02x", handle.bytes[i]);
    strcpy(expected + len, "\n"), SHOW("watch %d told first %d\n", number, !strncmp(told(fd), expected, len + 1));
}

static void watches(void) {
    char name[64];
    int fd = inotify_init1(IN_NONBLOCK);
    SHOW("<%s>\n", told(fd)), sprintf(name, "/dev/shm/fdinfo-%d", getpid()), close(creat(name, 0600));
    watch(fd, "/dev/shm", IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK);
    watch(fd, name, IN_ALL_EVENTS | IN_ONESHOT);
    int lines = 0, last = 0;
    char *text = told(fd);
    for (char *at = text; (at = strstr(at, "inotify wd:")); at++) lines++, last = strtol(at + 11, 0, 16);
    SHOW("%d watches, the last is %d\n", lines, last), unlink(name);
    SHOW("%.12s\n", told(fd)), TRY("remove", inotify_rm_watch(fd, 1)), SHOW("<%s>\n", told(fd));
}

static void polls(void) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0xabcdef};
    struct stat st;
    int poll = epoll_create1(0), pair[2];
    SHOW("<%s>\n", told(poll));
    pipe(pair), fstat(pair[0], &st), epoll_ctl(poll, EPOLL_CTL_ADD, pair[0], &event);
    char expected[256];
    sprintf(expected, "tfd: %8d events: %8x data: %16llx  pos:0 ino:%lx sdev:%x\n", pair[0],
        EPOLLIN | EPOLLET | EPOLLERR | EPOLLHUP, 0xabcdefULL, st.st_ino, raw(st.st_dev));
    int same = !strcmp(told(poll), expected);
    SHOW("as expected %d\n%.48s\n", same, told(poll));
}

static void processes(void) {
    int pid = fork(), known = 0, inside = 0;
    if (!pid) pause(), _exit(0);
    int fd = syscall(SYS_pidfd_open, pid, 0);
    sscanf(told(fd), "Pid:\t%d\nNSpid:\t%d\n", &known, &inside), SHOW("%d %d\n", known == pid, inside == pid);
    kill(pid, SIGKILL), waitpid(pid, 0, 0), SHOW("%s", told(fd));
}

int main(void) {
    PART(counters), PART(signals), PART(timers), PART(watches), PART(polls), PART(processes);
    return 0;
}
