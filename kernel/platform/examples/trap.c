/* Prints a line per figure: its name and nanoseconds. Runs on the host and on the kernel of a few lines. */
static u64 now(void) { u64 t[2]; sys(228, 1, t, 0); return t[0] * 1000000000 + t[1]; }
static void line(const char *name, u64 ns) {
    char text[24]; char *p = text + 22; p[0] = '\n'; p[1] = 0;
    do *--p = '0' + ns % 10; while (ns /= 10);
    print(name); print(" "); print(p); }
/* The best of many short runs: the machine may have other work. */
#define MEASURE(name, count, what) do { u64 best = -1UL; \
    for (int run = 0; run < 40; run++) { \
        u64 t = now(); for (int i = 0; i < (count); i++) { what; } \
        t = now() - t; if (t < best) best = t; } \
    line(name, best / (count)); } while (0)

static volatile u32 tid;
static char *stack;
static void worker(void) { sys(60, 0, 0, 0); }
static void thread_round(void) {
    tid = 1; thread_at(worker, stack, &tid);
    while (tid) sys6(202, &tid, 0, 1, 0, 0, 0); }
static void fork_round(void) {
    long child = sys(57, 0, 0, 0);
    if (!child) exit_group(0);
    sys6(61, child, 0, 0, 0, 0, 0); }
static void map_round(void) { char *p = map(4096); p[0] = 1; sys(11, p, 4096, 0); }

void start(void) {
    stack = map(65536);
    MEASURE("getppid", 500, sys(110, 0, 0, 0));
    MEASURE("sched_yield (native)", 500, sys(24, 0, 0, 0));
    MEASURE("clock_gettime + copy out", 500, now());
    MEASURE("mmap + touch + munmap", 100, map_round());
    MEASURE("thread create + join", 20, thread_round());
    MEASURE("fork + exit + wait", 10, fork_round());
    exit_group(0); }
