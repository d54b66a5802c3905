/* What the programs share: every line says what was tried and what came of it. */
#pragma once
/* What is wrong here is meant. */
#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wunused-value"
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define SHOW(...) (printf(__VA_ARGS__), fflush(stdout))
/* A call's result and its error. */
#define TRY(what, call) \
    ({ \
        errno = 0; \
        long result_ = (long)(call); \
        SHOW("%s %ld/%d\n", what, result_, result_ == -1 ? errno : 0); \
        result_; \
    })
/* The same where the result is a new descriptor: only whether it is one. */
#define OPEN(what, call) \
    ({ \
        errno = 0; \
        long result_ = (long)(call); \
        SHOW("%s %s/%d\n", what, result_ >= 0 ? "ok" : "no", result_ < 0 ? errno : 0); \
        (int)result_; \
    })

/* Runs a part in a process of its own. */
static inline void separately(const char *name, void (*part)(void)) {
    SHOW("[%s]\n", name);
    pid_t child = fork();
    if (!child) {
        part();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    SHOW("ends %x\n", status);
}
#define PART(name) separately(#name, name)
