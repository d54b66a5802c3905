/* Tasks: clone, fork, vfork, exec, wait, groups, sessions, job control, pidfd. Prints the same on every Linux. */
#include "show.h"
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

static char *self;

static void waits(void) {
    int st;
    siginfo_t i;
    pid_t c = fork();
    if (!c) _exit(300);
    memset(&i, 0, sizeof i);
    SHOW("waitid %d ", waitid(P_PID, c, &i, WEXITED | WNOWAIT));
    SHOW("code %d status %d pid %d signo %d\n", i.si_code, i.si_status, i.si_pid == c, i.si_signo);
    SHOW("again %d ", waitpid(c, &st, 0) == c);
    SHOW("%x\n", st);
    TRY("none", wait(&st));
    TRY("options", waitpid(-1, &st, 0x40));
    TRY("no states", waitid(P_ALL, 0, &i, WNOHANG));
    TRY("pid 0", waitid(P_PID, 0, &i, WEXITED));
    TRY("type", waitid(9, 1, &i, WEXITED));
    c = fork();
    if (!c) {
        pause();
        _exit(0);
    }
    i.si_pid = 5;
    TRY("nohang", waitid(P_ALL, 0, &i, WEXITED | WNOHANG));
    SHOW("pid %d\n", i.si_pid);
    TRY("wait4 nohang", waitpid(-1, &st, WNOHANG));
    TRY("group", waitpid(-c, &st, WNOHANG));
    kill(c, SIGKILL);
    struct rusage u;
    SHOW("killed %d ", wait4(c, &st, 0, &u) == c);
    SHOW("%x\n", st);
    TRY("int_min", syscall(SYS_wait4, 0x80000000, &st, 0, 0));
    signal(SIGUSR2, SIG_IGN);
    c = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (!c) _exit(1);
    usleep(20000);
    TRY("clone child", waitpid(c, &st, WNOHANG));
    SHOW("%d ", waitpid(c, &st, __WCLONE) == c);
    SHOW("%x\n", st);
}

static volatile int shared;
static int in_vm(void *a) {
    shared = 7;
    return 9;
}

static int vfork_order(void) {
    int p[2];
    pipe(p);
    pid_t c = vfork();
    if (!c) {
        usleep(30000);
        write(p[1], "c", 1);
        execl(self, self, "exit", "4", (char *)0);
        _exit(1);
    }
    write(p[1], "p", 1);
    char b[3] = {0};
    read(p[0], b, 2);
    int st;
    waitpid(c, &st, 0);
    SHOW("vfork %s %d\n", b, WEXITSTATUS(st));
    close(p[0]);
    close(p[1]);
    return 0;
}

/* Where a copy finds its id. */
static void settid(const char *what, char *word) {
    SHOW("settid %s ", what);
    pid_t c = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, word, word, 0), found = 0;
    struct iovec to = {&found, 4}, from = {word, 4};
    if (!c) {
        long n = syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0);
        _exit(n != 4 ? 1 : found == getpid() ? 2 : 3);
    }
    long n = syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0);
    int st;
    waitpid(c, &st, 0);
    SHOW("%x parent %d\n", st, n == 4 && found == c);
}

static void settids(void) {
    int file = open("word", O_RDWR | O_CREAT, 0600);
    ftruncate(file, 100);
    char *shared = mmap(0, 8192, 3, MAP_SHARED, file, 0), *own = mmap(0, 8192, 3, MAP_PRIVATE, file, 0);
    char *two = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(two + 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    settid("file", shared + 64);
    settid("own", own + 64);
    settid("beyond", shared + 5000);
    settid("own beyond", own + 5000);
    settid("straddles", two + 4094);
    madvise(two + 4096, 4096, MADV_WIPEONFORK);
    settid("wiped", two + 5000);
    madvise(two + 4096, 4096, MADV_DONTFORK);
    settid("not copied", two + 5000);
    mprotect(two, 4096, PROT_READ);
    settid("read-only", two + 64);
    munmap(two, 8192);
    settid("nothing", two);
    close(file);
}

static void clones(void) {
    char *stack = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int st;
    pid_t ptid = 0, ctid = 0;
    pid_t c = clone(in_vm, stack + 65536, CLONE_VM | CLONE_PARENT_SETTID | SIGCHLD, 0, &ptid);
    SHOW("wait %d ", waitpid(c, &st, 0) == c);
    SHOW("%d shared %d ptid %d\n", WEXITSTATUS(st), shared, ptid == c);
    vfork_order();
    ctid = -1;
    c = syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, &ctid, 0);
    if (!c) _exit(ctid == getpid() ? 5 : 6);
    waitpid(c, &st, 0);
    SHOW("settid %d %d\n", WEXITSTATUS(st), ctid);
    settids();
    TRY("sighand", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    TRY("thread", syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0));
    struct clone_args a = {0};
    int pidfd = -1;
    a.flags = CLONE_PIDFD;
    a.pidfd = (long)&pidfd;
    a.exit_signal = SIGCHLD;
    c = syscall(SYS_clone3, &a, sizeof a);
    if (!c) {
        usleep(20000);
        _exit(8);
    }
    struct pollfd f = {pidfd, POLLIN};
    SHOW("poll %d ", poll(&f, 1, 0));
    SHOW("%d revents %x\n", poll(&f, 1, 1000), f.revents);
    siginfo_t i;
    SHOW("pidfd wait %d ", waitid(P_PIDFD, pidfd, &i, WEXITED));
    SHOW("%d\n", i.si_status);
    TRY("gone", syscall(SYS_pidfd_send_signal, pidfd, 0, 0, 0));
    close(pidfd);
    a.exit_signal = 1000;
    TRY("signal", syscall(SYS_clone3, &a, sizeof a));
    TRY("size", syscall(SYS_clone3, &a, 10));
    TRY("long", syscall(SYS_clone3, &a, 5000));
    a.exit_signal = 0;
    a.flags = 1ull << 60;
    TRY("flag", syscall(SYS_clone3, &a, sizeof a));
    a.flags = CLONE_SIGHAND | CLONE_CLEAR_SIGHAND | CLONE_VM;
    TRY("clear", syscall(SYS_clone3, &a, sizeof a));
    a.flags = 0;
    a.stack = 4096;
    TRY("stack", syscall(SYS_clone3, &a, sizeof a));
    TRY("pidfd_open 0", syscall(SYS_pidfd_open, 0, 0));
    TRY("flags", syscall(SYS_pidfd_open, getpid(), 7));
    TRY("nobody", syscall(SYS_pidfd_open, 999999, 0));
    c = fork();
    if (!c) pause();
    pidfd = syscall(SYS_pidfd_open, c, 0);
    SHOW("send %ld ", syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, 0, 0));
    waitpid(c, &st, 0);
    SHOW("%x\n", st);
    close(pidfd);
    int p[2];
    pipe(p);
    c = fork();
    if (!c) pause();
    pidfd = syscall(SYS_pidfd_open, c, 0);
    int g = syscall(SYS_pidfd_getfd, pidfd, p[1], 0);
    write(g, "z", 1);
    char b = 0;
    read(p[0], &b, 1);
    SHOW("getfd %c cloexec %d\n", b, fcntl(g, F_GETFD));
    kill(c, 9);
    wait(0);
}

static void groups(void) {
    int st;
    pid_t c = fork();
    if (!c) {
        SHOW("setsid %d ", setsid() == getpid());
        TRY("again", setsid());
        SHOW("sid %d pgid %d\n", getsid(0) == getpid(), getpgid(0) == getpid());
        TRY("leader", setpgid(0, 0));
        pid_t a = fork();
        if (!a) {
            pause();
            _exit(0);
        }
        SHOW("child %d pgid %d\n", setpgid(a, a), getpgid(a) == a);
        TRY("bad", setpgid(a, 1));
        TRY("neg", setpgid(a, -1));
        TRY("nobody", setpgid(99999, 0));
        TRY("getpgid", getpgid(99999));
        TRY("getsid", getsid(99999));
        pid_t b = fork();
        if (!b) {
            pause();
            _exit(0);
        }
        SHOW("join %d ", setpgid(b, a));
        SHOW("killpg %d ", killpg(a, SIGTERM));
        int s1, s2;
        waitpid(a, &s1, 0);
        waitpid(-a, &s2, 0);
        SHOW("%x %x\n", s1, s2);
        TRY("killpg none", killpg(a, 0));
        _exit(0);
    }
    waitpid(c, &st, 0);
    /* A stopped member of a group that becomes orphaned gets SIGHUP. */
    int p[2];
    pipe(p);
    c = fork();
    if (!c) {
        setpgid(0, 0);
        pid_t g = fork();
        if (!g) {
            setpgid(0, 0);
            close(p[0]);
            raise(SIGSTOP);
            write(p[1], "no", 2);
            _exit(0);
        }
        usleep(30000);
        waitpid(g, &st, WUNTRACED);
        _exit(0);
    }
    close(p[1]);
    waitpid(c, &st, 0);
    char b[4];
    SHOW("orphan wrote %zd\n", read(p[0], b, 4));
    close(p[0]);
    c = fork();
    if (!c) {
        setsid();
        pid_t g = fork();
        if (!g) {
            raise(SIGTSTP);
            _exit(9);
        }
        waitpid(g, &st, WUNTRACED);
        _exit(WIFEXITED(st) ? WEXITSTATUS(st) : 100);
    }
    waitpid(c, &st, 0);
    SHOW("tstp in a group of its session %d\n", WEXITSTATUS(st));
    // The child lives until its parent has seen it go on.
    int end[2];
    pipe(end);
    c = fork();
    if (!c) {
        setpgid(0, 0);
        raise(SIGTTIN);
        read(end[0], b, 1);
        _exit(3);
    }
    SHOW("ttin %d ", waitpid(c, &st, WUNTRACED) == c);
    SHOW("%x ", st);
    kill(c, SIGCONT);
    SHOW("%d ", waitpid(c, &st, WCONTINUED) == c);
    SHOW("%x ", st);
    write(end[1], "", 1);
    waitpid(c, &st, 0);
    SHOW("%x\n", st);
}

static void orphans(void) {
    int st, p[2];
    pid_t reaper = getpid();
    pipe(p);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t c = fork();
    if (!c) {
        pid_t g = fork();
        if (!g) {
            close(p[0]);
            while (getppid() != reaper) usleep(1000);
            _exit(6);
        }
        _exit(0);
    }
    close(p[1]);
    waitpid(c, &st, 0);
    pid_t g = wait(&st);
    SHOW("subreaper got %d\n", g > 0 && g != c);
    (void)g;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    pipe(p);
    c = fork();
    if (!c) {
        pid_t g = fork();
        if (!g) {
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            sigset_t s;
            sigemptyset(&s);
            sigaddset(&s, SIGUSR1);
            sigprocmask(SIG_BLOCK, &s, 0);
            write(p[1], "r", 1);
            int sig;
            sigwait(&s, &sig);
            write(p[1], sig == SIGUSR1 ? "y" : "n", 1);
            _exit(0);
        }
        char b;
        read(p[0], &b, 1);
        _exit(0);
    }
    waitpid(c, &st, 0);
    char b;
    read(p[0], &b, 1);
    SHOW("pdeathsig %c\n", b);
}

static void *spinner(void *a) {
    for (;;) ;
    return 0;
}

static void *sleeper(void *a) {
    pause();
    return 0;
}

static void *execs(void *a) {
    execl(self, self, "tid", (char *)0);
    return 0;
}

static void *exits(void *a) {
    usleep(20000);
    return 0;
}

static void threads(void) {
    int st;
    pthread_t t;
    pid_t c = fork();
    if (!c) {
        pthread_create(&t, 0, spinner, 0);
        pthread_create(&t, 0, sleeper, 0);
        usleep(10000);
        exit(11);
    }
    waitpid(c, &st, 0);
    SHOW("exit with threads %x\n", st);
    c = fork();
    if (!c) {
        pthread_create(&t, 0, spinner, 0);
        pthread_create(&t, 0, sleeper, 0);
        pthread_create(&t, 0, execs, 0);
        for (;;) pause();
    }
    waitpid(c, &st, 0);
    SHOW("exec with threads %x\n", st);
    c = fork();
    if (!c) {
        pthread_create(&t, 0, exits, 0);
        pthread_exit(0);
    }
    waitpid(c, &st, 0);
    SHOW("leader first %x\n", st);
    c = fork();
    if (!c) {
        pthread_create(&t, 0, spinner, 0);
        usleep(10000);
        *(volatile int *)8 = 1;
    }
    waitpid(c, &st, 0);
    SHOW("fault with threads %d\n", WTERMSIG(st));
    for (int i = 0; i < 50; i++) {
        pthread_create(&t, 0, exits, 0);
        pthread_detach(t);
    }
    usleep(100000);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, 1);
    pthread_mutex_t *m = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(m, &a);
    c = fork();
    if (!c) {
        pthread_mutex_lock(m);
        usleep(50000);
        _exit(0);
    }
    usleep(20000);
    SHOW("robust %d ", pthread_mutex_lock(m));
    SHOW("%d ", pthread_mutex_consistent(m));
    SHOW("%d\n", pthread_mutex_unlock(m));
    wait(0);
}

int main(int argc, char **argv) {
    self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "exit")) return atoi(argv[2]);
    if (argc > 1 && !strcmp(argv[1], "tid")) return syscall(SYS_gettid) == getpid() ? 21 : 22;
    pid_t c = fork();
    if (!c) {
        setsid();
        waits();
        clones();
        groups();
        orphans();
        threads();
        return 0;
    }
    int st;
    waitpid(c, &st, 0);
    SHOW("all %x\n", st);
    return 0;
}
