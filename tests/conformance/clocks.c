/* All that tells a clock's time agrees, and all that waits until a time does so. Prints the same on every Linux, with
   clocks that were moved (time_namespaces(7)) too. */
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <time.h>

static double seconds(struct timespec t) { return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }

static double by_library(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return seconds(t);
}

static double by_call(int clock) {
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return seconds(t);
}

/* A word of a file: the one after a key, or the one at a place. */
static double word(const char *path, const char *key, int place) {
    char text[8192];
    FILE *f = fopen(path, "r");
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    char *at = key ? strstr(text, key) + strlen(key) : text;
    for (; place > 0; place--)
        at = strchr(at, ' ') + 1;
    return strtod(at, 0);
}

static void near(const char *what, double a, double b) {
    if (a - b < 2 && b - a < 2)
        SHOW("%s agrees\n", what);
    else
        SHOW("%s %f is not %f\n", what, a, b);
}

static void readings(void) {
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME};
    for (int i = 0; i < 4; i++) {
        double a = by_library(clocks[i]), b = by_call(clocks[i]), c = by_library(clocks[i]);
        /* Coarse clocks step. */
        SHOW("clock %d %d %d\n", clocks[i], a <= b + 0.02, b <= c + 0.02);
        near("call", b, a);
    }
    double up = by_call(CLOCK_BOOTTIME);
    struct sysinfo info;
    sysinfo(&info);
    near("sysinfo", (double)info.uptime, up);
    near("uptime", word("/proc/uptime", 0, 0), up);
    near("btime", word("/proc/stat", "btime", 1), by_call(CLOCK_REALTIME) - up);
    near("starttime", word("/proc/self/stat", ") ", 19) / (double)sysconf(_SC_CLK_TCK), up);
}

static struct timespec soon(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += 40000000;
    if (t.tv_nsec >= 1000000000)
        t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

static double began;

static void begin(void) { began = by_library(CLOCK_MONOTONIC); }

static void done(const char *what, int result) {
    double took = by_library(CLOCK_MONOTONIC) - began;
    SHOW("%s: %d %s\n", what, result, took < 0.035 ? "early" : took > 3 ? "late" : "in time");
}

static void futexes(void) {
    static int words[2];
    static const int flags[] = {FUTEX_PRIVATE_FLAG, 0};
    for (int i = 0; i < 2; i++) {
        struct timespec t = soon(CLOCK_MONOTONIC);
        begin();
        int r = syscall(SYS_futex, &words[i], FUTEX_WAIT_BITSET | flags[i], 0, &t, 0, FUTEX_BITSET_MATCH_ANY);
        done("futex", r ? errno : 0);
    }
    struct timespec t = soon(CLOCK_REALTIME);
    begin();
    int r = syscall(SYS_futex, words, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 0, &t, 0,
                    FUTEX_BITSET_MATCH_ANY);
    done("futex by date", r ? errno : 0);
}

static void conditions(void) {
    pthread_condattr_t a;
    pthread_cond_t c;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_init(&a), pthread_condattr_setclock(&a, CLOCK_MONOTONIC), pthread_cond_init(&c, &a);
    struct timespec t = soon(CLOCK_MONOTONIC);
    pthread_mutex_lock(&m);
    begin();
    int r;
    while ((r = pthread_cond_timedwait(&c, &m, &t)) == 0)
        ;
    done("condition", r);
}

static void sleeps(int clock) {
    struct timespec t = soon(clock);
    begin();
    done("sleep", clock_nanosleep(clock, TIMER_ABSTIME, &t, 0));
}

static void descriptors(int clock) {
    int fd = timerfd_create(clock, 0);
    struct itimerspec t = {.it_value = soon(clock)};
    uint64_t count = 0;
    begin();
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, 0);
    int r = read(fd, &count, 8);
    done("timerfd", r == 8 ? (int)count : errno);
    timerfd_gettime(fd, &t);
    SHOW("left %d\n", (int)t.it_value.tv_sec);
    close(fd);
}

static void timers(int clock) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN), sigprocmask(SIG_BLOCK, &set, 0);
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    timer_t timer;
    timer_create(clock, &e, &timer);
    struct itimerspec t = {.it_value = soon(clock)};
    begin();
    timer_settime(timer, TIMER_ABSTIME, &t, 0);
    done("timer", sigwaitinfo(&set, 0) == SIGRTMIN ? 0 : errno);
    timer_delete(timer);
}

int main(void) {
    readings();
    futexes();
    conditions();
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME};
    for (int i = 0; i < 3; i++) {
        sleeps(clocks[i]);
        descriptors(clocks[i]);
        timers(clocks[i]);
    }
    return 0;
}
