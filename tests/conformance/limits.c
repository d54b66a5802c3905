/* Limits of resources, and what happens at them. Prints the same on every Linux. */
#include "show.h"
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Who may raise limits differs between containers: nobody may here. */
static void drop_resource(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    syscall(SYS_capget, &head, sets);
    sets[0].effective &= ~(1u << CAP_SYS_RESOURCE), sets[0].permitted &= ~(1u << CAP_SYS_RESOURCE);
    syscall(SYS_capset, &head, sets);
}

static long set(int resource, rlim_t soft, rlim_t hard) {
    struct rlimit limit = {soft, hard};
    return setrlimit(resource, &limit);
}

static void changes(void) {
    struct rlimit l;
    TRY("lower", set(RLIMIT_NOFILE, 100, 200)), TRY("soft up", set(RLIMIT_NOFILE, 200, 200));
    TRY("hard up", set(RLIMIT_NOFILE, 100, 300)), TRY("soft above hard", set(RLIMIT_NOFILE, 201, 200));
    TRY("number", set(16, 1, 1)), TRY("infinite", set(RLIMIT_NOFILE, RLIM_INFINITY, RLIM_INFINITY));
    TRY("old and new", prlimit(0, RLIMIT_NOFILE, &(struct rlimit){50, 60}, &l)),
        SHOW("%ld %ld\n", l.rlim_cur, l.rlim_max);
    TRY("neither", prlimit(0, RLIMIT_NOFILE, 0, 0)), TRY("pointer", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 8, 0));
    TRY("result", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &(struct rlimit){40, 60}, 8));
    getrlimit(RLIMIT_NOFILE, &l), SHOW("%ld %ld\n", l.rlim_cur, l.rlim_max);
    if (!fork()) getrlimit(RLIMIT_NOFILE, &l), SHOW("inherited %ld %ld\n", l.rlim_cur, l.rlim_max), _exit(0);
    wait(0);
}

static void others(void) {
    struct rlimit l;
    int ready[2], status;
    pipe(ready);
    pid_t child = fork();
    if (!child) {
        char c;
        close(ready[1]), read(ready[0], &c, 1), getrlimit(RLIMIT_NOFILE, &l), _exit(l.rlim_cur);
    }
    close(ready[0]);
    TRY("of a child", prlimit(child, RLIMIT_NOFILE, &(struct rlimit){77, 88}, &l));
    TRY("above its hard one", prlimit(child, RLIMIT_NOFILE, &(struct rlimit){77, 89}, &l));
    TRY("nobody", prlimit(99999, RLIMIT_NOFILE, 0, &l)), TRY("negative", prlimit(-1, RLIMIT_NOFILE, 0, &l));
    if (!fork()) {
        setresgid(1000, 1000, 1000), setresuid(1000, 1000, 1000);
        TRY("somebody else", prlimit(child, RLIMIT_NOFILE, 0, &l));
        pid_t own = fork();
        if (!own) pause();
        TRY("somebody's own", prlimit(own, RLIMIT_NOFILE, 0, &l)), kill(own, SIGKILL), _exit(0);
    }
    wait(0), close(ready[1]), waitpid(child, &status, 0), SHOW("it had %d\n", WEXITSTATUS(status));
}

static void files(void) {
    int fd, count = 0, high = dup2(0, 50);
    set(RLIMIT_NOFILE, 10, 64);
    while ((fd = dup(0)) >= 0) count += fd < 10;
    SHOW("dup until %d\n", errno), TRY("dup2", dup2(0, 10)), TRY("dup2 below", dup2(0, 9));
    TRY("F_DUPFD", fcntl(0, F_DUPFD, 10)), TRY("pipe", pipe((int[2]){0})),
        TRY("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    TRY("open", open("/", O_RDONLY)), TRY("still open", fcntl(high, F_GETFD));
    struct pollfd polled[11] = {{.fd = -1}};
    TRY("poll many", poll(polled, 11, 0)), close(9);
    int pair[2];
    TRY("half a pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair)), TRY("one", dup(0));
}

static volatile int exceeded;

static void exceed(int signal) {
    (void)signal, exceeded++;
}

static void sizes(void) {
    static char bytes[300];
    int fd = open("sized", O_CREAT | O_TRUNC | O_RDWR, 0600);
    set(RLIMIT_FSIZE, 100, RLIM_INFINITY), signal(SIGXFSZ, exceed);
    TRY("cut", write(fd, bytes, 300)), SHOW("signals %d\n", exceeded);
    TRY("no more", write(fd, bytes, 1)), SHOW("signals %d\n", exceeded);
    TRY("inside", pwrite(fd, bytes, 10, 90)), TRY("across", pwrite(fd, bytes, 20, 90)), SHOW("signals %d\n", exceeded);
    TRY("behind", pwrite(fd, bytes, 10, 100)), SHOW("signals %d\n", exceeded);
    TRY("truncate", ftruncate(fd, 101)), TRY("truncate inside", ftruncate(fd, 100)), SHOW("signals %d\n", exceeded);
    TRY("allocate", posix_fallocate(fd, 0, 101)), SHOW("signals %d\n", exceeded);
    TRY("nothing", write(fd, bytes, 0)), TRY("path", truncate("sized", 200)), SHOW("signals %d\n", exceeded);
    int pipes[2], status;
    pipe(pipes), TRY("pipe", write(pipes[1], bytes, 300));
    if (!fork()) signal(SIGXFSZ, SIG_DFL), lseek(fd, 100, SEEK_SET), write(fd, bytes, 1), _exit(0);
    wait(&status), SHOW("ends by %d\n", WTERMSIG(status)), unlink("sized");
}

static void *nothing(void *argument) {
    return argument;
}

static void processes(void) {
    setresgid(7001, 7001, 7001), set(RLIMIT_NPROC, 2, 2), setresuid(7001, 7001, 7001);
    pid_t child = fork();
    if (!child) pause();
    SHOW("one more %d\n", child > 0), TRY("too many", fork());
    pthread_t thread;
    SHOW("thread %d\n", pthread_create(&thread, 0, nothing, 0));
    kill(child, SIGKILL), waitpid(child, 0, 0);
    SHOW("thread %d\n", pthread_create(&thread, 0, nothing, 0)), pthread_join(thread, 0);
}

#define MIB (1L << 20)

static long used(const char *name) {
    char line[200];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, name, strlen(name))) kib = atol(line + strlen(name) + 1);
    fclose(status);
    return kib << 10;
}

static void *map(long bytes, int protection, int flags) {
    return mmap(0, bytes, protection, flags | MAP_ANONYMOUS, -1, 0);
}

static void address_space(void) {
    set(RLIMIT_AS, used("VmSize:") + 8 * MIB, RLIM_INFINITY);
    TRY("too much", (long)map(9 * MIB, PROT_NONE, MAP_PRIVATE));
    char *part = map(4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    SHOW("half %d\n", part != MAP_FAILED), TRY("the rest", (long)map(5 * MIB, PROT_READ, MAP_SHARED));
    TRY("grow", (long)mremap(part, 4 * MIB, 9 * MIB, MREMAP_MAYMOVE)), SHOW("brk %d\n", sbrk(5 * MIB) == (void *)-1);
    SHOW("over itself %d\n", mmap(part, 4 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == part);
    TRY("unmap", munmap(part, 4 * MIB)), SHOW("again %d\n", map(7 * MIB, PROT_READ, MAP_PRIVATE) != MAP_FAILED);
    int status;
    if (!fork()) _exit(5);
    wait(&status), SHOW("fork %x\n", status);
}

static void peak(void) {
    long before = used("VmSize:");
    munmap(map(8 * MIB, PROT_NONE, MAP_PRIVATE), 8 * MIB);
    int child = fork() == 0, high = used("VmPeak:") >= before + 8 * MIB, now = used("VmSize:") >= before + 8 * MIB;
    if (!child) wait(0);
    SHOW("%s: peak %d now %d\n", child ? "child" : "parent", high, now);
}

static void data(void) {
    set(RLIMIT_DATA, used("VmData:") + 8 * MIB, RLIM_INFINITY);
    TRY("too much", (long)map(16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    char *none = map(16 * MIB, PROT_NONE, MAP_PRIVATE);
    SHOW("no access %d\n", none != MAP_FAILED), TRY("writable", mprotect(none, 16 * MIB, PROT_READ | PROT_WRITE));
    TRY("a part", mprotect(none, 2 * MIB, PROT_READ | PROT_WRITE)), SHOW("brk %d\n", sbrk(16 * MIB) == (void *)-1);
    SHOW("shared %d\n", map(16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED);
    SHOW("readable %d\n", map(16 * MIB, PROT_READ, MAP_PRIVATE) != MAP_FAILED);
}

static int deep(long bytes) {
    volatile char page[4096];
    page[0] = 1;
    return bytes > 0 ? deep(bytes - 4096) + page[0] : 0;
}

static void stack(void) {
    for (int over = 0; over < 2; over++) {
        int status;
        if (!fork()) deep(over ? 12 * MIB : MIB / 4), _exit(0);
        wait(&status), SHOW("ends by %d\n", WTERMSIG(status));
    }
}

/* What was touched stays; what was not does not come beyond the limit, until that is raised again. */
static void lower_stack(void) {
    for (int way = 0; way < 3; way++) {
        int status;
        if (!fork()) {
            if (way == 1) deep(2 * MIB);
            set(RLIMIT_STACK, MIB, 8 * MIB);
            if (way == 2) set(RLIMIT_STACK, 4 * MIB, 8 * MIB);
            deep(2 * MIB), _exit(0);
        }
        wait(&status), SHOW("lowered %d: ends by %d\n", way, WTERMSIG(status));
    }
}

static void locked(void) {
    char *at = map(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    setresuid(1000, 1000, 1000), set(RLIMIT_MEMLOCK, 65536, 131072);
    TRY("too much", mlock(at, 131072)), TRY("within", mlock(at, 65536)), TRY("twice", mlock(at, 65536));
    TRY("one more", mlock(at + 65536, 4096)), TRY("unlock", munlock(at, 65536)), TRY("again", mlock(at + 65536, 65536));
    TRY("map", (long)map(4096, PROT_READ, MAP_PRIVATE | MAP_LOCKED)), TRY("all", mlockall(MCL_CURRENT));
    TRY("unlock all", munlockall()), TRY("future", mlockall(MCL_FUTURE));
    TRY("map", (long)map(131072, PROT_READ, MAP_PRIVATE)),
        SHOW("small %d\n", map(4096, PROT_READ, MAP_PRIVATE) != MAP_FAILED);
    munlockall(), set(RLIMIT_MEMLOCK, 0, 131072), TRY("none", mlock(at, 4096)),
        TRY("none at all", mlockall(MCL_FUTURE));
}

static void pending(void) {
    sigset_t all;
    sigfillset(&all), sigprocmask(SIG_SETMASK, &all, 0);
    setresgid(7002, 7002, 7002), setresuid(7002, 7002, 7002), set(RLIMIT_SIGPENDING, 3, 3);
    pid_t self = getpid(), child = fork();
    if (!child) for (;;) pause();
    for (int i = 0; i < 2; i++) TRY("queue", sigqueue(self, SIGRTMIN, (union sigval){i}));
    TRY("another process's", sigqueue(child, SIGRTMIN, (union sigval){2}));
    TRY("too many", sigqueue(child, SIGRTMIN, (union sigval){3})),
        TRY("own", sigqueue(self, SIGRTMIN + 1, (union sigval){3}));
    sigset_t one;
    sigemptyset(&one), sigaddset(&one, SIGRTMIN);
    TRY("take", sigwaitinfo(&one, 0) == SIGRTMIN), TRY("room again", sigqueue(child, SIGRTMIN, (union sigval){3}));
    kill(child, SIGKILL), waitpid(child, 0, 0);
    sigemptyset(&one), sigaddset(&one, SIGCHLD), TRY("child", sigwaitinfo(&one, 0) == SIGCHLD);
    for (int i = 0; i < 3; i++) TRY("room of the dead", sigqueue(self, SIGRTMIN, (union sigval){i}));
    TRY("plain", kill(self, SIGUSR1)), TRY("plain, queued", sigqueue(self, SIGUSR2, (union sigval){4}));
}

static void overtime(int signal) {
    (void)signal, exceeded++;
}

static void processor(void) {
    signal(SIGXCPU, overtime), set(RLIMIT_CPU, 1, 2);
    int status;
    if (!fork()) {
        while (!exceeded) getppid();
        SHOW("told\n");
        for (;;) getppid();
    }
    wait(&status), SHOW("ends by %d\n", WTERMSIG(status));
}

int main(void) {
    drop_resource();
    PART(changes), PART(others), PART(files), PART(sizes), PART(processes), PART(address_space), PART(peak), PART(data),
        PART(stack), PART(lower_stack);
    PART(locked), PART(pending), PART(processor);
    return 0;
}
