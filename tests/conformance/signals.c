/* Signals: dispositions, masks, queues, stacks, restarts. Prints the same on every Linux. */
#include "show.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile int count, last, depth;
static char order[64];

static void note(int s) {
    count++;
    last = s;
}

static void install(int s, void (*f)(int), int flags) {
    struct sigaction a = {0};
    a.sa_handler = f;
    a.sa_flags = flags;
    if (sigaction(s, &a, 0)) SHOW("sigaction: %m\n");
}

static void child_sends(int s, int ms) {
    if (!fork()) {
        usleep(ms * 1000);
        kill(getppid(), s);
        _exit(0);
    }
}

static void reap(void) {
    while (wait(0) > 0 || errno == EINTR) ;
}

static void info(int s, siginfo_t *i, void *c) {
    ucontext_t *u = c;
    SHOW("info %d code %d self %d value %d mask-empty %d rsp %d\n", s, i->si_code, i->si_pid == getpid(),
        i->si_value.sival_int,          !sigismember(&u->uc_sigmask, s), (u->uc_mcontext.gregs[REG_RSP] & 15) >= 0);
}

static void infos(void) {
    struct sigaction a = {0};
    a.sa_sigaction = info;
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &a, 0);
    sigaction(SIGRTMIN, &a, 0);
    kill(getpid(), SIGUSR1);
    raise(SIGUSR1);
    union sigval v = {.sival_int = 42};
    sigqueue(getpid(), SIGRTMIN, v);
    sigqueue(getpid(), SIGUSR1, v);
    siginfo_t q = {0};
    q.si_code = SI_USER;
    SHOW("forge other %ld %d\n", syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &q), errno);
}

static void queued(int s) {
    order[strlen(order)] = 'a' + s - SIGRTMIN;
}

static void queues(void) {
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int i = 3; i >= 0; i--) {
        install(SIGRTMIN + i, queued, 0);
    }
    for (int i = 3; i >= 0; i--) {
        union sigval v = {0};
        sigqueue(getpid(), SIGRTMIN + i, v);
        sigqueue(getpid(), SIGRTMIN + i, v);
    }
    install(SIGUSR2, note, 0);
    count = 0;
    raise(SIGUSR2);
    raise(SIGUSR2);
    sigset_t p;
    sigpending(&p);
    SHOW("pending usr2 %d rt %d term %d\n", sigismember(&p, SIGUSR2), sigismember(&p, SIGRTMIN + 3), sigismember(&p,
        SIGTERM));
    sigprocmask(SIG_SETMASK, &old, 0);
    SHOW("order %s merged %d\n", order, count);
}

static void nested(int s) {
    depth++;
    sigset_t m;
    sigprocmask(0, 0, &m);
    SHOW("in %d depth %d usr1 %d usr2 %d\n", s, depth, sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2));
    if (s == SIGUSR1) raise(SIGUSR2);
    depth--;
}

static void masks(void) {
    struct sigaction a = {0};
    a.sa_handler = nested;
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &a, 0);
    install(SIGUSR2, nested, 0);
    raise(SIGUSR1);
    install(SIGUSR1, nested, SA_NODEFER);
    raise(SIGUSR1);
    install(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction o;
    sigaction(SIGUSR1, 0, &o);
    SHOW("reset %d flags %x\n", o.sa_handler == SIG_DFL, o.sa_flags & ~0x4000000);
    SHOW("kill %d ", sigaction(SIGKILL, &a, 0));
    SHOW("%d stop %d bad %d\n", errno, sigaction(SIGSTOP, &a, 0), sigaction(65, &a, 0));
}

static char stack[65536];
static void on_stack(int s) {
    char c;
    stack_t o;
    sigaltstack(0, &o);
    SHOW("on stack %d flags %d\n", &c >= stack && &c < stack + sizeof stack, o.ss_flags);
    stack_t n = {.ss_sp = stack, .ss_size = sizeof stack};
    SHOW("change %d %d\n", sigaltstack(&n, 0), errno);
}

static sigjmp_buf env;
static void overflow(int s, siginfo_t *i, void *u) {
    siglongjmp(env, s);
}

static int recurse(int n) {
    if (n < 0) return 0;
    volatile char b[4096];
    b[0] = n;
    return recurse(n + 1) + b[0];
}

static void stacks(void) {
    stack_t n = {.ss_sp = stack, .ss_size = sizeof stack}, o;
    SHOW("set %d\n", sigaltstack(&n, 0));
    install(SIGUSR1, on_stack, SA_ONSTACK);
    raise(SIGUSR1);
    sigaltstack(0, &o);
    SHOW("after %d\n", o.ss_flags);
    n.ss_flags = 1u << 31;
    sigaltstack(&n, 0);
    n.ss_size = 100;
    n.ss_flags = 0;
    SHOW("small %d %d\n", sigaltstack(&n, 0), errno);
    n.ss_flags = 7;
    SHOW("flags %d %d\n", sigaltstack(&n, 0), errno);
    n.ss_size = sizeof stack;
    n.ss_flags = 0;
    sigaltstack(&n, 0);
    struct sigaction a = {0};
    a.sa_sigaction = overflow;
    a.sa_flags = SA_ONSTACK | SA_SIGINFO;
    sigaction(SIGSEGV, &a, 0);
    struct rlimit l = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &l);
    int s = sigsetjmp(env, 1);
    if (!s) recurse(0);
    SHOW("overflow %d\n", s);
    a.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &a, 0);
}

static void fault(int s, siginfo_t *i, void *c) {
    ucontext_t *u = c;
    SHOW("fault %d code %d addr %lx trap %lld err %lld\n", s, i->si_code,
        s == SIGSEGV || s == SIGBUS ? (long)i->si_addr : 0L, (long long)u->uc_mcontext.gregs[REG_TRAPNO],
            s == SIGSEGV ? (long long)u->uc_mcontext.gregs[REG_ERR] : 0LL);
    siglongjmp(env, 1);
}

static void faults(void) {
    struct sigaction a = {0};
    a.sa_sigaction = fault;
    a.sa_flags = SA_SIGINFO;
    int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(all[i], &a, 0);
    if (!sigsetjmp(env, 1)) *(volatile int *)0x10 = 1;
    char *p = mmap((void *)0x7000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (!sigsetjmp(env, 1)) *(volatile char *)p = 1;
    volatile int zero = 0;
    if (!sigsetjmp(env, 1)) zero = 1 / zero;
    if (!sigsetjmp(env, 1)) __asm__ volatile("ud2");
    if (!sigsetjmp(env, 1)) __asm__ volatile("int3");
    if (!sigsetjmp(env, 1)) ((void (*)(void))p)();
    for (int i = 0; i < 5; i++) signal(all[i], SIG_DFL);
    int all2[] = {SIGSEGV};
    (void)all2;
    int st;
    pid_t c = fork();
    if (!c) {
        sigset_t m;
        sigemptyset(&m);
        sigaddset(&m, SIGSEGV);
        sigprocmask(SIG_BLOCK, &m, 0);
        signal(SIGSEGV, SIG_IGN);
        *(volatile int *)0x10 = 1;
        _exit(1);
    }
    waitpid(c, &st, 0);
    SHOW("forced %d\n", WTERMSIG(st));
}

static void fpu(int s) {
    volatile double d = 1.5;
    for (int i = 0; i < 100; i++) d *= 1.25;
    __asm__ volatile("vzeroall" ::: "memory");
    count++;
}

static void floats(void) {
    install(SIGUSR1, fpu, 0);
    count = 0;
    register double x __asm__("xmm7") = 3.25;
    __asm__ volatile("" : "+x"(x));
    long r;
    pid_t me = getpid();
    __asm__ volatile("syscall" : "=a"(r) : "a"(SYS_kill), "D"(me), "S"(SIGUSR1) : "rcx", "r11", "memory", "cc");
    __asm__ volatile("" : "+x"(x));
    SHOW("xmm %.2f count %d r %ld\n", x, count, r);
}

static void restarts(void) {
    char b;
    int p[2];
    pipe(p);
    install(SIGUSR1, note, SA_RESTART);
    count = 0;
    if (!fork()) {
        usleep(30000);
        kill(getppid(), SIGUSR1);
        usleep(30000);
        write(p[1], "x", 1);
        _exit(0);
    }
    int r = read(p[0], &b, 1);
    SHOW("restart read %d count %d\n", r, count);
    reap();
    install(SIGUSR1, note, 0);
    child_sends(SIGUSR1, 30);
    r = read(p[0], &b, 1);
    SHOW("read %d %d\n", r, errno);
    reap();
    install(SIGUSR1, note, SA_RESTART);
    child_sends(SIGUSR1, 30);
    struct timespec t = {1, 0}, rem = {0};
    r = nanosleep(&t, &rem);
    SHOW("sleep %d %d left %d\n", r, errno, rem.tv_sec == 0 && rem.tv_nsec > 500000000);
    reap();
    child_sends(SIGUSR1, 30);
    r = pause();
    SHOW("pause %d %d\n", r, errno);
    reap();
    sigset_t none, usr;
    sigemptyset(&none);
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr, 0);
    count = 0;
    raise(SIGUSR1);
    r = sigsuspend(&none);
    SHOW("suspend %d %d count %d\n", r, errno, count);
    sigset_t now;
    sigprocmask(0, 0, &now);
    SHOW("mask back %d\n", sigismember(&now, SIGUSR1));
    siginfo_t i;
    raise(SIGUSR1);
    r = sigwaitinfo(&usr, &i);
    SHOW("wait %d code %d\n", r, i.si_code);
    struct timespec z = {0, 1000000};
    r = sigtimedwait(&usr, &i, &z);
    SHOW("timed %d %d\n", r, errno);
    z.tv_nsec = 2000000000;
    r = sigtimedwait(&usr, &i, &z);
    SHOW("invalid %d %d\n", r, errno);
    install(SIGUSR2, note, 0);
    child_sends(SIGUSR2, 30);
    r = sigwaitinfo(&usr, &i);
    SHOW("other %d %d\n", r, errno);
    reap();
    sigprocmask(SIG_UNBLOCK, &usr, 0);
    install(SIGALRM, note, 0);
    count = 0;
    r = wait(0);
    SHOW("wait none %d %d\n", r, errno);
    pid_t c = fork();
    if (!c) {
        usleep(200000);
        _exit(3);
    }
    int st;
    ualarm(50000, 0);
    r = waitpid(c, &st, 0);
    SHOW("waitpid %d %d count %d\n", r, errno, count);
    reap();
    c = fork();
    if (!c) {
        struct timespec s = {0, 100000000};
        int q = nanosleep(&s, 0);
        _exit(q == 0 ? 5 : 6);
    }
    usleep(20000);
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    kill(c, SIGCONT);
    waitpid(c, &st, 0);
    SHOW("slept over a stop %d\n", WEXITSTATUS(st));
    signal(SIGCHLD, SIG_IGN);
    c = fork();
    if (!c) _exit(0);
    r = waitpid(c, &st, 0);
    SHOW("ignored child %d %d\n", r, errno);
    signal(SIGCHLD, SIG_DFL);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    r = write(p[1], "x", 1);
    SHOW("pipe %d %d\n", r, errno);
    signal(SIGPIPE, SIG_DFL);
}

static volatile int where;
static pthread_t other;
static void on_thread(int s) {
    where = pthread_equal(pthread_self(), other) ? 2 : 1;
}

static void *spin(void *a) {
    while (!where) ;
    return 0;
}

static void *sleeper(void *a) {
    sigset_t n;
    sigemptyset(&n);
    pthread_sigmask(SIG_SETMASK, &n, 0);
    int r = pause();
    SHOW("thread pause %d %d\n", r, errno);
    return 0;
}

static void threads(void) {
    install(SIGUSR1, on_thread, 0);
    where = 0;
    pthread_create(&other, 0, spin, 0);
    usleep(10000);
    pthread_kill(other, SIGUSR1);
    pthread_join(other, 0);
    SHOW("kill thread %d\n", where);
    where = 0;
    sigset_t u;
    sigemptyset(&u);
    sigaddset(&u, SIGUSR1);
    pthread_create(&other, 0, spin, 0);
    pthread_sigmask(SIG_BLOCK, &u, 0);
    kill(getpid(), SIGUSR1);
    pthread_join(other, 0);
    SHOW("process %d\n", where);
    pthread_create(&other, 0, sleeper, 0);
    usleep(20000);
    pthread_kill(other, SIGUSR1);
    pthread_join(other, 0);
    pthread_sigmask(SIG_UNBLOCK, &u, 0);
    SHOW("gone %d\n", (int)syscall(SYS_tgkill, getpid(), 99999, 0));
}

int main(void) {
    infos();
    queues();
    masks();
    stacks();
    faults();
    floats();
    restarts();
    threads();
    return 0;
}
