/* Attacks on the stub that this program's process is: its handler, its sigreturn, its spawner, its pages. The stub lies
   at the same place in every process (docs/rfcs/0001). */
#include "attack.h"

static const uint64_t SLOTS = 0x7fe000000000, IMAGE = 0x7ff000001000, SPAWNER_STACK = 0x7ffffffff000;
enum { SLOT_BYTES = 65536, RSP = 20, RIP = 21, EFLAGS = 22, SEGMENTS = 23, FP = 28, MASK = 37 };

/* The stub's system call instruction goes on with ret, its sigreturn with ud2. */
static uint64_t find(unsigned char next) {
    for (unsigned char *p = (unsigned char *)IMAGE;; p++)
        if (p[0] == 0x0f && p[1] == 0x05 && p[2] == next) return (uint64_t)p;
}

static long stub(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    register uint64_t at asm("rbx") = find(0xc3);
    asm volatile("call *%%rbx" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), "r"(at)
                 : "rcx", "r11", "memory");
    return number;
}

/* Runs an attack in a process of its own, which may die of it. */
static void apart(void (*attack)(long), long argument) {
    pid_t child = fork();
    if (child == 0) { alarm(2); attack(argument); _exit(0); }
    int status;
    waitpid(child, &status, 0);
}

static void forged_call(long number) { stub(number, 0, 0, 0, 0, 0, 0); }
static void forged_fork(long flags) { stub(56, flags, 0, 0, 0, 0, 0); }
static void forged_fault(long signal) { stub(0x2000, signal, 1, 0x1234, 6, 14, 0); }
static void broken_order(long lie) {
    stub(0x1009, 0, 1 << 20, 3, 0x22, -1, 0);
    if (lie < 3) stub(0x2001, lie, lie == 2 ? -12 : 0, 0, 0, 0, 0);
    getppid();
}

/* Everything that the handler and the spawner say, out of turn. */
static void words(void) {
    for (long number = 0; number < 460; number++) apart(forged_call, number);
    for (long number = 0x1000; number < 0x11d0; number += 7) apart(forged_call, number);
    for (long number = 0x2000; number < 0x2004; number++) apart(forged_call, number);
    for (long signal = 0; signal < 70; signal += 3) apart(forged_fault, signal);
    for (long lie = 0; lie < 5; lie++) apart(broken_order, lie);
    static const long flags[] = { 0x50f00, 0x8000, 0x10000000, 17, 0x20000000 };
    for (int i = 0; i < 5; i++) apart(forged_fork, flags[i]);
}

static volatile int stop;

static void *rewrite(void *slot) {
    for (uint64_t *orders = (uint64_t *)slot + 3; !stop;) {
        for (int i = 0; i < 8; i++) orders[i] = IMAGE;
        uint64_t call[] = { 0x8000000000000001, 1, 9, IMAGE, 4096, 7, 0x32, -1 };
        memcpy(orders + 2, call, sizeof call);
    }
    return NULL;
}

static void map_while_rewritten(long slot) {
    pthread_t thread;
    pthread_create(&thread, NULL, rewrite, (void *)(SLOTS + slot * SLOT_BYTES));
    for (double start = now(); now() - start < 0.3;)
        munmap(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192);
}

static void races(void) {
    for (long slot = 0; slot < 5; slot++) apart(map_while_rewritten, slot);
}

#define TAKES(call) if (call) printf("%s takes the stub's pages at %p, %lx bytes\n", #call, at, len)

/* The stub's pages by every call that changes mappings, with sums beyond 64 bits. */
static void pages(void) {
    static const uint64_t starts[] = { 0x7fe000000000, 0x7fe000010000, 0x7ff000000000, 0x7ffffffde000, 0x10000000, 0x7fdffffff000 };
    static const uint64_t lens[] = { 4096, 65536, 1UL << 40, -4096UL, 1UL << 63, 0x7fe000000000 };
    for (int s = 0; s < 6; s++)
        for (int l = 0; l < 6; l++) {
            char *at = (char *)starts[s];
            uint64_t len = lens[l];
            if (s >= 4 && (uint64_t)at + len <= SLOTS && (uint64_t)at + len > (uint64_t)at) continue;
            TAKES(munmap(at, len) == 0);
            TAKES(mprotect(at, len, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
            TAKES(madvise(at, len, MADV_DONTNEED) == 0);
            TAKES(mlock(at, len) == 0);
            TAKES(mmap(at, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
            TAKES(mremap(at, len, 4096, MREMAP_MAYMOVE) != MAP_FAILED);
            TAKES(mremap(at, 4096, len, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20000000) != MAP_FAILED);
            char *own = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            TAKES(mremap(own, 4096, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED);
            TAKES(s < 4 && mremap(own, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED);
            if (syscall(SYS_arch_prctl, 0x1001, at) == 0) syscall(SYS_arch_prctl, 0x1001, 0);
        }
}

static uint64_t frame[64];

/* Enters a frame by the stub's own sigreturn. */
static void enter(void (*f)(void)) {
    frame[0] |= 6;
    frame[3] = 2;
    frame[RSP] = (uint64_t)mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 65536 - 8;
    frame[RIP] = (uint64_t)f;
    frame[EFLAGS] |= 0x202;
    frame[SEGMENTS] = frame[SEGMENTS] ? frame[SEGMENTS] : 0x002b000000000033;
    asm volatile("mov %0, %%rsp; mov $15, %%eax; jmp *%1" : : "D"(frame), "b"(find(0x0f)) : "memory");
}

static void leave(void) { syscall(SYS_exit_group, 3); }
static void spin(void) { for (;;) {} }

static void framed(long kind) {
    static unsigned char fp[16384] __attribute__((aligned(64)));
    uint32_t *word = (uint32_t *)fp;
    word[6] = 0x1f80;
    word[116] = 0x46505853;
    word[117] = 4096;
    word[120] = 4092;
    frame[FP] = (uint64_t)fp;
    frame[0] = 7;
    switch (kind) {
        case 0: break;
        case 1: memset(fp + 464, 0xff, 48); word[116] = 0x46505853; break;
        case 2: memset(fp + 512, 0xff, 64); break;
        case 3: word[6] = -1; break;
        case 4: frame[FP] = SLOTS; break;
        case 5: frame[FP] = -8UL; break;
        case 6: frame[SEGMENTS] = 0x002b000000000023; break;
        case 7: frame[EFLAGS] = -1; break;
        case 8: frame[EFLAGS] = 0x100; break;
        case 9: frame[MASK] = -1; enter(spin);
        case 10: frame[SEGMENTS] = 0x0010001000100010; break;
    }
    enter(leave);
}

/* An application's own signal frame, changed before it returns through the kernel. */
static long kind_of_handler;
static void change_frame(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    unsigned char *fp = (unsigned char *)uc->uc_mcontext.fpregs;
    (void)signal, (void)info;
    switch (kind_of_handler) {
        case 0: memset(fp, 0xff, 32); break;
        case 1: *(uint32_t *)(fp + 468) = -1; break;
        case 2: *(uint32_t *)(fp + 480) = 1 << 30; break;
        case 3: memset(fp + 512, 0xff, 64); break;
        case 4: uc->uc_mcontext.fpregs = (void *)-64L; break;
        case 5: uc->uc_mcontext.fpregs = (void *)SLOTS; break;
        case 6: uc->uc_mcontext.gregs[REG_CSGSFS] = 0x2b000000000010; break;
        case 7: uc->uc_mcontext.gregs[REG_EFL] = -1; break;
        case 8: uc->uc_mcontext.gregs[REG_RIP] = IMAGE; break;
        case 9: memset(uc, 0xff, 256); break;
        case 10: *(uint32_t *)(fp + 464) = 0; *(uint32_t *)(fp + 24) = -1; break;
        case 11: *(uint64_t *)(fp + 512) = 0x60000; *(uint64_t *)(fp + 520) = 1UL << 63; break;
    }
}

static void own_frame(long kind) {
    struct sigaction action = { .sa_sigaction = change_frame, .sa_flags = SA_SIGINFO };
    kind_of_handler = kind;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static void frames(void) {
    for (long kind = 0; kind < 11; kind++) apart(framed, kind);
    for (long kind = 0; kind < 12; kind++) apart(own_frame, kind);
}

static void as_spawner(void) {
    for (int i = 0; i < 1000; i++) {
        stub(56, 0x8000, 0, 0, 0, 0, 0);
        stub(46, 3, (long)frame, 0, 0, 0, 0);
    }
    for (;;) stub(128, 0, 0, 0, 0, 0, 0);
}

/* The spawner's stack is the application's too: it returns to code of the application, which then runs without a
   listener, and makes as many processes as it can. */
static void take_spawner(long unused) {
    (void)unused;
    for (uint64_t *p = (uint64_t *)(SPAWNER_STACK - 8), i = 0; i < 1024; i++) *p-- = (uint64_t)as_spawner;
    fork();
    pthread_t thread;
    pthread_create(&thread, NULL, rewrite, (void *)SLOTS);
    sleep(1);
}

static void spawner(void) { apart(take_spawner, 0); }

static void handle(int signal) { (void)signal; }

/* Computes with the kick blocked, so that no signal that it handles reaches it any more. */
static void blocked(void) {
    signal(SIGTERM, handle);
    printf("blocked\n");
    fflush(stdout);
    frame[MASK] = -1;
    enter(spin);
}

int main(int argc, char **argv) {
    static const struct attack attacks[] = {
        { "words", words }, { "races", races }, { "pages", pages }, { "frames", frames }, { "spawner", spawner },
        { "blocked", blocked }, { 0 },
    };
    return run_attack(attacks, argc, argv);
}
