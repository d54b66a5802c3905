/* Signals as files. Prints the same on every Linux. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    sigset_t set;
    struct signalfd_siginfo i[3];
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGCHLD), sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, 0);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    printf("open %d cloexec %d\n", fd >= 0, fcntl(fd, F_GETFD));
    long n = read(fd, i, sizeof i);
    printf("nothing %ld %d\n", n, errno);
    kill(getpid(), SIGUSR1), raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    struct pollfd p = {fd, POLLIN};
    printf("poll %d\n", poll(&p, 1, 0));
    n = read(fd, i, sizeof i);
    printf("read %ld: %u %d, %u %d\n", n / (long)sizeof *i, i[0].ssi_signo, i[0].ssi_pid == getpid(), i[1].ssi_signo,
        i[1].ssi_code);
    printf("value %d\n", i[n / sizeof *i - 1].ssi_int);
    if (!fork())
        _exit(3);
    printf("child %d\n", poll(&p, 1, 2000));
    n = read(fd, i, sizeof i);
    printf("%u code %d status %d\n", i[0].ssi_signo, i[0].ssi_code, i[0].ssi_status);
    wait(0);
    n = read(fd, i, 10);
    printf("short %ld %d\n", n, errno);
    n = signalfd(0, &set, 0);
    printf("other %ld %d\n", n, errno);
    n = signalfd(fd, &set, 1);
    printf("flags %ld %d\n", n, errno);
    if (!fork()) {
        usleep(30000), kill(getppid(), SIGUSR1);
        _exit(0);
    }
    fcntl(fd, F_SETFL, 0);
    n = read(fd, i, sizeof *i);
    printf("waited %u\n", i[0].ssi_signo), wait(0);
    /* Another process reads its own signals from the same file. */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    kill(getpid(), SIGUSR1), fflush(stdout);
    if (!fork()) {
        n = read(fd, i, sizeof *i);
        printf("of the maker %ld %d, poll %d\n", n, errno, poll(&p, 1, 0));
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6});
        printf("own poll %d\n", poll(&p, 1, 0));
        n = read(fd, i, sizeof *i);
        printf("own %ld %d\n", n / (long)sizeof *i, i[0].ssi_int), fflush(stdout);
        _exit(0);
    }
    wait(0);
    n = read(fd, i, sizeof *i);
    printf("left %u\n", i[0].ssi_signo);
    /* An instance of epoll shows each process its own. */
    kill(getpid(), SIGUSR1);
    int ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {0}};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), fflush(stdout);
    if (!fork()) {
        printf("instance %d\n", epoll_wait(ep, &e, 1, 0)), fflush(stdout);
        _exit(0);
    }
    wait(0);
    printf("of the maker %d\n", epoll_wait(ep, &e, 1, 0));
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), printf("again %d\n", epoll_wait(ep, &e, 1, 0));
    /* So does one inside another, and under poll. */
    int outer = epoll_create1(0);
    struct pollfd within = {ep, POLLIN};
    epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e);
    printf("outer %d, polled %d\n", epoll_wait(outer, &e, 1, 0), poll(&within, 1, 0)), fflush(stdout);
    if (!fork()) {
        printf("a child's outer %d, polled %d\n", epoll_wait(outer, &e, 1, 0), poll(&within, 1, 0)), fflush(stdout);
        _exit(0);
    }
    wait(0);
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
    printf("outer again %d, polled %d\n", epoll_wait(outer, &e, 1, 0), poll(&within, 1, 0));
    return 0;
}
