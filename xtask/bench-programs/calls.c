/* Single system calls, and two callers at once. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FILE_NAME "bench-file"

static int zero;

static void getppids(long count) {
    while (count--)
        syscall(SYS_getppid);
}

static void open_zero(void) {
    zero = open("/dev/zero", O_RDONLY);
    CHECK(zero >= 0);
}

static void close_zero(void) {
    close(zero);
}

static void read_bytes(long count) {
    char byte;
    while (count--)
        CHECK(read(zero, &byte, 1) == 1);
}

static void make_file(void) {
    int file = open(FILE_NAME, O_WRONLY | O_CREAT, 0600);
    CHECK(file >= 0);
    close(file);
}

static void remove_file(void) {
    CHECK(unlink(FILE_NAME) == 0);
}

static void stats(long count) {
    struct stat facts;
    while (count--)
        CHECK(stat(FILE_NAME, &facts) == 0);
}

static void opens(long count) {
    while (count--) {
        int file = open(FILE_NAME, O_RDONLY);
        CHECK(file >= 0);
        close(file);
    }
}

static void clocks(long count) {
    struct timespec time;
    while (count--)
        clock_gettime(CLOCK_MONOTONIC, &time);
}

static volatile sig_atomic_t delivered;

static void on_signal(int number) {
    (void)number;
    delivered++;
}

static void handle_signals(void) {
    CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
}

static void signals(long count) {
    int pid = getpid(), tid = syscall(SYS_gettid);
    delivered = 0;
    for (long sent = 0; sent < count; sent++)
        syscall(SYS_tgkill, pid, tid, SIGUSR1);
    CHECK(delivered == count);
}

/* A thread on a processor of its own that makes calls. */
struct caller {
    pthread_t thread;
    int cpu;
    long count;
};

static void *call(void *argument) {
    struct caller *caller = argument;
    pin_to(caller->cpu);
    getppids(caller->count);
    return NULL;
}

static void call_on(int callers, long count) {
    struct caller all[2];
    for (int index = 0; index < callers; index++) {
        all[index] = (struct caller){.cpu = index, .count = count / callers + 1};
        CHECK(pthread_create(&all[index].thread, NULL, call, &all[index]) == 0);
    }
    for (int index = 0; index < callers; index++)
        CHECK(pthread_join(all[index].thread, NULL) == 0);
}

/* A round of these must be long beside the making of threads. */
#define CALLS_EACH 4000

static void one_caller(long count) {
    call_on(1, count * CALLS_EACH);
}

static void two_callers(long count) {
    call_on(on_one_cpu ? 1 : 2, count * CALLS_EACH);
}

const struct benchmark calls[] = {
    {"getppid", NULL, getppids, NULL},
    {"1-byte read", open_zero, read_bytes, close_zero},
    {"stat", make_file, stats, remove_file},
    {"open+close", make_file, opens, remove_file},
    {"clock_gettime", NULL, clocks, NULL},
    {"signal", handle_signals, signals, NULL},
    {"4000 calls, one caller", NULL, one_caller, NULL},
    {"4000 calls, two callers", NULL, two_callers, NULL},
    {NULL, NULL, NULL, NULL},
};
