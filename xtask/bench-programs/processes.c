/* Beginnings and ends of threads and processes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void *nothing(void *unused) {
    return unused;
}

static void threads(long count) {
    while (count--) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static void await(pid_t child) {
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void forks(long count) {
    while (count--) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        await(child);
    }
}

static void execs(long count) {
    while (count--) {
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, "--exit", (char *)NULL);
            _exit(1);
        }
        await(child);
    }
}

const struct benchmark processes[] = {
    {"thread create+join", NULL, threads, NULL},
    {"fork+exit+wait", NULL, forks, NULL},
    {"fork+exec+wait", NULL, execs, NULL},
    {NULL, NULL, NULL, NULL},
};
