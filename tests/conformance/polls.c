/* poll, select, epoll. Prints the same on every Linux. */
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static int p[2];

static void polls(void) {
    pipe(p);
    struct pollfd f[4] = {{p[0], POLLIN, 9}, {p[1], POLLOUT, 9}, {-5, POLLIN, 9}, {99, POLLIN, 9}};
    TRY("poll", poll(f, 4, 0));
    SHOW("%x %x %x %x\n", f[0].revents, f[1].revents, f[2].revents, f[3].revents);
    TRY("timeout", poll(f, 1, 10));
    TRY("none", poll(0, 0, 5));
    TRY("many", poll(f, 1 << 30, 0));
    TRY("pointer", poll((void *)8, 1, 0));
    struct pollfd file = {open("x", O_CREAT | O_RDWR, 0600), POLLIN | POLLOUT | POLLPRI, 0};
    SHOW("file %d %x\n", poll(&file, 1, 0), file.revents);
    struct timespec t = {0, 2000000000};
    TRY("nanoseconds", ppoll(f, 1, &t, 0));
    t.tv_nsec = 1000000;
    TRY("ppoll", ppoll(f, 1, &t, 0));
    TRY("sigset size", syscall(SYS_ppoll, f, 1, &t, &t, 5));
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    struct pollfd q = {s[0], POLLIN | POLLOUT | POLLRDHUP, 0};
    SHOW("socket %d %x\n", poll(&q, 1, 0), q.revents);
    shutdown(s[1], SHUT_WR);
    SHOW("shut %d %x\n", poll(&q, 1, 0), q.revents);
    close(s[1]);
    SHOW("closed %d %x\n", poll(&q, 1, 0), q.revents);
}

static void selects(void) {
    pipe(p);
    fd_set r, w, e;
    FD_ZERO(&r); FD_ZERO(&w); FD_ZERO(&e);
    FD_SET(p[0], &r); FD_SET(p[1], &w); FD_SET(p[0], &e);
    struct timeval t = {0, 10000};
    TRY("select", select(p[1] + 1, &r, &w, &e, &t));
    SHOW("%d %d %d\n", FD_ISSET(p[0], &r), FD_ISSET(p[1], &w), FD_ISSET(p[0], &e));
    FD_ZERO(&r); FD_SET(p[0], &r);
    TRY("timeout", select(p[0] + 1, &r, 0, 0, &t));
    SHOW("%ld %ld\n", (long)t.tv_sec, (long)t.tv_usec);
    FD_ZERO(&r); FD_SET(50, &r);
    TRY("bad", select(51, &r, 0, 0, &t));
    TRY("negative", select(-1, 0, 0, 0, &t));
    t.tv_sec = -1;
    TRY("negative time", select(0, 0, 0, 0, &t));
    struct timespec ts = {0, 1000};
    TRY("pselect", pselect(0, 0, 0, 0, &ts, 0));
    close(p[1]); FD_ZERO(&r); FD_SET(p[0], &r);
    TRY("end", select(p[0] + 1, &r, 0, 0, 0));
}

static void noted(int signal) {
    (void)signal;
}

/* A handler ends each; what is left of ten seconds is told. */
static void interrupted(void) {
    struct sigaction action = {.sa_handler = noted};
    struct itimerval soon = {{0, 0}, {0, 20000}};
    struct timespec t = {10, 0};
    struct timeval v = {10, 0};
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &soon, 0), TRY("ppoll", syscall(SYS_ppoll, 0, 0, &t, 0, 8));
    SHOW("left %d\n", t.tv_sec < 10 && t.tv_sec > 5), t = (struct timespec){10, 0};
    setitimer(ITIMER_REAL, &soon, 0), TRY("pselect", syscall(SYS_pselect6, 0, 0, 0, 0, &t, 0));
    SHOW("left %d\n", t.tv_sec < 10 && t.tv_sec > 5);
    setitimer(ITIMER_REAL, &soon, 0), TRY("select", syscall(SYS_select, 0, 0, 0, 0, &v));
    SHOW("left %d %d\n", v.tv_sec < 10 && v.tv_sec > 5, v.tv_usec < 1000000);
}

static int e;

static void show(const char *what, int timeout) {
    struct epoll_event v[8];
    int n = epoll_wait(e, v, 8, timeout);
    SHOW("%s %d", what, n);
    for (int i = 0; i < n; i++) SHOW(" %x/%d", v[i].events, (int)v[i].data.u64);
    SHOW("\n");
}

static long control(int op, int fd, uint32_t events, int data) {
    struct epoll_event v = {events, {.u64 = data}};
    return epoll_ctl(e, op, fd, &v);
}

static void epolls(void) {
    char b[16];
    pipe(p);
    TRY("size", epoll_create(0));
    TRY("flags", epoll_create1(1));
    e = OPEN("create", epoll_create1(EPOLL_CLOEXEC));
    TRY("add", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
    TRY("again", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
    TRY("mod none", control(EPOLL_CTL_MOD, p[1], EPOLLIN, 1));
    TRY("del none", control(EPOLL_CTL_DEL, p[1], 0, 0));
    TRY("bad fd", control(EPOLL_CTL_ADD, 99, EPOLLIN, 1));
    TRY("operation", control(9, p[1], EPOLLIN, 1));
    TRY("itself", control(EPOLL_CTL_ADD, e, EPOLLIN, 1));
    TRY("file", control(EPOLL_CTL_ADD, open("y", O_CREAT | O_RDWR, 0600), EPOLLIN, 1));
    TRY("directory", control(EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN, 1));
    TRY("not epoll", (epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &(struct epoll_event){0})));
    TRY("maxevents", epoll_wait(e, (void *)b, 0, 0));
    TRY("pointer", (write(p[1], "x", 1), epoll_wait(e, (void *)8, 1, 0)));
    show("level", 0), show("level", 0);
    read(p[0], b, 1), show("drained", 0), show("timeout", 10);
    TRY("edge", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2));
    write(p[1], "x", 1), show("edge", 0), show("edge once", 0);
    write(p[1], "x", 1), show("edge again", 0);
    read(p[0], b, 1), show("partly read", 0);
    TRY("rearm", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 3));
    show("rearmed", 0);
    TRY("oneshot", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4));
    show("oneshot", 0), show("disabled", 0);
    write(p[1], "x", 1), show("still disabled", 0);
    TRY("enable", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 5));
    show("enabled", 0);
    TRY("exclusive mod", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLEXCLUSIVE, 5));
    TRY("exclusive oneshot", control(EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 5));
    TRY("exclusive", control(EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE, 6));
    show("exclusive", 0);
    TRY("exclusive mod", control(EPOLL_CTL_MOD, p[1], EPOLLOUT, 6));
    TRY("del", control(EPOLL_CTL_DEL, p[1], 0, 0));
    TRY("mod", control(EPOLL_CTL_MOD, p[0], EPOLLIN, 7));
    int d = dup(p[0]);
    TRY("dup", control(EPOLL_CTL_ADD, d, EPOLLIN, 8));
    close(p[0]);
    show("closed but dup", 0);
    TRY("closed", control(EPOLL_CTL_DEL, p[0], 0, 0));
    close(d), show("all closed", 0);
    close(p[1]);
    pipe(p);
    TRY("hup", control(EPOLL_CTL_ADD, p[0], 0, 9));
    close(p[1]), show("hup", 0);
    close(p[0]);
}

static void nested(void) {
    e = epoll_create1(0);
    int inner = epoll_create1(0), v = eventfd(0, 0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    TRY("inner", epoll_ctl(inner, EPOLL_CTL_ADD, v, &event));
    TRY("outer", control(EPOLL_CTL_ADD, inner, EPOLLIN, 2));
    show("quiet", 0);
    eventfd_write(v, 1), show("inner is ready", 0);
    struct pollfd f = {inner, POLLIN, 0};
    SHOW("poll of epoll %d %x\n", poll(&f, 1, 0), f.revents);
    event.data.u64 = 3;
    TRY("circle", epoll_ctl(inner, EPOLL_CTL_ADD, e, &event));
    eventfd_t value;
    eventfd_read(v, &value), show("quiet", 0);
    int chain[8] = {e};
    for (int i = 1; i < 8; i++) {
        chain[i] = epoll_create1(0);
        SHOW("depth %d: %d\n", i, epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &event) ? errno : 0);
    }
}

static void waiting(void) {
    e = epoll_create1(0);
    int v = eventfd(0, EFD_NONBLOCK);
    control(EPOLL_CTL_ADD, v, EPOLLIN | EPOLLET, 1);
    if (!fork()) {
        usleep(20000), eventfd_write(v, 3);
        _exit(0);
    }
    show("woken", 5000);
    wait(0);
    struct timespec t = {0, 1000000};
    struct epoll_event b[2];
    TRY("pwait2", syscall(SYS_epoll_pwait2, e, b, 2, &t, 0, 0));
    t.tv_nsec = -1;
    TRY("pwait2 time", syscall(SYS_epoll_pwait2, e, b, 2, &t, 0, 0));
    sigset_t set;
    sigemptyset(&set);
    TRY("pwait", epoll_pwait(e, b, 2, 1, &set));
    int two = epoll_create1(0), fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = eventfd(1, 0);
        struct epoll_event event = {EPOLLIN, {.u64 = i}};
        epoll_ctl(two, EPOLL_CTL_ADD, fds[i], &event);
    }
    for (int i = 0; i < 4; i++) SHOW("round robin %d %d\n", epoll_wait(two, b, 1, 0), (int)b[0].data.u64);
}

int main(void) {
    PART(polls), PART(selects), PART(interrupted), PART(epolls), PART(nested), PART(waiting);
    return 0;
}
