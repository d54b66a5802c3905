/* Round trips between two processes or threads. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* Where the measuring side writes and reads, and where its peer does. */
static int here_out, here_in, there_in, there_out;
static pthread_t peer_thread;
static pid_t peer_process;

static void *echo(void *unused) {
    char byte;
    while (read(there_in, &byte, 1) == 1)
        CHECK(write(there_out, &byte, 1) == 1);
    return unused;
}

static void make_pipes(void) {
    int to[2], from[2];
    CHECK(pipe(to) == 0 && pipe(from) == 0);
    here_out = to[1], there_in = to[0], there_out = from[1], here_in = from[0];
}

static void begin_processes(void) {
    make_pipes();
    peer_process = fork();
    CHECK(peer_process >= 0);
    if (peer_process == 0) {
        close(here_out);
        echo(NULL);
        _exit(0);
    }
    close(there_in);
    close(there_out);
}

static void end_processes(void) {
    close(here_out);
    CHECK(waitpid(peer_process, NULL, 0) == peer_process);
    close(here_in);
}

static void begin_threads(void) {
    make_pipes();
    CHECK(pthread_create(&peer_thread, NULL, echo, NULL) == 0);
}

static void end_threads(void) {
    close(here_out);
    CHECK(pthread_join(peer_thread, NULL) == 0);
    close(here_in);
    close(there_in);
    close(there_out);
}

static void bytes(long count) {
    char byte = 0;
    while (count--)
        CHECK(write(here_out, &byte, 1) == 1 && read(here_in, &byte, 1) == 1);
}

static void connect_tcp(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    here_in = here_out = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(here_out, (struct sockaddr *)&address, len) == 0);
    there_in = there_out = accept(listener, NULL, NULL);
    CHECK(there_in >= 0);
    CHECK(setsockopt(here_in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    CHECK(setsockopt(there_in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    close(listener);
}

static void begin_tcp(void) {
    connect_tcp();
    CHECK(pthread_create(&peer_thread, NULL, echo, NULL) == 0);
}

static void end_tcp(void) {
    CHECK(shutdown(here_out, SHUT_WR) == 0);
    CHECK(pthread_join(peer_thread, NULL) == 0);
    close(here_in);
    close(there_in);
}

/* Whose turn it is. */
static volatile uint32_t turn;
#define HERE 0
#define THERE 1
#define NOBODY 2

static void pass(uint32_t to) {
    turn = to;
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_turn(uint32_t mine, uint32_t other) {
    while (turn == other)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, NULL, NULL, 0);
    (void)mine;
}

static void *answer(void *unused) {
    for (;;) {
        await_turn(THERE, HERE);
        if (turn == NOBODY)
            return unused;
        pass(HERE);
    }
}

static void begin_futex(void) {
    turn = HERE;
    CHECK(pthread_create(&peer_thread, NULL, answer, NULL) == 0);
}

static void turns(long count) {
    while (count--) {
        pass(THERE);
        await_turn(HERE, THERE);
    }
}

static void end_futex(void) {
    pass(NOBODY);
    CHECK(pthread_join(peer_thread, NULL) == 0);
}

/* Two event counters, each in an epoll of its reader. */
static int epoll_here, epoll_there;

static int watch(int file) {
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event) == 0);
    return epoll;
}

static uint64_t take(int epoll) {
    struct epoll_event event;
    uint64_t value;
    CHECK(epoll_wait(epoll, &event, 1, -1) == 1);
    CHECK(read(event.data.fd, &value, sizeof value) == sizeof value);
    return value;
}

static void give(int file, uint64_t value) {
    CHECK(write(file, &value, sizeof value) == sizeof value);
}

static void *answer_events(void *unused) {
    while (take(epoll_there) == 1)
        give(here_in, 1);
    return unused;
}

static void begin_epoll(void) {
    here_out = eventfd(0, 0), here_in = eventfd(0, 0);
    epoll_there = watch(here_out), epoll_here = watch(here_in);
    CHECK(pthread_create(&peer_thread, NULL, answer_events, NULL) == 0);
}

static void events(long count) {
    while (count--) {
        give(here_out, 1);
        take(epoll_here);
    }
}

static void end_epoll(void) {
    give(here_out, 2);
    CHECK(pthread_join(peer_thread, NULL) == 0);
    close(epoll_here), close(epoll_there), close(here_in), close(here_out);
}

const struct benchmark switches[] = {
    {"pipe, processes", begin_processes, bytes, end_processes},
    {"pipe, threads", begin_threads, bytes, end_threads},
    {"futex, threads", begin_futex, turns, end_futex},
    {"epoll", begin_epoll, events, end_epoll},
    {"loopback TCP", begin_tcp, bytes, end_tcp},
    {NULL, NULL, NULL, NULL},
};
