/* POSIX message queues. Prints the same on every Linux. */
#include "show.h"
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

static char text[8192];
static struct mq_attr small = {.mq_maxmsg = 3, .mq_msgsize = 16};

static mqd_t fresh(const char *name) {
    mq_unlink(name);
    return mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small);
}

static struct timespec after(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000, t.tv_nsec %= 1000000000;
    return t;
}

static void show(mqd_t q) {
    struct mq_attr a;
    memset(&a, 77, sizeof a);
    TRY("attributes", mq_getattr(q, &a));
    SHOW("flags %lx, %ld of %ld, size %ld\n", a.mq_flags, a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize);
}

static void names(void) {
    static char longest[300];
    memset(longest, 'n', 299);
    OPEN("missing", mq_open("/missing", O_RDWR)), OPEN("empty", mq_open("/", O_CREAT | O_RDWR, 0600, 0));
    OPEN("no slash", syscall(SYS_mq_open, "noslash", O_CREAT | O_RDWR, 0600, 0)), TRY("unlink", mq_unlink("/noslash"));
    OPEN("slash", syscall(SYS_mq_open, "/slash", O_CREAT | O_RDWR, 0600, 0));
    OPEN("two", mq_open("/a/b", O_CREAT | O_RDWR, 0600, 0));
    OPEN("dot", mq_open("/.", O_CREAT | O_RDWR, 0600, 0)), OPEN("dots", mq_open("/..", O_CREAT | O_RDWR, 0600, 0));
    OPEN("long", syscall(SYS_mq_open, longest, O_CREAT | O_RDWR, 0600, 0));
    longest[255] = 0;
    OPEN("255", syscall(SYS_mq_open, longest, O_CREAT | O_RDWR, 0600, 0)),
        TRY("unlink", syscall(SYS_mq_unlink, longest));
    OPEN("pointer", syscall(SYS_mq_open, 8, O_RDWR, 0, 0)), TRY("unlink missing", mq_unlink("/missing"));
    OPEN("create", mq_open("/one", O_CREAT | O_EXCL | O_RDWR, 0600, 0));
    OPEN("again", mq_open("/one", O_CREAT | O_EXCL | O_RDWR, 0600, 0));
    int q = OPEN("without O_EXCL", mq_open("/one", O_CREAT | O_RDONLY, 0600, 0));
    OPEN("access", mq_open("/one", 3)), TRY("close on exec", fcntl(q, F_GETFD)), show(q);
    SHOW("flags %x\n", fcntl(q, F_GETFL));
    TRY("unlink", mq_unlink("/one")), OPEN("gone", mq_open("/one", O_RDWR)), show(q);
    TRY("send to reader", mq_send(q, "x", 1, 0));
    mqd_t w = fresh("/w");
    w = mq_open("/w", O_WRONLY);
    TRY("receive from writer", mq_receive(w, text, 16, 0)), TRY("unlink", mq_unlink("/w"));
    TRY("not a queue", mq_getattr(0, &small)), TRY("closed", mq_getattr(99, &small));
    TRY("send to no queue", mq_send(1, "x", 1, 0));
}

static void sizes(void) {
    struct {
        long messages, bytes;
    } all[] = {{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {10, 8192}, {11, 8192}, {10, 8193}, {65536, 1}, {65537, 1},
               {1, 1 << 24}, {1, (1 << 24) + 1}};
    struct rlimit limit = {819200, 819200};
    setrlimit(RLIMIT_MSGQUEUE, &limit), setresuid(1000, 1000, 1000);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct mq_attr a = {.mq_maxmsg = all[i].messages, .mq_msgsize = all[i].bytes};
        SHOW("%ld of %ld: ", all[i].messages, all[i].bytes);
        int q = OPEN("open", mq_open("/size", O_CREAT | O_EXCL | O_RDWR, 0600, &a));
        if (q >= 0) mq_close(q), mq_unlink("/size");
    }
    int count = 0;
    char name[20];
    do sprintf(name, "/limit%d", count++);
    while (mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, 0) >= 0);
    SHOW("limit after %d: %d\n", count, errno);
    while (count--) sprintf(name, "/limit%d", count), mq_unlink(name);
}

static void order(void) {
    unsigned priority;
    mqd_t q = fresh("/order");
    struct stat s;
    TRY("stat", fstat(q, &s)), SHOW("mode %o size %ld links %ld\n", s.st_mode, (long)s.st_size, (long)s.st_nlink);
    TRY("low", mq_send(q, "low", 3, 1)), TRY("high", mq_send(q, "high", 5, 32767)), TRY("low 2", mq_send(q, "", 0, 1));
    TRY("too high", mq_send(q, "x", 1, 32768)), TRY("too long", mq_send(q, text, 17, 0));
    show(q);
    char line[200] = {0};
    TRY("read", read(q, line, sizeof line - 1)), SHOW("%s", line), TRY("read more", read(q, line, 10));
    TRY("seek", lseek(q, 0, SEEK_SET)), TRY("write", write(q, "x", 1));
    TRY("small buffer", mq_receive(q, text, 15, 0));
    for (int i = 0; i < 3; i++) {
        memset(text, 0, sizeof text), priority = 77;
        TRY("receive", mq_receive(q, text, 16, &priority)), SHOW("%s of %u\n", text, priority);
    }
    mq_unlink("/order"), fstat(q, &s), SHOW("links %ld\n", (long)s.st_nlink);
}

static void waiting(void) {
    mqd_t q = fresh("/wait");
    struct mq_attr nonblocking = {.mq_flags = O_NONBLOCK}, wrong = {.mq_flags = O_APPEND}, old;
    struct timespec t = after(20), past = {1, 0}, bad = {0, 1000000000};
    TRY("late receive", mq_timedreceive(q, text, 16, 0, &t)), TRY("past", mq_timedreceive(q, text, 16, 0, &past));
    TRY("bad time", mq_timedreceive(q, text, 16, 0, &bad));
    TRY("bad pointer", syscall(SYS_mq_timedreceive, q, text, 16, 0, 8));
    for (int i = 0; i < 3; i++) mq_send(q, "x", 1, i);
    t = after(20), TRY("late send", mq_timedsend(q, "x", 1, 0, &t));
    TRY("bad time, not needed", mq_timedreceive(q, text, 16, 0, &bad));
    TRY("past, not needed", mq_timedreceive(q, text, 16, 0, &past)),
        TRY("past send", mq_timedsend(q, "y", 1, 0, &past));
    TRY("flags", mq_setattr(q, &wrong, 0)), TRY("set", mq_setattr(q, &nonblocking, &old));
    SHOW("flags before %lx\n", old.mq_flags), show(q), SHOW("file's %x\n", fcntl(q, F_GETFL));
    TRY("full", mq_send(q, "x", 1, 0));
    for (int i = 0; i < 3; i++) mq_receive(q, text, 16, 0);
    TRY("empty", mq_receive(q, text, 16, 0)), TRY("fault", syscall(SYS_mq_timedsend, q, 8, 1, 0, 0));
    mq_unlink("/wait");
}

static void processes(void) {
    mqd_t q = fresh("/between");
    int status;
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < 6; i++) mq_send(q, (char *)&i, sizeof i, 0);
        _exit(0);
    }
    usleep(40000), show(q);
    for (int i = 0, got; i < 6; i++) mq_receive(q, text, 16, 0), memcpy(&got, text, sizeof got), SHOW("%d ", got);
    waitpid(child, &status, 0), SHOW("\nends %x\n", status);
    child = fork();
    if (!child) _exit(mq_receive(q, text, 16, 0) == 5 && !strcmp(text, "four"));
    usleep(40000), TRY("send", mq_send(q, "four", 5, 0)), waitpid(child, &status, 0), SHOW("got %x\n", status);
    show(q);
    child = fork();
    if (!child) mq_receive(q, text, 16, 0), _exit(9);
    usleep(30000), kill(child, SIGKILL), waitpid(child, &status, 0);
    TRY("after a killed one", mq_send(q, "x", 1, 0)), show(q);
    mq_unlink("/between");
}

static void polled(void) {
    mqd_t q = fresh("/poll");
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    TRY("empty", poll(&p, 1, 0)), SHOW("%x\n", p.revents);
    mq_send(q, "x", 1, 0), TRY("some", poll(&p, 1, 0)), SHOW("%x\n", p.revents);
    mq_send(q, "x", 1, 0), mq_send(q, "x", 1, 0), TRY("full", poll(&p, 1, 0)), SHOW("%x\n", p.revents);
    p.events = POLLOUT;
    pid_t child = fork();
    if (!child) usleep(30000), mq_receive(q, text, 16, 0), _exit(0);
    TRY("waits", poll(&p, 1, 5000)), SHOW("%x\n", p.revents), waitpid(child, 0, 0), mq_unlink("/poll");
}

static volatile int told, told_value, told_code, told_pid;

static void tell(int signal, siginfo_t *info, void *context) {
    (void)context;
    told = signal, told_value = info->si_value.sival_int, told_code = info->si_code, told_pid = info->si_pid;
}

static void thread(union sigval value) {
    told = value.sival_int;
}

static void notified(void) {
    mqd_t q = fresh("/notify"), other;
    struct sigaction a = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, 0);
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    TRY("nothing to remove", mq_notify(q, 0)), TRY("register", mq_notify(q, &e)), TRY("twice", mq_notify(q, &e));
    char line[200] = {0}, *pid;
    read(q, line, sizeof line - 1), pid = strstr(line, "NOTIFY_PID"), SHOW("%.*s\n", (int)(pid - line), line);
    SHOW("own %d\n", atoi(pid + 11) == getpid());
    TRY("send", mq_send(q, "x", 1, 0)), SHOW("signal %d value %d code %d pid %d\n", told, told_value, told_code,
        told_pid == getpid());
    told = 0, TRY("once", mq_send(q, "x", 1, 0)), SHOW("signal %d\n", told);
    TRY("register with messages", mq_notify(q, &e)), mq_send(q, "x", 1, 0), SHOW("signal %d\n", told);
    for (int i = 0; i < 3; i++) mq_receive(q, text, 16, 0);
    mq_send(q, "x", 1, 0), SHOW("then %d\n", told), mq_receive(q, text, 16, 0);
    told = 0, mq_notify(q, &e);
    pid_t child = fork();
    if (!child) {
        int busy = mq_notify(q, &e) ? errno : 0;
        mq_notify(q, 0), _exit(busy);
    }
    int status;
    waitpid(child, &status, 0), SHOW("in a child %d\n", WEXITSTATUS(status));
    child = fork();
    if (!child) mq_receive(q, text, 16, 0), _exit(0);
    usleep(30000), mq_send(q, "x", 1, 0), waitpid(child, 0, 0), SHOW("with a receiver %d\n", told);
    other = mq_open("/notify", O_RDWR), mq_close(other), mq_send(q, "x", 1, 0), SHOW("after close %d\n", told);
    mq_receive(q, text, 16, 0);
    e.sigev_notify = SIGEV_NONE, TRY("none", mq_notify(q, &e)), mq_send(q, "x", 1, 0), mq_receive(q, text, 16, 0);
    TRY("used up", mq_notify(q, &e)), TRY("remove", mq_notify(q, 0)), TRY("remove again", mq_notify(q, 0));
    e.sigev_notify = 9, TRY("kind", syscall(SYS_mq_notify, q, &e));
    e.sigev_notify = SIGEV_SIGNAL, e.sigev_signo = 65, TRY("signal", syscall(SYS_mq_notify, q, &e));
    e.sigev_signo = 0, TRY("signal 0", mq_notify(q, &e)), mq_send(q, "x", 1, 0), mq_receive(q, text, 16, 0);
    e.sigev_signo = SIGUSR1;
    child = fork();
    if (!child) _exit(mq_notify(q, &e));
    waitpid(child, &status, 0), TRY("after its end", mq_notify(q, &e)), mq_notify(q, 0);
    TRY("no queue", mq_notify(1, &e)), TRY("pointer", syscall(SYS_mq_notify, q, 8));
    memset(&e, 0, sizeof e), e.sigev_notify = SIGEV_THREAD, e.sigev_notify_function = thread, told = 0;
    e.sigev_value.sival_int = 7, TRY("thread", mq_notify(q, &e)), mq_send(q, "x", 1, 0);
    for (int i = 0; i < 200 && !told; i++) usleep(10000);
    SHOW("told %d\n", told), mq_unlink("/notify");
}

static void rights(void) {
    umask(022);
    struct stat s;
    mqd_t q = mq_open("/rights", O_CREAT | O_RDWR, 0666, &small);
    fstat(q, &s), SHOW("mode %o\n", s.st_mode);
    setresuid(1000, 1000, 1000);
    OPEN("read", mq_open("/rights", O_RDONLY)), OPEN("write", mq_open("/rights", O_WRONLY));
    OPEN("create", mq_open("/rights", O_CREAT | O_RDONLY, 0600, 0)), TRY("unlink", mq_unlink("/rights"));
    OPEN("own", mq_open("/own", O_CREAT | O_RDWR, 0, &small)), OPEN("none", mq_open("/own", O_RDONLY));
    TRY("unlink own", mq_unlink("/own"));
}

static void clean(void) {
    TRY("unlink", mq_unlink("/rights"));
}

static void restarted(int signal) {
    (void)signal;
}

static void signals(void) {
    mqd_t q = fresh("/signals");
    struct sigaction a = {.sa_handler = restarted};
    struct timespec t = after(60);
    sigaction(SIGALRM, &a, 0), ualarm(20000, 0), TRY("handler", mq_receive(q, text, 16, 0));
    a.sa_flags = SA_RESTART, sigaction(SIGALRM, &a, 0), ualarm(20000, 0), t = after(60);
    TRY("restart", mq_timedreceive(q, text, 16, 0, &t));
    for (int i = 0; i < 3; i++) mq_send(q, "x", 1, 0);
    ualarm(20000, 0), t = after(60), TRY("restart send", mq_timedsend(q, "y", 1, 0, &t));
    mq_unlink("/signals");
}

int main(void) {
    PART(names), PART(sizes), PART(order), PART(waiting), PART(processes), PART(polled), PART(notified), PART(rights);
    PART(clean), PART(signals);
    return 0;
}
