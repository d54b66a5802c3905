/* Vector registers across calls, signals, threads and processes. Prints the same on every Linux. */
#include "show.h"
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>
#include <ucontext.h>

/* What is in the widest registers that the processor has: the first and the last of each kind. */
struct wide {
    unsigned char low[2][64], high[64];
    uint64_t mask;
    double stack;
};

static int has_ymm, has_zmm;

__attribute__((target("avx512f,avx512bw"))) static void set_zmm(const struct wide *w) {
    __asm__ volatile("vmovdqu64 %0, %%zmm0; vmovdqu64 %1, %%zmm15; vmovdqu64 %2, %%zmm31; kmovq %3, %%k3"
                     : : "m"(w->low[0]), "m"(w->low[1]), "m"(w->high), "m"(w->mask));
}
__attribute__((target("avx512f,avx512bw"))) static void get_zmm(struct wide *w) {
    __asm__ volatile("vmovdqu64 %%zmm0, %0; vmovdqu64 %%zmm15, %1; vmovdqu64 %%zmm31, %2; kmovq %%k3, %3"
                     : "=m"(w->low[0]), "=m"(w->low[1]), "=m"(w->high), "=m"(w->mask));
}
__attribute__((target("avx"))) static void set_ymm(const struct wide *w) {
    __asm__ volatile("vmovdqu %0, %%ymm0; vmovdqu %1, %%ymm15" : : "m"(w->low[0]), "m"(w->low[1]));
}
__attribute__((target("avx"))) static void get_ymm(struct wide *w) {
    __asm__ volatile("vmovdqu %%ymm0, %0; vmovdqu %%ymm15, %1" : "=m"(w->low[0]), "=m"(w->low[1]));
}

static void set(const struct wide *w) {
    __asm__ volatile("fninit; fldl %0" : : "m"(w->stack));
    if (has_zmm) set_zmm(w);
    else if (has_ymm) set_ymm(w);
    else __asm__ volatile("movdqu %0, %%xmm0; movdqu %1, %%xmm15" : : "m"(w->low[0]), "m"(w->low[1]));
}
static void get(struct wide *w) {
    __asm__ volatile("fstpl %0" : "=m"(w->stack));
    if (has_zmm) get_zmm(w);
    else if (has_ymm) get_ymm(w);
    else __asm__ volatile("movdqu %%xmm0, %0; movdqu %%xmm15, %1" : "=m"(w->low[0]), "=m"(w->low[1]));
}

static struct wide pattern(int seed) {
    struct wide w = {0};
    int bytes = has_zmm ? 64 : has_ymm ? 32 : 16;
    for (int i = 0; i < bytes; i++)
        w.low[0][i] = seed + i, w.low[1][i] = seed * 3 + i, w.high[i] = has_zmm ? seed * 5 + i : 0;
    w.mask = has_zmm ? 0x0123456789abcdefull * (unsigned)seed : 0, w.stack = seed + 0.5;
    return w;
}
static int same(const struct wide *a, const struct wide *b) {
    return !memcmp(a, b, sizeof *a);
}

/* A raw call, so that nothing of the C library touches the registers. */
static inline long raw(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void calls(void) {
    struct wide before = pattern(7), after = {0};
    char b[16];
    int zero = open("/dev/zero", O_RDONLY);
    set(&before), raw(SYS_getppid, 0, 0, 0), raw(SYS_read, zero, (long)b, 16), get(&after);
    SHOW("kept by calls %d\n", same(&before, &after));
    memset(&after, 0, sizeof after), set(&before), raw(SYS_brk, raw(SYS_brk, 0, 0, 0) + 65536, 0, 0), get(&after);
    SHOW("kept by brk %d\n", same(&before, &after));
    memset(&after, 0, sizeof after), set(&before), raw(SYS_sched_yield, 0, 0, 0), get(&after);
    SHOW("kept by yield %d\n", same(&before, &after));
}

static struct wide other;
static volatile int handled;
static void clobber(int signal) {
    (void)signal, set(&other), handled++;
}

static void handlers(void) {
    struct wide before = pattern(11), after = {0};
    other = pattern(99), signal(SIGUSR1, clobber), signal(SIGALRM, clobber);
    long me = getpid();
    set(&before), raw(SYS_kill, me, SIGUSR1, 0), get(&after);
    SHOW("kept by a handler %d %d\n", handled, same(&before, &after));
    struct itimerval soon = {{0, 2000}, {0, 2000}}, never = {0};
    handled = 0, memset(&after, 0, sizeof after), setitimer(ITIMER_REAL, &soon, 0);
    set(&before);
    while (handled < 20) __asm__ volatile("pause" ::: "memory");
    get(&after), setitimer(ITIMER_REAL, &never, 0);
    SHOW("kept while it computes %d\n", same(&before, &after));
}

/* The FXSAVE area has the lower halves; a handler may change them. */
static void change(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    struct _libc_fpstate *state = ((ucontext_t *)context)->uc_mcontext.fpregs;
    unsigned char seen[16];
    memcpy(seen, &state->_xmm[0], 16);
    SHOW("seen %02x %02x\n", seen[0], seen[15]);
    memset(&state->_xmm[0], 0x5a, 16);
    uint32_t *software = (uint32_t *)((char *)state + 464);
    SHOW("magic %x whole %d\n", software[0], software[0] != 0x46505853 || software[4] >= 576);
}

static void frames(void) {
    struct sigaction action = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
    struct wide before = pattern(23), after = {0};
    sigaction(SIGUSR1, &action, 0);
    long me = getpid();
    set(&before), raw(SYS_kill, me, SIGUSR1, 0), get(&after);
    int changed = 1;
    for (int i = 0; i < 16; i++) changed &= after.low[0][i] == 0x5a;
    SHOW("changed %d rest kept %d %d\n", changed, !memcmp(after.low[0] + 16, before.low[0] + 16, 48),
         !memcmp(after.low[1], before.low[1], 64));
}

static void copies(void) {
    struct wide before = pattern(31), after = {0};
    int status;
    set(&before);
    long child = raw(SYS_clone, SIGCHLD, 0, 0);
    get(&after);
    if (!child) _exit(same(&before, &after) ? 5 : 6);
    SHOW("kept by fork %d\n", same(&before, &after));
    waitpid(child, &status, 0), SHOW("handed on %x\n", status);
}

static void *worker(void *seed) {
    struct wide before = pattern((long)seed), after;
    long kept = 1;
    for (int round = 0; round < 200; round++) {
        memset(&after, 0, sizeof after), set(&before), raw(SYS_getppid, 0, 0, 0), raw(SYS_sched_yield, 0, 0, 0);
        get(&after), kept &= same(&before, &after);
    }
    return (void *)kept;
}

static void threads(void) {
    pthread_t all[4];
    void *kept;
    for (long i = 0; i < 4; i++) pthread_create(&all[i], 0, worker, (void *)(i * 20 + 3));
    for (int i = 0; i < 4; i++) pthread_join(all[i], &kept), SHOW("kept by thread %d\n", kept != 0);
}

int main(void) {
    has_ymm = __builtin_cpu_supports("avx") != 0, has_zmm = __builtin_cpu_supports("avx512bw") != 0;
    SHOW("ymm %d zmm %d\n", has_ymm, has_zmm);
    PART(calls), PART(handlers), PART(frames), PART(copies), PART(threads);
    return 0;
}
