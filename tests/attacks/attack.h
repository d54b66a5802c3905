/* What the hostile programs share. Each attack goes on until it meets a limit or its time is over; what it got, it
   does not care. A line on standard output says that the attacker itself lived to the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

struct attack { const char *name; void (*run)(void); };

static const double SECONDS = 0.5;

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Whether an attack that began at `start` may go on. */
static inline int goes_on(double start) { return now() - start < SECONDS; }

static inline int run_attack(const struct attack *attacks, int argc, char **argv) {
    for (; argc > 1 && attacks->name; attacks++) {
        if (strcmp(attacks->name, argv[1]) == 0) {
            attacks->run();
            printf("%s: over\n", argv[1]);
            return 0;
        }
    }
    fprintf(stderr, "no such attack\n");
    return 2;
}
