/* What a system call costs that another process answers by seccomp's user notification, and nothing else is done: the
 * least that any kernel on this trap path can take. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Nobody's process id. */
#define ANSWER 123456789

static void call(long count) {
    while (count--)
        CHECK(syscall(SYS_getppid) == ANSWER);
}

static const struct benchmark notified = {"bare notification", NULL, call, NULL};

static int listen_to_getppid(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    CHECK(listener >= 0);
    return listener;
}

static void *answer(void *argument) {
    int listener = *(int *)argument;
    CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) == 0);
    for (;;) {
        struct seccomp_notif call;
        memset(&call, 0, sizeof call);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
            CHECK(errno == EINTR || errno == ENOENT);
            continue;
        }
        struct seccomp_notif_resp answer = {.id = call.id, .val = ANSWER};
        CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0);
    }
    return NULL;
}

void measure_notification(void) {
    int listener, number[2], status;
    pthread_t thread;
    CHECK(pipe(number) == 0);
    /* A process of its own that shares descriptors alone, so that the listener is here too. */
    long caller = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    CHECK(caller >= 0);
    if (caller == 0) {
        listener = listen_to_getppid();
        CHECK(write(number[1], &listener, sizeof listener) == sizeof listener);
        measure(&notified);
        _exit(0);
    }
    CHECK(read(number[0], &listener, sizeof listener) == sizeof listener);
    CHECK(pthread_create(&thread, NULL, answer, &listener) == 0);
    CHECK(waitpid(caller, &status, 0) == caller && status == 0);
}
