/* The newer futex calls: futex_waitv and its like. Prints the same on every Linux that has them. */
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <time.h>

#define WAITV 449
#define WAKE 454
#define WAIT 455
#define REQUEUE 456
/* FUTEX2_SIZE_U32, FUTEX2_PRIVATE */
#define U32 2
#define PRIVATE 128

struct waiter {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static uint32_t words[4], *shared;
static struct waiter waiters[130];

static void fill(int count, uint32_t flags) {
    memset(waiters, 0, sizeof waiters);
    for (int i = 0; i < count; i++) waiters[i] = (struct waiter){0, (uintptr_t)&words[i % 4], flags, 0};
}

static struct timespec after(clockid_t clock, long ms) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000, t.tv_nsec %= 1000000000;
    return t;
}

static void arguments(void) {
    struct timespec soon = after(CLOCK_MONOTONIC, 20), wrong = {0, 1000000000};
    fill(130, U32);
    TRY("none", syscall(WAITV, waiters, 0, 0, 0, 0));
    TRY("too many", syscall(WAITV, waiters, 129, 0, &soon, CLOCK_MONOTONIC));
    TRY("flags", syscall(WAITV, waiters, 1, 1, &soon, CLOCK_MONOTONIC));
    TRY("clock", syscall(WAITV, waiters, 1, 0, &soon, CLOCK_BOOTTIME));
    TRY("time", syscall(WAITV, waiters, 1, 0, &wrong, CLOCK_MONOTONIC));
    TRY("array", syscall(WAITV, 8, 1, 0, &soon, CLOCK_MONOTONIC));
    waiters[0].reserved = 1, TRY("reserved", syscall(WAITV, waiters, 1, 0, &soon, CLOCK_MONOTONIC));
    fill(1, 0x100 | U32), TRY("waiter's flags", syscall(WAITV, waiters, 1, 0, &soon, CLOCK_MONOTONIC));
    fill(1, U32), waiters[0].value = 1;
    TRY("value", syscall(WAITV, waiters, 1, 0, &soon, CLOCK_MONOTONIC));
    fill(1, U32), waiters[0].address = 8;
    TRY("address", syscall(WAITV, waiters, 1, 0, &soon, CLOCK_MONOTONIC));
    fill(4, U32 | PRIVATE), soon = after(CLOCK_MONOTONIC, 20);
    TRY("monotonic", syscall(WAITV, waiters, 4, 0, &soon, CLOCK_MONOTONIC));
    soon = after(CLOCK_REALTIME, 20);
    TRY("realtime", syscall(WAITV, waiters, 4, 0, &soon, CLOCK_REALTIME));
}

static void *wakes(void *at) {
    usleep(30000);
    syscall(SYS_futex, at, FUTEX_WAKE, 1, 0, 0, 0);
    return 0;
}

static void woken(void) {
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        fill(4, U32), pthread_create(&thread, 0, wakes, &words[i]);
        TRY("woken", syscall(WAITV, waiters, 4, 0, 0, 0)), pthread_join(thread, 0);
    }
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fill(2, U32), waiters[1].address = (uintptr_t)shared;
    pid_t child = fork();
    if (!child) wakes(shared), _exit(0);
    TRY("by another process", syscall(WAITV, waiters, 2, 0, 0, 0));
    waitpid(child, 0, 0);
}

static void *wakes_two(void *argument) {
    (void)argument;
    usleep(30000);
    return (void *)syscall(WAKE, &words[0], 2, 9, U32);
}

static void single(void) {
    struct timespec soon = after(CLOCK_MONOTONIC, 20);
    TRY("value", syscall(WAIT, &words[0], 1, -1U, U32, 0, 0));
    TRY("timeout", syscall(WAIT, &words[0], 0, -1U, U32, &soon, CLOCK_MONOTONIC));
    TRY("mask", syscall(WAIT, &words[0], 0, 0, U32, 0, 0));
    TRY("flags", syscall(WAIT, &words[0], 0, -1U, 0x100, 0, 0));
    TRY("nobody", syscall(WAKE, &words[0], -1U, 1, U32));
    TRY("wake with flags", syscall(WAKE, &words[0], -1U, 1, 0x100));
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, wakes_two, 0);
    TRY("wait", syscall(WAIT, &words[0], 0, 3, U32, 0, 0)), pthread_join(thread, &result);
    SHOW("woke %ld\n", (long)result);
    fill(2, U32);
    TRY("requeue nobody", syscall(REQUEUE, waiters, 0, 1, 1));
    waiters[0].value = 5, TRY("requeue value", syscall(REQUEUE, waiters, 0, 1, 1));
    TRY("requeue flags", syscall(REQUEUE, waiters, 1, 1, 1));
}

static volatile int handled;

static void handle(int signal) {
    handled = signal;
}

static void *kicks(void *main) {
    usleep(30000);
    pthread_kill(*(pthread_t *)main, SIGUSR1);
    usleep(30000);
    syscall(SYS_futex, &words[1], FUTEX_WAKE, 1, 0, 0, 0);
    return 0;
}

static void interrupted(void) {
    pthread_t thread, main = pthread_self();
    struct sigaction a = {.sa_handler = handle};
    sigaction(SIGUSR1, &a, 0);
    fill(2, U32), pthread_create(&thread, 0, kicks, &main);
    TRY("handler", syscall(WAITV, waiters, 2, 0, 0, 0)), pthread_join(thread, 0), SHOW("handled %d\n", handled);
    a.sa_flags = SA_RESTART, handled = 0, sigaction(SIGUSR1, &a, 0);
    pthread_create(&thread, 0, kicks, &main);
    TRY("restart", syscall(WAITV, waiters, 2, 0, 0, 0)), pthread_join(thread, 0), SHOW("handled %d\n", handled);
    struct timespec later = after(CLOCK_MONOTONIC, 5000);
    handled = 0, pthread_create(&thread, 0, kicks, &main);
    TRY("with a time", syscall(WAITV, waiters, 2, 0, &later, CLOCK_MONOTONIC)), pthread_join(thread, 0);
    SHOW("handled %d\n", handled);
    pid_t child = fork();
    if (!child) {
        fill(2, U32), waiters[1].address = (uintptr_t)shared;
        _exit(syscall(WAITV, waiters, 2, 0, 0, 0));
    }
    int status;
    usleep(30000), kill(child, SIGSTOP), waitpid(child, &status, WUNTRACED), SHOW("stopped %x\n", status);
    kill(child, SIGCONT), usleep(30000), syscall(SYS_futex, shared, FUTEX_WAKE, 1, 0, 0, 0);
    waitpid(child, &status, 0), SHOW("ends %x\n", status);
}

int main(void) {
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    PART(arguments), PART(woken), PART(single), PART(interrupted);
    return 0;
}
