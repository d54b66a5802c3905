/* Clocks, sleeps and timers. Prints the same on every Linux. */
#include "show.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>

static volatile int fired;
static void note(int s, siginfo_t *i, void *u) {
    fired++;
    if (s == SIGRTMIN && fired == 1)
        SHOW("timer code %d value %d overrun %d\n", i->si_code, i->si_value.sival_int, i->si_overrun > 2);
}

static long ms(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void burn(long msec) {
    long end = ms(CLOCK_PROCESS_CPUTIME_ID) + msec;
    while (ms(CLOCK_PROCESS_CPUTIME_ID) < end)
        ;
}

static void clocks(void) {
    struct timespec t;
    for (int c = -1; c < 13; c++) {
        errno = 0;
        int r = syscall(SYS_clock_getres, c, &t);
        SHOW("clock %d: %d/%d %s\n", c, r, errno, r ? "" : t.tv_nsec == 1 ? "1ns" : "coarse");
    }
    TRY("settime", clock_settime(CLOCK_MONOTONIC, &t) == -1);
    long a = ms(CLOCK_MONOTONIC), r = ms(CLOCK_REALTIME);
    usleep(20000);
    SHOW("passed %d %d\n", ms(CLOCK_MONOTONIC) - a >= 20, ms(CLOCK_REALTIME) - r >= 20);
    struct timeval v;
    gettimeofday(&v, 0);
    SHOW("same second %d\n", labs(v.tv_sec - time(0)) <= 1);
    struct timex x = {0};
    SHOW("adjtimex %d\n", adjtimex(&x) >= 0);
    burn(30);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    struct tms m;
    times(&m);
    SHOW("cpu %d %d\n", u.ru_utime.tv_usec + u.ru_stime.tv_usec + u.ru_utime.tv_sec * 1000000 >= 20000,
         m.tms_utime + m.tms_stime >= 2);
    SHOW("thread %d\n", ms(CLOCK_THREAD_CPUTIME_ID) >= 20);
}

static void sleeps(void) {
    struct timespec t = {0, 1000000000}, soon;
    TRY("nanoseconds", syscall(SYS_nanosleep, &t, 0));
    t.tv_sec = -1, t.tv_nsec = 0;
    TRY("negative", syscall(SYS_nanosleep, &t, 0));
    t.tv_sec = 0;
    TRY("thread clock", syscall(SYS_clock_nanosleep, 3, 0, &t, 0));
    TRY("raw clock", syscall(SYS_clock_nanosleep, 4, 0, &t, 0));
    TRY("coarse clock", syscall(SYS_clock_nanosleep, 6, 0, &t, 0));
    TRY("no clock", syscall(SYS_clock_nanosleep, 99, 0, &t, 0));
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 30000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    long a = ms(CLOCK_MONOTONIC);
    TRY("absolute", syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 1, &soon, 0));
    SHOW("slept %d\n", ms(CLOCK_MONOTONIC) - a >= 28);
    TRY("past", syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 1, &soon, 0));
    TRY("bad address", syscall(SYS_nanosleep, 8, 0));
}

static void intervals(void) {
    struct sigaction a = {0};
    a.sa_sigaction = note, a.sa_flags = SA_SIGINFO;
    sigaction(SIGALRM, &a, 0), sigaction(SIGVTALRM, &a, 0), sigaction(SIGPROF, &a, 0), sigaction(SIGRTMIN, &a, 0);
    struct itimerval i = {{0, 10000}, {0, 10000}}, old;
    fired = 0;
    TRY("real", setitimer(ITIMER_REAL, &i, &old));
    while (fired < 3)
        pause();
    TRY("get", getitimer(ITIMER_REAL, &old));
    SHOW("interval %ld left %d\n", (long)old.it_interval.tv_usec, old.it_value.tv_usec <= 10000);
    memset(&i, 0, sizeof i);
    setitimer(ITIMER_REAL, &i, 0);
    i.it_value.tv_usec = 1000000;
    TRY("microseconds", setitimer(ITIMER_REAL, &i, 0));
    TRY("which", setitimer(3, &old, 0));
    i.it_value.tv_usec = 20000;
    fired = 0;
    TRY("virtual", setitimer(ITIMER_VIRTUAL, &i, 0));
    while (!fired)
        ;
    fired = 0;
    TRY("profiling", setitimer(ITIMER_PROF, &i, 0));
    while (!fired)
        ;
    TRY("alarm", alarm(100));
    TRY("alarm left", alarm(0));
    TRY("alarm none", alarm(0));
}

static volatile int by_spender, by_others, enough;
static pthread_t spender;

static void who(int sig) {
    *(pthread_equal(pthread_self(), spender) ? &by_spender : &by_others) += sig > 0;
}

static void *spend(void *arg) {
    while (!enough)
        ;
    return arg;
}

/* A timer on the CPU time of a process signals the thread that runs. */
static void spenders(void) {
    const int signals[] = {SIGPROF, SIGVTALRM, SIGRTMIN};
    for (int i = 0; i < 3; i++) {
        timer_t id;
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
        struct itimerval often = {{0, 10000}, {0, 10000}}, never = {0};
        struct itimerspec same = {{0, 10000000}, {0, 10000000}};
        by_spender = by_others = enough = 0;
        signal(signals[i], who), pthread_create(&spender, 0, spend, 0);
        if (i == 2)
            timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &id), timer_settime(id, 0, &same, 0);
        else
            setitimer(i ? ITIMER_VIRTUAL : ITIMER_PROF, &often, 0);
        while (by_spender + by_others < 5)
            usleep(20000);
        if (i == 2)
            timer_delete(id);
        else
            setitimer(i ? ITIMER_VIRTUAL : ITIMER_PROF, &never, 0);
        enough = 1, pthread_join(spender, 0), SHOW("signal %d by others %d\n", i, by_others);
    }
}

static void posix(void) {
    timer_t id;
    struct sigevent e = {0};
    e.sigev_notify = SIGEV_SIGNAL, e.sigev_signo = SIGRTMIN, e.sigev_value.sival_int = 77;
    fired = 0;
    TRY("create", timer_create(CLOCK_MONOTONIC, &e, &id));
    struct itimerspec s = {{0, 1000000}, {0, 5000000}}, old;
    sigset_t set, before;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN), sigprocmask(SIG_BLOCK, &set, &before);
    TRY("set", timer_settime(id, 0, &s, 0));
    usleep(40000);
    sigprocmask(SIG_SETMASK, &before, 0);
    memset(&s, 0, sizeof s);
    TRY("disarm", timer_settime(id, 0, &s, &old));
    SHOW("interval %ld\n", (long)old.it_interval.tv_nsec);
    TRY("get", timer_gettime(id, &old));
    SHOW("left %ld\n", (long)old.it_value.tv_nsec);
    s.it_value.tv_nsec = 1000000000;
    TRY("nanoseconds", timer_settime(id, 0, &s, 0));
    TRY("delete", timer_delete(id));
    TRY("deleted", timer_delete(id));
    e.sigev_notify = 9;
    TRY("notify", syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
    e.sigev_notify = SIGEV_SIGNAL, e.sigev_signo = 99;
    TRY("signal", syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
    e.sigev_signo = SIGRTMIN;
    TRY("clock", syscall(SYS_timer_create, 99, &e, &id));
    TRY("raw", syscall(SYS_timer_create, 4, &e, &id));
    e.sigev_notify = SIGEV_NONE;
    TRY("none", timer_create(CLOCK_REALTIME, &e, &id));
    s.it_value.tv_sec = 5, s.it_value.tv_nsec = 0;
    timer_settime(id, 0, &s, 0), timer_gettime(id, &old);
    SHOW("none left %d\n", old.it_value.tv_sec == 4);
}

static void files(void) {
    uint64_t n = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    SHOW("timerfd %d cloexec %d\n", fd >= 0, fcntl(fd, F_GETFD));
    TRY("unarmed", read(fd, &n, 8));
    struct itimerspec s = {{0, 5000000}, {0, 5000000}}, old;
    TRY("set", timerfd_settime(fd, 0, &s, &old));
    usleep(32000);
    TRY("read", read(fd, &n, 8));
    SHOW("expiries %d\n", n >= 5);
    TRY("short", read(fd, &n, 4));
    TRY("get", timerfd_gettime(fd, &old));
    SHOW("interval %ld\n", (long)old.it_interval.tv_nsec);
    TRY("flags", timerfd_settime(fd, 8, &s, 0));
    TRY("create flags", timerfd_create(CLOCK_MONOTONIC, 1));
    TRY("create clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    TRY("other file", timerfd_gettime(0, &old));
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    s.it_interval.tv_nsec = 0;
    timerfd_settime(fd, 0, &s, 0);
    TRY("waits", read(fd, &n, 8));
    SHOW("once %d\n", (int)n);
}

static void *waits_for_ever(void *argument) {
    pause();
    return argument;
}

/* CPU clocks go in steps as small as what was used, with more than one thread too. */
static void steps(void) {
    static const clockid_t clocks[] = {CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID};
    pthread_t thread;
    pthread_create(&thread, 0, waits_for_ever, 0);
    for (int c = 0; c < 2; c++) {
        int small = 0, back = 0;
        for (int i = 0; i < 50; i++) {
            struct timespec a, b;
            clock_gettime(clocks[c], &a);
            for (volatile int spin = 0; spin < 20000; spin++) {}
            clock_gettime(clocks[c], &b);
            long ns = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
            small += ns > 0 && ns < 4000000, back += ns < 0;
        }
        SHOW("small steps %d back %d\n", small >= 40, back);
    }
}

int main(void) {
    clocks(), sleeps(), intervals(), posix(), files(), steps(), spenders();
    return 0;
}
