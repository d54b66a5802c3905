/* What system calls cost: prints NAME, MEDIAN and LEAST of microseconds for each operation, tab-separated.
 *
 * bench [--one-cpu] [--blocked THREADS] [--rounds ROUNDS] [NAME...]
 * bench [--rounds ROUNDS] --notification
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS_MAX 99
/* How long one round takes, if one operation does not take longer. */
#define ROUND_US 8000.0
/* An operation that takes longer is not repeated often. */
#define SLOW_US 50000.0

const char *self;
int on_one_cpu;
static int rounds = 9;
static int blocker[2];

static double now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

static double once(const struct benchmark *what, long count) {
    double start = now_us();
    what->run(count);
    return now_us() - start;
}

/* How many operations fill a round. */
static long calibrate(const struct benchmark *what) {
    long count = 1;
    for (;;) {
        double took = once(what, count);
        if (took > ROUND_US / 4) {
            long fitting = count * (ROUND_US / took);
            return fitting > 0 ? fitting : 1;
        }
        count *= 2;
    }
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

void measure(const struct benchmark *what) {
    double values[ROUNDS_MAX];
    if (what->begin)
        what->begin();
    long count = calibrate(what);
    int wanted = rounds;
    for (int round = 0; round < wanted; round++) {
        double took = once(what, count);
        values[round] = took / count;
        if (took > SLOW_US && wanted > 3)
            wanted = 3;
    }
    if (what->end)
        what->end();
    qsort(values, wanted, sizeof *values, by_value);
    printf("%s\t%.4f\t%.4f\n", what->name, values[(wanted - 1) / 2], values[0]);
    fflush(stdout);
}

static void *block(void *unused) {
    char byte;
    CHECK(read(blocker[0], &byte, 1) == 0);
    return unused;
}

/* Threads that wait in a system call while all else is measured. */
static void start_blocked(int count) {
    pthread_attr_t attributes;
    CHECK(pipe(blocker) == 0);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 32 << 10) == 0);
    for (int made = 0; made < count; made++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, block, NULL) == 0);
    }
    usleep(200000);
}

static int wanted(const char *name, char **names, int count) {
    for (int at = 0; at < count; at++)
        if (strcmp(names[at], name) == 0)
            return 1;
    return count == 0;
}

int main(int count, char **arguments) {
    self = arguments[0];
    int at = 1;
    for (; at < count && strncmp(arguments[at], "--", 2) == 0; at++) {
        if (strcmp(arguments[at], "--exit") == 0)
            return 0;
        if (strcmp(arguments[at], "--one-cpu") == 0)
            on_one_cpu = 1;
        else if (strcmp(arguments[at], "--notification") == 0)
            return measure_notification(), 0;
        else if (strcmp(arguments[at], "--blocked") == 0 && at + 1 < count)
            start_blocked(atoi(arguments[++at]));
        else if (strcmp(arguments[at], "--rounds") == 0 && at + 1 < count)
            rounds = atoi(arguments[++at]);
        else
            return 2;
    }
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    const struct benchmark *lists[] = {calls, switches, processes, memory, files};
    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
        for (const struct benchmark *what = lists[list]; what->name; what++)
            if (wanted(what->name, arguments + at, count - at))
                measure(what);
    /* Without a word to the blocked threads: they end with the process. */
    return 0;
}
