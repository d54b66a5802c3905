/* What a process sets for itself (prctl, scheduling). Prints the same on every Linux. */
#include "show.h"
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char name[20];

static void *named(void *argument) {
    prctl(PR_SET_NAME, "thread"), prctl(PR_GET_NAME, name), SHOW("in a thread %s\n", name);
    return argument;
}

static void names(void) {
    pthread_t thread;
    TRY("set", prctl(PR_SET_NAME, "fifteen letters and more")), prctl(PR_GET_NAME, name), SHOW("%s\n", name);
    TRY("empty", prctl(PR_SET_NAME, "")), prctl(PR_GET_NAME, name), SHOW("[%s]\n", name);
    prctl(PR_SET_NAME, "main"), pthread_create(&thread, 0, named, 0), pthread_join(thread, 0);
    prctl(PR_GET_NAME, name), SHOW("%s\n", name), TRY("pointer", prctl(PR_SET_NAME, 8)),
        TRY("pointer", prctl(PR_GET_NAME, 8));
    if (!fork()) prctl(PR_GET_NAME, name), SHOW("inherited %s\n", name), _exit(0);
    wait(0);
    int fd = open("/proc/self/comm", O_RDWR);
    TRY("write", write(fd, "by file", 7)), prctl(PR_GET_NAME, name), SHOW("%s\n", name);
}

static void deaths(void) {
    int signal = 9;
    TRY("none", prctl(PR_GET_PDEATHSIG, &signal)), SHOW("%d\n", signal), TRY("number", prctl(PR_SET_PDEATHSIG, 65));
    TRY("set", prctl(PR_SET_PDEATHSIG, SIGUSR1)), prctl(PR_GET_PDEATHSIG, &signal), SHOW("%d\n", signal);
    if (!fork()) prctl(PR_GET_PDEATHSIG, &signal), SHOW("not inherited %d\n", signal), _exit(0);
    wait(0), setresuid(1000, 1000, 1000), prctl(PR_GET_PDEATHSIG, &signal), SHOW("another user %d\n", signal);
    TRY("take away", prctl(PR_SET_PDEATHSIG, 0)), TRY("pointer", prctl(PR_GET_PDEATHSIG, 8));
}

static void reapers(void) {
    int set = 9, pipes[2];
    pid_t self = getpid(), parent = 0;
    pipe(pipes), TRY("get", prctl(PR_GET_CHILD_SUBREAPER, &set)), SHOW("%d\n", set);
    TRY("set", prctl(PR_SET_CHILD_SUBREAPER, 7)), prctl(PR_GET_CHILD_SUBREAPER, &set), SHOW("%d\n", set);
    if (!fork()) {
        prctl(PR_GET_CHILD_SUBREAPER, &set), SHOW("not inherited %d\n", set);
        if (!fork()) {
            usleep(30000), parent = getppid(), write(pipes[1], &parent, sizeof parent), _exit(4);
        }
        _exit(3);
    }
    read(pipes[0], &parent, sizeof parent), SHOW("adopted %d\n", parent == self);
    for (int i = 0, status; i < 2; i++) wait(&status), SHOW("%x\n", status);
    TRY("nobody", wait(0)), TRY("pointer", prctl(PR_GET_CHILD_SUBREAPER, 8));
}

static void flags(void) {
    TRY("dumpable", prctl(PR_GET_DUMPABLE)), TRY("set", prctl(PR_SET_DUMPABLE, 0)), TRY("get", prctl(PR_GET_DUMPABLE));
    TRY("again", prctl(PR_SET_DUMPABLE, 1)), TRY("bad", prctl(PR_SET_DUMPABLE, 3));
    TRY("huge pages", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)), TRY("bad", prctl(PR_SET_THP_DISABLE, 1, 0, 1, 0));
    TRY("timing", prctl(PR_GET_TIMING)), TRY("other timing", prctl(PR_SET_TIMING, 1));
    int counter = 0;
    TRY("counter", prctl(PR_GET_TSC, &counter)), SHOW("%d\n", counter), TRY("bad", prctl(PR_SET_TSC, 9));
    int *address = 0;
    TRY("address", prctl(PR_GET_TID_ADDRESS, &address)), SHOW("is there %d\n", address != 0);
    TRY("unknown", prctl(0x7fff)), TRY("slack", prctl(PR_SET_TIMERSLACK, 12345)), TRY("get", prctl(PR_GET_TIMERSLACK));
    if (!fork()) TRY("inherited", prctl(PR_GET_TIMERSLACK)), _exit(0);
    wait(0), TRY("default", prctl(PR_SET_TIMERSLACK, 0)), TRY("get", prctl(PR_GET_TIMERSLACK));
    TRY("privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)), TRY("get", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    if (!fork()) TRY("inherited", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)), _exit(0);
    wait(0), TRY("back", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void policies(void) {
    struct sched_param param = {0};
    int all[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR};
    for (unsigned i = 0; i < 5; i++) {
        SHOW("policy %d: %d to %d\n", all[i], sched_get_priority_min(all[i]), sched_get_priority_max(all[i]));
        param.sched_priority = 100, TRY("too high", sched_setscheduler(0, all[i], &param));
        param.sched_priority = -1, TRY("negative", sched_setscheduler(0, all[i], &param));
    }
    param.sched_priority = 0, TRY("batch", sched_setscheduler(0, SCHED_BATCH, &param)),
        TRY("is", sched_getscheduler(0));
    if (!fork()) TRY("inherited", sched_getscheduler(0)), _exit(0);
    wait(0), TRY("reset on fork", sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param));
    TRY("is", sched_getscheduler(0));
    if (!fork()) TRY("child's", sched_getscheduler(0)), _exit(0);
    wait(0), TRY("param", sched_getparam(0, &param)), SHOW("%d\n", param.sched_priority);
    TRY("pointer", sched_setparam(0, 0)), TRY("nobody", sched_getparam(99999, &param)),
        TRY("get", sched_getparam(-1, &param));
    setresuid(1000, 1000, 1000), TRY("keep the flag", sched_setscheduler(0, SCHED_OTHER, &param));
    TRY("real time", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
    TRY("init's", sched_setscheduler(1, SCHED_BATCH, &(struct sched_param){0}));
}

static void niceness(void) {
    // Whoever runs this may have made it nice.
    setpriority(PRIO_PROCESS, 0, 0);
    errno = 0, TRY("nice", nice(3)), TRY("more", nice(100)), TRY("get", getpriority(PRIO_PROCESS, 0));
    if (!fork()) TRY("inherited", getpriority(PRIO_PROCESS, 0)), _exit(0);
    wait(0), TRY("group", setpriority(PRIO_PGRP, getpgrp() + 7777, 1)), TRY("kind", getpriority(3, 0));
    setresuid(1000, 1000, 1000), TRY("less", nice(-1)), TRY("init's", setpriority(PRIO_PROCESS, 1, 10));
    TRY("user", setpriority(PRIO_USER, 1000, 19)), TRY("nobody", getpriority(PRIO_USER, 54321));
}

static void processors(void) {
    cpu_set_t set, one;
    unsigned char raw[256];
    TRY("get", sched_getaffinity(0, sizeof set, &set)), SHOW("some %d\n", CPU_COUNT(&set) > 0);
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof raw, raw);
    SHOW("whole words %d\n", bytes > 0 && bytes % 8 == 0), TRY("small", syscall(SYS_sched_getaffinity, 0, 0, raw));
    CPU_ZERO(&one); CPU_SET(0, &one), TRY("first", sched_setaffinity(0, sizeof one, &one));
    sched_getaffinity(0, sizeof set, &set), SHOW("one %d\n", CPU_COUNT(&set));
    if (!fork()) sched_getaffinity(0, sizeof set, &set), SHOW("inherited %d\n", CPU_COUNT(&set)), _exit(0);
    wait(0); CPU_ZERO(&one); CPU_SET(1000, &one), TRY("none there", sched_setaffinity(0, sizeof one, &one));
    TRY("nobody", sched_setaffinity(99999, sizeof one, &one)), TRY("pointer", syscall(SYS_sched_setaffinity, 0, 8, 8));
    setresuid(1000, 1000, 1000), CPU_SET(0, &one), TRY("init's", sched_setaffinity(1, sizeof one, &one));
}

static void io(void) {
    int best = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 2);
    TRY("first", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0)),
        TRY("set", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, best));
    TRY("get", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
    if (!fork()) TRY("inherited", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0)), _exit(0);
    wait(0), TRY("idle", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
    TRY("kind", syscall(SYS_ioprio_get, 9, 0)), TRY("nobody", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 99999));
    TRY("level", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 9)));
    TRY("group", syscall(SYS_ioprio_set, IOPRIO_WHO_PGRP, 0, best)), setresuid(1000, 1000, 1000);
    TRY("real time", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0)));
    TRY("init's", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 1, best));
}

static void huge_pages(void) {
    TRY("at first", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)), TRY("disable", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    TRY("disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)), TRY("argument", prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0));
    if (!fork()) TRY("inherited", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)), _exit(0);
    wait(0);
    TRY("enable", prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)), TRY("enabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

int main(void) {
    PART(names), PART(deaths), PART(reapers), PART(flags), PART(policies), PART(niceness), PART(processors), PART(io);
    PART(huge_pages);
    return 0;
}
