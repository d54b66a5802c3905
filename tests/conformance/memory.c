// The mmap family, brk, advice, locks and shared memory: prints the same on every Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL

static const char *name(long result) {
    return result >= 0 ? "ok" : strerrorname_np(errno);
}

static void *try_map(const char *what, void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    void *found = mmap(at, len, protection, flags, fd, offset);
    printf("mmap %s: %s\n", what, found == MAP_FAILED ? strerrorname_np(errno) : "ok");
    return found;
}

static const char *self_path;
static sigjmp_buf back;
static volatile int fault_signal, fault_code, armed;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (!armed)
        _exit(99);
    armed = 0;
    fault_signal = signal;
    fault_code = info->si_code;
    siglongjmp(back, 1);
}

// Touches a byte and says what came of it.
__attribute__((noinline)) static void touch(const char *what, volatile char *at, int write) {
    armed = 1;
    if (sigsetjmp(back, 1)) {
        printf("%s: signal %d code %d\n", what, fault_signal, fault_code);
        return;
    }
    if (write)
        *at = 1;
    int found = *at;
    armed = 0;
    printf("%s: %d\n", what, found);
}

static void maps(void) {
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    try_map("empty", 0, 0, 3, anonymous, -1, 0);
    try_map("odd offset", 0, PAGE, 3, anonymous, -1, 1);
    try_map("too long", 0, SIZE_MAX, 3, anonymous, -1, 0);
    try_map("no type", 0, PAGE, 3, MAP_ANONYMOUS, -1, 0);
    try_map("both types", 0, PAGE, 3, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0);
    try_map("no file", 0, PAGE, 3, MAP_PRIVATE, -1, 0);
    try_map("odd fixed", (void *)0x20000001, PAGE, 3, anonymous | MAP_FIXED, -1, 0);
    try_map("beyond", (void *)(1UL << 60), PAGE, 3, anonymous | MAP_FIXED, -1, 0);
    char *at = try_map("three pages", 0, 3 * PAGE, 3, anonymous, -1, 0);
    touch("write", at, 1);
    printf("munmap middle: %s\n", name(munmap(at + PAGE, PAGE)));
    touch("hole", at + PAGE, 0);
    printf("munmap hole: %s\n", name(munmap(at + PAGE, PAGE)));
    printf("munmap odd: %s\n", name(munmap(at + 1, PAGE)));
    printf("munmap empty: %s\n", name(munmap(at, 0)));
    printf("mprotect across hole: %s\n", name(mprotect(at, 3 * PAGE, PROT_READ)));
    touch("write read-only", at, 1);
    touch("behind the hole", at + 2 * PAGE, 1);
    void *again = mmap(at + PAGE, PAGE, 3, anonymous | MAP_FIXED_NOREPLACE, -1, 0);
    printf("fixed in hole: %d\n", again == at + PAGE);
    try_map("fixed on top", at, PAGE, 3, anonymous | MAP_FIXED_NOREPLACE, -1, 0);
    char *low = try_map("32bit", 0, PAGE, 3, anonymous | MAP_32BIT, -1, 0);
    printf("low: %d\n", (uintptr_t)low < 1UL << 31);
    char *none = try_map("none", 0, PAGE, PROT_NONE, anonymous, -1, 0);
    touch("none", none, 0);
    printf("mprotect bad: %s\n", name(mprotect(none, PAGE, 0x100)));
    printf("mprotect odd: %s\n", name(mprotect(none + 1, PAGE, 3)));
    printf("mprotect nothing: %s\n", name(mprotect(none, 0, 3)));
    printf("mprotect: %s\n", name(mprotect(none, PAGE, 3)));
    touch("opened", none, 1);
}

static void remaps(void) {
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char *at = mmap(0, 16 * PAGE, 3, anonymous, -1, 0);
    strcpy(at, "moved");
    munmap(at + 4 * PAGE, 12 * PAGE);
    printf("grow here: %d\n", mremap(at, 4 * PAGE, 8 * PAGE, 0) == at);
    printf("shrink: %d\n", mremap(at, 8 * PAGE, 2 * PAGE, 0) == at);
    mmap(at + 2 * PAGE, PAGE, 3, anonymous | MAP_FIXED, -1, 0);
    mprotect(at + 2 * PAGE, PAGE, 0);
    printf("blocked: %s\n", mremap(at, 2 * PAGE, 4 * PAGE, 0) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    char *to = mremap(at, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    printf("moved: %d %s\n", to != at, to);
    touch("old place", at, 0);
    to[63 * PAGE] = 7;
    char *fixed = mmap(0, 64 * PAGE, 0, anonymous, -1, 0);
    int there = mremap(to, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, fixed) == fixed;
    printf("fixed: %d %s %d\n", there, fixed, fixed[63 * PAGE]);
    char *twin = mremap(fixed, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    printf("twin: %s, left: %d\n", twin, fixed[0]);
    printf("unknown: %s\n", mremap(twin, PAGE, PAGE, 8) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    printf("to nothing: %s\n", mremap(twin, PAGE, 0, 0) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    printf("odd: %s\n", mremap(twin + 1, PAGE, PAGE, 1) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    printf("overlap: %s\n", mremap(twin, 2 * PAGE, 2 * PAGE, 3,
        twin + PAGE) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    munmap(twin, PAGE);
    printf("unmapped: %s\n", mremap(twin, PAGE, PAGE, 1) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    char *big = malloc(1 << 20);
    memset(big, 5, 1 << 20);
    for (size_t size = 2 << 20; size <= 64 << 20; size *= 2)
        big = realloc(big, size);
    printf("realloc: %d %d\n", big[0], big[(1 << 20) - 1]);
    free(big);
}

static void breaks(void) {
    char *start = sbrk(0);
    printf("brk up: %s\n", name(brk(start + 5 * PAGE)));
    start[5 * PAGE - 1] = 1;
    printf("brk down: %s\n", name(brk(start)));
    printf("brk far: %s\n", name(brk((void *)(1UL << 46))));
    printf("same: %d\n", sbrk(0) == start);
}

static void files(void) {
    int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ftruncate(fd, 100);
    char *shared = mmap(0, 3 * PAGE, 3, MAP_SHARED, fd, 0);
    char *private = mmap(0, 3 * PAGE, 3, MAP_PRIVATE, fd, 0);
    strcpy(shared, "shared");
    char text[8] = {0};
    pread(fd, text, 7, 0);
    printf("read: %s, private sees: %s\n", text, private);
    strcpy(private, "own");
    printf("shared: %s\n", shared);
    touch("beyond the end", shared + PAGE, 0);
    touch("private beyond", private + 2 * PAGE, 1);
    ftruncate(fd, 2 * PAGE);
    touch("grown", shared + PAGE, 1);
    touch("private grown", private + PAGE, 0);
    pread(fd, text, 1, PAGE);
    printf("in file: %d\n", text[0]);
    ftruncate(fd, 100);
    touch("cut", shared + PAGE, 0);
    printf("private keeps: %s\n", private);
    printf("msync: %s\n", name(msync(shared, PAGE, MS_SYNC)));
    printf("msync both: %s\n", name(msync(shared, PAGE, MS_SYNC | MS_ASYNC)));
    printf("msync odd: %s\n", name(msync(shared + 1, PAGE, MS_ASYNC)));
    printf("msync unknown: %s\n", name(msync(shared, PAGE, 16)));
    printf("seal: %s\n", name(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)));
    printf("grow sealed: %s\n", name(ftruncate(fd, PAGE)));
    printf("write sealed busy: %s\n", name(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
    munmap(shared, 3 * PAGE);
    printf("write sealed: %s\n", name(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
    printf("write: %s\n", name(write(fd, "x", 1)));
    try_map("sealed shared", 0, PAGE, 3, MAP_SHARED, fd, 0);
    try_map("sealed private", 0, PAGE, 3, MAP_PRIVATE, fd, 0);
    printf("seals: %#x\n", fcntl(fd, F_GET_SEALS));
    close(fd);
    int pipes[2];
    pipe(pipes);
    try_map("pipe", 0, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0);
    try_map("write-only", 0, PAGE, PROT_READ, MAP_PRIVATE, pipes[1], 0);
    int self = open(self_path, O_RDONLY);
    char *image = try_map("read-only shared", 0, PAGE, PROT_READ, MAP_SHARED, self, 0);
    printf("magic: %.3s\n", image + 1);
    printf("make writable: %s\n", name(mprotect(image, PAGE, 3)));
    try_map("shared writable", 0, PAGE, 3, MAP_SHARED, self, 0);
    char *copy = try_map("private writable", 0, PAGE, 3, MAP_PRIVATE, self, 0);
    copy[1] = 'e';
    printf("copy: %.3s\n", copy + 1);
    madvise(copy, PAGE, MADV_DONTNEED);
    printf("dropped: %.3s\n", copy + 1);
}

static void advice(void) {
    char *at = mmap(0, 4 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    at[0] = at[PAGE] = 1;
    printf("dontneed: %s\n", name(madvise(at, PAGE, MADV_DONTNEED)));
    printf("dropped: %d\n", at[0]);
    printf("odd: %s\n", name(madvise(at + 1, PAGE, MADV_DONTNEED)));
    printf("unknown: %s\n", name(madvise(at, PAGE, 999)));
    printf("remove: %s\n", name(madvise(at, PAGE, MADV_REMOVE)));
    printf("empty: %s\n", name(madvise(at, 0, MADV_DONTNEED)));
    printf("willneed: %s\n", name(madvise(at, 4 * PAGE, MADV_WILLNEED)));
    printf("free: %s\n", name(madvise(at, 4 * PAGE, MADV_FREE)));
    munmap(at + 2 * PAGE, PAGE);
    printf("gap: %s\n", name(madvise(at, 4 * PAGE, MADV_DONTNEED)));
    unsigned char in_core[4];
    printf("mincore gap: %s\n", name(mincore(at, 4 * PAGE, in_core)));
    at[0] = 1;
    printf("mincore: %s\n", name(mincore(at, PAGE, in_core)));
    printf("in core: %d\n", in_core[0] & 1);
    printf("mincore odd: %s\n", name(mincore(at + 1, PAGE, in_core)));
    char *wiped = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wiped[0] = gone[0] = 3;
    printf("wipe on fork: %s\n", name(madvise(wiped, PAGE, MADV_WIPEONFORK)));
    printf("no fork: %s\n", name(madvise(gone, PAGE, MADV_DONTFORK)));
    fflush(stdout);
    if (fork() == 0) {
        printf("child: %d\n", wiped[0]);
        touch("not forked", gone, 0);
        fflush(stdout);
        _exit(0);
    }
    wait(0);
}

static void locks(void) {
    char *at = mmap(0, 4 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("mlock: %s\n", name(mlock(at, PAGE)));
    printf("dontneed locked: %s\n", name(madvise(at, PAGE, MADV_DONTNEED)));
    printf("munlock: %s\n", name(munlock(at, PAGE)));
    printf("mlock2: %s\n", name(mlock2(at, PAGE, MLOCK_ONFAULT)));
    printf("mlock2 unknown: %s\n", name(mlock2(at, PAGE, 8)));
    munmap(at + PAGE, PAGE);
    printf("mlock gap: %s\n", name(mlock(at, 3 * PAGE)));
    printf("mlockall nothing: %s\n", name(mlockall(0)));
    printf("mlockall unknown: %s\n", name(mlockall(64)));
    printf("munlockall: %s\n", name(munlockall()));
}

static void shared(void) {
    int *counter = mmap(0, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(stdout);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            for (int j = 0; j < 1000; j++)
                __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
            _exit(0);
        }
    while (wait(0) > 0)
        ;
    printf("counter: %d\n", *counter);
    int id = shmget(IPC_PRIVATE, 3 * PAGE + 1, 0600);
    char *first = shmat(id, 0, 0), *second = shmat(id, 0, SHM_RDONLY);
    strcpy(first, "segment");
    printf("second: %s\n", second);
    touch("read-only segment", second, 1);
    struct shmid_ds facts;
    printf("stat: %s\n", name(shmctl(id, IPC_STAT, &facts)));
    printf("size %zu attached %lu mode %o mine %d\n", facts.shm_segsz, facts.shm_nattch, facts.shm_perm.mode & 0777,
           facts.shm_cpid == getpid());
    printf("remove: %s\n", name(shmctl(id, IPC_RMID, 0)));
    printf("detach: %s\n", name(shmdt(first)));
    printf("detach the other: %s\n", name(shmdt(second)));
    printf("detach again: %s\n", name(shmdt(first)));
    printf("gone: %s\n", name(shmctl(id, IPC_STAT, &facts)));
    printf("get nothing: %s\n", name(shmget(IPC_PRIVATE, 0, 0600)));
    printf("get missing: %s\n", name(shmget(0x5eed, PAGE, 0)));
}

static void others(void) {
    char here[16] = "here", there[16] = "there";
    struct iovec local = {here, 16}, remote = {there, 16};
    printf("process_vm_readv: %zd\n", process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    printf("here: %s\n", here);
    strcpy(here, "back");
    printf("process_vm_writev: %zd\n", process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
    printf("there: %s\n", there);
    remote.iov_base = (void *)8;
    printf("nowhere: %s\n", name(process_vm_readv(getpid(), &local, 1, &remote, 1, 0)));
    printf("flags: %s\n", name(process_vm_readv(getpid(), &local, 1, &remote, 1, 1)));
    printf("nobody: %s\n", name(process_vm_readv(999999, &local, 1, &remote, 1, 0)));
    printf("membarrier: %d\n", syscall(SYS_membarrier, 0, 0, 0) > 0);
    printf("register: %s\n", name(syscall(SYS_membarrier, 16, 0, 0)));
    printf("barrier: %s\n", name(syscall(SYS_membarrier, 8, 0, 0)));
    printf("barrier unknown: %s\n", name(syscall(SYS_membarrier, 1 << 20, 0, 0)));
    struct rlimit limit = {64 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    try_map("above RLIMIT_AS", 0, 128 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int depth(int left) {
    volatile char page[4096];
    page[0] = (char)left;
    return left == 0 ? 0 : 1 + depth(left - 1) + page[0] - (char)left;
}

int main(int count, char **arguments) {
    (void)count;
    self_path = arguments[0];
    setvbuf(stdout, 0, _IOLBF, 0);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    maps();
    remaps();
    breaks();
    files();
    advice();
    locks();
    shared();
    printf("stack: %d\n", depth(1500));
    others();
    return 0;
}
