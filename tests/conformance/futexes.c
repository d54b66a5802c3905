/* Futexes. Prints the same on every Linux. */
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
static uint32_t word, other, *shared;
static long result[4];

static long futex(uint32_t *at, int op, uint32_t value, const void *timeout, uint32_t *at2, uint32_t value3) {
    return syscall(SYS_futex, at, op, value, timeout, at2, value3);
}

static void *waits(void *argument) {
    long n = (long)argument;
    result[n] = futex(&word, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
    return 0;
}

static void plain(void) {
    struct timespec t = {0, 10000000};
    TRY("value", futex(&word, FUTEX_WAIT, 1, 0, 0, 0));
    TRY("timeout", futex(&word, FUTEX_WAIT, 0, &t, 0, 0));
    t.tv_nsec = 2000000000, TRY("nanoseconds", futex(&word, FUTEX_WAIT, 0, &t, 0, 0));
    TRY("unaligned", futex((void *)((char *)&word + 1), FUTEX_WAIT, 0, 0, 0, 0));
    TRY("pointer", futex((void *)8, FUTEX_WAIT, 0, 0, 0, 0));
    TRY("nobody", futex(&word, FUTEX_WAKE, 1, 0, 0, 0));
    TRY("operation", futex(&word, 99, 1, 0, 0, 0));
    TRY("bitset", futex(&word, FUTEX_WAIT_BITSET, 0, 0, 0, 0));
    TRY("wake bitset", futex(&word, FUTEX_WAKE_BITSET, 1, 0, 0, 0));
    clock_gettime(CLOCK_MONOTONIC, &t);
    TRY("absolute", futex(&word, FUTEX_WAIT_BITSET, 0, &t, 0, -1));
    clock_gettime(CLOCK_REALTIME, &t);
    TRY("realtime", futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, 0, -1));
    pthread_t thread[3];
    for (long i = 0; i < 3; i++) pthread_create(&thread[i], 0, waits, (void *)i);
    usleep(50000);
    TRY("wake one", futex(&word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0));
    TRY("requeue", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 0));
    TRY("requeue value", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 5));
    TRY("wake none here", futex(&word, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
    TRY("wake op", futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
        FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0)));
    SHOW("other %u\n", other);
    for (int i = 0; i < 3; i++) pthread_join(thread[i], 0), SHOW("result %ld\n", result[i]);
}

static void between(void) {
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!fork()) _exit(futex(shared, FUTEX_WAIT, 0, 0, 0, 0) ? errno : 0);
    usleep(50000);
    TRY("private does not reach", futex(shared, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
    TRY("shared", futex(shared, FUTEX_WAKE, 9, 0, 0, 0));
    int status;
    wait(&status), SHOW("child %x\n", status);
}

static void *locks(void *argument) {
    (void)argument;
    result[0] = futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0);
    result[1] = (word & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid);
    result[2] = futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
    return 0;
}

static void inheriting(void) {
    word = 0;
    TRY("lock", futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0)), SHOW("owner %d\n", word == (uint32_t)getpid());
    TRY("again", futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0)), TRY("try", futex(&word, FUTEX_TRYLOCK_PI, 0, 0, 0, 0));
    pthread_t thread;
    pthread_create(&thread, 0, locks, 0), usleep(50000);
    SHOW("waiters %d\n", !!(word & FUTEX_WAITERS));
    TRY("unlock", futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0)), pthread_join(thread, 0);
    SHOW("%ld %ld %ld word %u\n", result[0], result[1], result[2], word);
    TRY("not mine", futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    word = 999999, TRY("nobody", futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0));
    word = 0, TRY("lock 2", futex(&word, FUTEX_LOCK_PI2, 0, 0, 0, 0));
}

static pthread_mutex_t *mutex;

static void robust(int kind) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a), pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), pthread_mutexattr_setprotocol(&a, kind);
    mutex = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(mutex, &a);
    pid_t holder = fork();
    if (!holder) pthread_mutex_lock(mutex), usleep(60000), _exit(0);
    usleep(20000);
    pid_t waiter = fork();
    if (!waiter) _exit(pthread_mutex_lock(mutex));
    int status;
    waitpid(waiter, &status, 0), SHOW("waiter got %d\n", WEXITSTATUS(status) == EOWNERDEAD);
    waitpid(holder, &status, 0);
    SHOW("then %d\n", pthread_mutex_lock(mutex) == EOWNERDEAD);
    TRY("consistent", pthread_mutex_consistent(mutex)), TRY("unlock", pthread_mutex_unlock(mutex));
    TRY("lock", pthread_mutex_lock(mutex));
}

static void robust_plain(void) {
    robust(PTHREAD_PRIO_NONE);
}

static void robust_inheriting(void) {
    robust(PTHREAD_PRIO_INHERIT);
}

/* The holder of a lock is killed while it does something; another process waits for the lock. */
static void killed(const char *what, int kind, void (*holds)(void)) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a), pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), pthread_mutexattr_setprotocol(&a, kind);
    mutex = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(mutex, &a);
    pid_t holder = fork(), waiter[2];
    if (!holder) pthread_mutex_lock(mutex), holds(), _exit(0);
    usleep(30000);
    for (int i = 0; i < 2; i++) {
        waiter[i] = fork();
        if (waiter[i]) continue;
        int got = pthread_mutex_lock(mutex);
        pthread_mutex_consistent(mutex), pthread_mutex_unlock(mutex), _exit(got);
    }
    usleep(30000);
    kill(holder, SIGKILL);
    int status, died = 0, plain = 0;
    waitpid(holder, &status, 0), SHOW("%s: holder %x\n", what, status);
    for (int i = 0; i < 2; i++) {
        waitpid(waiter[i], &status, 0);
        died += WEXITSTATUS(status) == EOWNERDEAD, plain += status == 0;
    }
    SHOW("%s: %d hear of it, %d do not\n", what, died, plain);
    SHOW("%s: then %d\n", what, pthread_mutex_lock(mutex));
}

static void sleeps(void) {
    sleep(100);
}

static void computes(void) {
    for (;;) __asm__ volatile("");
}

static void yields(void) {
    for (;;) sched_yield();
}

static void waits_natively(void) {
    uint32_t zero = 0;
    futex(&zero, FUTEX_WAIT, 0, 0, 0, 0);
}

static void *sleeps_beside(void *argument) {
    (void)argument;
    sleep(100);
    return 0;
}

static void has_threads(void) {
    pthread_t thread;
    pthread_create(&thread, 0, sleeps_beside, 0);
    computes();
}

static void stops(void) {
    raise(SIGSTOP);
}

static void robust_killed(void) {
    killed("sleeps", PTHREAD_PRIO_NONE, sleeps);
    killed("computes", PTHREAD_PRIO_NONE, computes);
    killed("yields", PTHREAD_PRIO_NONE, yields);
    killed("waits", PTHREAD_PRIO_NONE, waits_natively);
    killed("has threads", PTHREAD_PRIO_NONE, has_threads);
    killed("stopped", PTHREAD_PRIO_NONE, stops);
    killed("inheriting", PTHREAD_PRIO_INHERIT, sleeps);
    killed("inheriting, computes", PTHREAD_PRIO_INHERIT, computes);
}

static void *leaves(void *argument) {
    (void)argument;
    pthread_mutex_lock(mutex);
    computes();
    return 0;
}

/* A thread holds a lock while another ends the process. */
static void robust_exit_group(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a), pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    mutex = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(mutex, &a);
    pid_t holder = fork();
    if (!holder) {
        pthread_t thread;
        pthread_create(&thread, 0, leaves, 0), usleep(60000), _exit(3);
    }
    usleep(30000);
    SHOW("lock %d\n", pthread_mutex_lock(mutex) == EOWNERDEAD);
    int status;
    waitpid(holder, &status, 0), SHOW("holder %x\n", status);
}

/* A list that goes round without coming back to its head. */
static void robust_circle(void) {
    struct entry {
        struct robust_list list;
        uint32_t word;
    } *e = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int circle = 1; circle <= 4; circle++) {
        pid_t holder = fork();
        if (!holder) {
            for (int i = 0; i < 4; i++) e[i].word = getpid(), e[i].list.next = &e[i < 3 ? i + 1 : 4 - circle].list;
            struct robust_list_head head = {{&e[0].list}, offsetof(struct entry, word), 0};
            syscall(SYS_set_robust_list, &head, sizeof head), _exit(0);
        }
        waitpid(holder, 0, 0);
        for (int i = 0; i < 4; i++) SHOW("circle of %d: %d holds %x\n", circle, i, e[i].word);
    }
}

static uint32_t inner, turn;
static struct {
    long result;
    int mine;
} turns[4];

/* Waits for `word`, and has the lock `inner` when it returns. */
static void *waits_for_lock(void *argument) {
    long n = (long)argument;
    result[n] = futex(&word, FUTEX_WAIT_REQUEUE_PI, 7, 0, &inner, 0);
    turns[turn].result = result[n];
    turns[turn++].mine = (inner & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid);
    result[n] = futex(&inner, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
    return 0;
}

static void requeueing(void) {
    struct timespec t;
    word = 7, inner = turn = 0;
    TRY("value", futex(&word, FUTEX_WAIT_REQUEUE_PI, 8, 0, &inner, 0));
    TRY("same", futex(&word, FUTEX_WAIT_REQUEUE_PI, 7, 0, &word, 0));
    TRY("unaligned", futex(&word, FUTEX_WAIT_REQUEUE_PI, 7, 0, (uint32_t *)((char *)&inner + 1), 0));
    clock_gettime(CLOCK_MONOTONIC, &t);
    TRY("late", futex(&word, FUTEX_WAIT_REQUEUE_PI, 7, &t, &inner, 0));
    clock_gettime(CLOCK_REALTIME, &t);
    TRY("late", futex(&word, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 7, &t, &inner, 0));
    TRY("wakes two", futex(&word, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &inner, 7));
    TRY("moves to itself", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &word, 7));
    TRY("other value", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &inner, 8));
    TRY("nobody", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &inner, 7));
    pthread_t thread[3];
    for (long i = 0; i < 3; i++) pthread_create(&thread[i], 0, waits_for_lock, (void *)i), usleep(80000);
    TRY("wrong lock", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &other, 7));
    TRY("lock", futex(&inner, FUTEX_LOCK_PI, 0, 0, 0, 0));
    TRY("moves two", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &inner, 7));
    SHOW("waited for %d\n", !!(inner & FUTEX_WAITERS));
    TRY("moves the last", futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &inner, 7));
    TRY("unlock", futex(&inner, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    for (int i = 0; i < 3; i++) pthread_join(thread[i], 0);
    for (int i = 0; i < 3; i++) SHOW("turn %d: %ld mine %d, unlocked %ld\n", i, turns[i].result, turns[i].mine, result[i]);
    SHOW("free %u\n", inner);
    pthread_create(&thread[0], 0, waits_for_lock, 0);
    long given = 0;
    while (given == 0) usleep(1000), given = futex(&word, FUTEX_CMP_REQUEUE_PI, 1, 0, &inner, 7);
    SHOW("gives it at once %ld\n", given);
    pthread_join(thread[0], 0), SHOW("turn 3: %ld mine %d, free %u\n", turns[3].result, turns[3].mine, inner);
}

static void interrupted(int signal) {
    (void)signal;
}

static void signals(void) {
    struct sigaction a = {.sa_handler = interrupted};
    struct timespec t = {5, 0};
    word = 0, sigaction(SIGALRM, &a, 0), ualarm(20000, 0);
    TRY("handler", futex(&word, FUTEX_WAIT, 0, &t, 0, 0));
    a.sa_flags = SA_RESTART, sigaction(SIGALRM, &a, 0), ualarm(20000, 0), t.tv_sec = 0, t.tv_nsec = 60000000;
    TRY("restart", futex(&word, FUTEX_WAIT, 0, &t, 0, 0));
}

static pthread_cond_t condition;
static pthread_mutex_t guard;
static int ready;

static void *waits_for_condition(void *argument) {
    (void)argument;
    pthread_mutex_lock(&guard);
    while (!ready) pthread_cond_wait(&condition, &guard);
    pthread_mutex_unlock(&guard);
    return 0;
}

static void conditions(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a), pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    SHOW("init %d\n", pthread_mutex_init(&guard, &a)), pthread_cond_init(&condition, 0);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) pthread_create(&thread[i], 0, waits_for_condition, 0);
    usleep(30000);
    pthread_mutex_lock(&guard), ready = 1, pthread_cond_broadcast(&condition), pthread_mutex_unlock(&guard);
    for (int i = 0; i < 4; i++) SHOW("join %d\n", pthread_join(thread[i], 0));
}

/* A process that waits for at most so long; how that ends, and whether it took from 1500 to 2500 ms. */
static int timed(long milliseconds) {
    int child = fork();
    if (child) return child;
    struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000}, from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    long got = futex(shared, FUTEX_WAIT, 0, &t, 0, 0), error = got ? errno : 0;
    clock_gettime(CLOCK_MONOTONIC, &to);
    long took = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    SHOW("waited %ld/%ld %d\n", got, error, took >= 1500 && took < 2500), _exit(0);
}

static void stop(int child) {
    int status;
    kill(child, SIGSTOP), waitpid(child, &status, WUNTRACED), SHOW("stopped %x\n", status);
}

/* One that is stopped waits on with what is left. */
static void stopped(void) {
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int child = timed(1500);
    usleep(1200000), stop(child), kill(child, SIGCONT), waitpid(child, 0, 0);
    child = timed(1500);
    for (int i = 0; i < 5; i++) usleep(250000), stop(child), kill(child, SIGCONT);
    waitpid(child, 0, 0), child = timed(60000);
    usleep(1600000), stop(child), kill(child, SIGCONT), usleep(50000);
    long woken = futex(shared, FUTEX_WAKE, 1, 0, 0, 0);
    waitpid(child, 0, 0), SHOW("woken %ld\n", woken), child = timed(60000);
    usleep(1600000), stop(child), *shared = 1, kill(child, SIGCONT), waitpid(child, 0, 0);
}

int main(void) {
    PART(plain), PART(between), PART(stopped), PART(inheriting), PART(robust_plain), PART(robust_inheriting);
    PART(robust_killed), PART(robust_exit_group), PART(robust_circle);
    PART(signals), PART(conditions), PART(requeueing);
    return 0;
}
