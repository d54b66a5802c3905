/* Random system calls with random arguments, as root, from many processes: `random SECONDS SEED`. It is the container's
   init, which nothing inside can end. */
#include "attack.h"
#include <sys/ptrace.h>

static uint64_t seed;
static unsigned char *arena;
enum { ARENA_BYTES = 1 << 20, CALLS = 400 };

static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t argument(void) {
    static const char *names[] = {
        "/tmp/a", "/tmp/b", "/tmp", "/", "a", "", "/proc/self/mem", "/proc/self/fd/0", "/dev/zero", "/dev/ptmx",
        "/sys", "/proc/self/maps", "user.x", "tmpfs", "..",
    };
    switch (next() % 12) {
        case 0: return 0;
        case 1: return next() % 8;
        case 2: return next() % 64;
        case 3: return 1UL << next() % 64;
        case 4: return -(next() % 64);
        case 5: return next();
        case 6: return next() % 65536;
        case 7: return (uint64_t)names[next() % (sizeof names / sizeof *names)];
        case 8: return (1UL << 63) - next() % 4096;
        case 9: return 4096 * (next() % 64);
        default: return (uint64_t)arena + next() % ARENA_BYTES / 8 * 8;
    }
}

/* Structures with plausible content: small numbers, descriptors, pointers into the arena. */
static void fill(void) {
    uint64_t *words = (uint64_t *)arena;
    for (int i = 0; i < ARENA_BYTES / 8; i++) words[i] = next() % 2 ? argument() : next() % 16;
}

static void worker(void) {
    fill();
    for (int i = 0; i < CALLS; i++) {
        long number = next() % 470;
        uint64_t a[6];
        for (int j = 0; j < 6; j++) a[j] = argument();
        syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (next() % 16 == 0) memcpy(arena + next() % (ARENA_BYTES - 64), a, sizeof a);
    }
    _exit(0);
}

static pid_t start_worker(void) {
    next();
    pid_t child = fork();
    if (child == 0) {
        struct rlimit small = { 256 << 20, 256 << 20 };
        setrlimit(RLIMIT_AS, &small);
        close(0);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        worker();
    }
    return child;
}

int main(int argc, char **argv) {
    if (argc < 3 || getpid() != 1) return 2;
    double seconds = atof(argv[1]);
    seed = strtoull(argv[2], NULL, 0) | 1;
    arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long workers = 0;
    for (double start = now(); now() - start < seconds;) {
        pid_t group[4];
        for (int i = 0; i < 4; i++, workers++) group[i] = start_worker();
        usleep(150000);
        for (int i = 0; i < 4; i++) if (group[i] > 0) kill(group[i], SIGKILL);
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
    kill(-1, SIGKILL);
    while (wait(NULL) > 0) {}
    /* What is left of the kernel still works. */
    int fd = open("/dev/shm/after", O_CREAT | O_RDWR, 0600), pair[2];
    char text[6] = { 0 };
    int fine = write(fd, "works", 5) == 5 && pread(fd, text, 5, 0) == 5 && strcmp(text, "works") == 0 && pipe(pair) == 0;
    printf("random: %s\n", fine ? "over" : "broken");
    return workers > 0 && fine ? 0 : 1;
}
