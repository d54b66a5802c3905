/* Files of the root that processes map together: data, words, holes, ends. Prints the same on every Linux. */
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sendfile.h>

#define PAGE 4096

static int file(const char *name, off_t len) {
    int fd = OPEN(name, open(name, O_RDWR | O_CREAT | O_TRUNC, 0700));
    TRY("length", ftruncate(fd, len));
    return fd;
}

static void *map(int fd, size_t len, int flags) {
    void *at = mmap(0, len, PROT_READ | PROT_WRITE, flags, fd, 0);
    SHOW("mapped %d\n", at != MAP_FAILED);
    return at;
}

static void ended(const char *what, pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    SHOW("%s exit %d signal %d\n", what, WEXITSTATUS(status), WTERMSIG(status));
}

static void data(void) {
    int fd = file("data", 3 * PAGE);
    char *shared = map(fd, 3 * PAGE, MAP_SHARED), *private = map(fd, 3 * PAGE, MAP_PRIVATE), read[8] = "";
    strcpy(shared + PAGE, "mapped");
    TRY("read", pread(fd, read, 7, PAGE)), SHOW("%s %s\n", read, private + PAGE);
    TRY("write", pwrite(fd, "written", 8, 2 * PAGE)), SHOW("%s\n", shared + 2 * PAGE);
    strcpy(private + PAGE, "own");
    pid_t child = fork();
    if (!child) strcpy(shared, "child"), strcpy(private, "lost"), exit(3);
    ended("writer", child), SHOW("%s %s %s %s.\n", shared, shared + PAGE, private + PAGE, private + 2 * PAGE);
    TRY("msync", msync(shared, 3 * PAGE, MS_SYNC)), TRY("fsync", fsync(fd)), TRY("fdatasync", fdatasync(fd));
    TRY("range", sync_file_range(fd, 0, PAGE, 7)), TRY("syncfs", syncfs(fd));
    TRY("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
    SHOW("[%s] [%s] %s\n", shared + PAGE, private + PAGE, shared + 2 * PAGE);
    TRY("inside", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 2)), SHOW("[%s]\n", shared);
    TRY("shorter", ftruncate(fd, PAGE + 10));
    if (!(child = fork())) exit(shared[2 * PAGE]);
    ended("beyond", child);
    TRY("longer", ftruncate(fd, 3 * PAGE)), SHOW("[%s]\n", shared + 2 * PAGE);
    TRY("remove", unlink("data")), strcpy(shared + 2 * PAGE, "still"), SHOW("%s\n", shared + 2 * PAGE);
}

static long futex(int *word, int op, int value) {
    struct timespec patience = {10, 0};
    return syscall(SYS_futex, word, op, value, &patience, 0, 0);
}

static void words(void) {
    int fd = file("words", PAGE), *word = map(fd, PAGE, MAP_SHARED);
    pid_t child = fork();
    if (!child) {
        /* Another address of the same file. */
        int *other = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, open("words", O_RDWR), 0);
        while (!__atomic_load_n(other, __ATOMIC_SEQ_CST)) futex(other, FUTEX_WAIT, 0);
        __atomic_store_n(other + 1, 1, __ATOMIC_SEQ_CST), futex(other + 1, FUTEX_WAKE, 9);
        exit(4);
    }
    __atomic_store_n(word, 1, __ATOMIC_SEQ_CST), futex(word, FUTEX_WAKE, 9);
    while (!__atomic_load_n(word + 1, __ATOMIC_SEQ_CST)) futex(word + 1, FUTEX_WAIT, 0);
    ended("waiter", child);
}

static void owners(const char *name, int protocol) {
    int fd = file(name, PAGE), how[2];
    pthread_mutex_t *mutex = map(fd, PAGE, MAP_SHARED);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind), pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST), pthread_mutexattr_setprotocol(&kind, protocol);
    TRY("init", pthread_mutex_init(mutex, &kind)), pipe(how);
    pid_t owner = fork(), waiter;
    if (!owner) pthread_mutex_lock(mutex), write(how[1], "x", 1), pause();
    char held;
    read(how[0], &held, 1);
    if (!(waiter = fork())) {
        write(how[1], "x", 1);
        int error = pthread_mutex_lock(mutex);
        if (error == EOWNERDEAD) pthread_mutex_consistent(mutex);
        pthread_mutex_unlock(mutex), exit(error);
    }
    read(how[0], &held, 1), usleep(50000);
    TRY("try", pthread_mutex_trylock(mutex)), kill(owner, SIGKILL);
    ended("owner", owner), ended("waiter", waiter);
    TRY("lock", pthread_mutex_lock(mutex)), TRY("unlock", pthread_mutex_unlock(mutex));
}

static unsigned sum(int fd, off_t from, size_t len) {
    char *all = malloc(len);
    unsigned sum = (unsigned)pread(fd, all, len, from);
    for (size_t at = 0; at < len; at++) sum = sum * 31 + (unsigned char)all[at];
    free(all);
    return sum;
}

static void moves(void) {
    size_t len = 3 << 20;
    int fd = file("moves", 0), to = file("moved", 0), pipes[2];
    char *all = malloc(len);
    for (size_t at = 0; at < len; at++) all[at] = (char)(at * 7 >> 3);
    TRY("write", pwrite(fd, all, len, 12345)), SHOW("%u\n", sum(fd, 0, len));
    TRY("sendfile", sendfile(to, fd, &(off_t){0}, len));
    TRY("copy", copy_file_range(fd, &(off_t){PAGE}, to, &(off_t){5 * PAGE}, 1 << 20, 0));
    pipe(pipes);
    TRY("splice", splice(fd, &(off_t){100}, pipes[1], 0, 30000, 0));
    TRY("splice", splice(pipes[0], 0, to, &(off_t){7}, 30000, 0)), SHOW("%u\n", sum(to, 0, len));
    TRY("reserve", fallocate(to, 0, 0, 8 << 20)), TRY("far", pwrite(to, "end", 3, 1ll << 32));
    SHOW("%d %d\n", lseek(to, 8 << 20, SEEK_HOLE) < (off_t)16 << 20, lseek(to, 16 << 20, SEEK_DATA) == 1ll << 32);
    struct stat facts;
    fstat(to, &facts), SHOW("%lld %d\n", (long long)facts.st_size, facts.st_blocks < (32 << 20) / 512);
    TRY("zero", fallocate(to, FALLOC_FL_ZERO_RANGE, 8 * PAGE, PAGE + 5)), SHOW("%u\n", sum(to, 0, len));
}

static void program(char **arguments) {
    int from = open("/proc/self/exe", O_RDONLY), to = open("program", O_WRONLY | O_CREAT | O_TRUNC, 0700);
    while (sendfile(to, from, 0, 1 << 20) > 0) {}
    close(to);
    pid_t child = fork();
    if (!child) execl("program", arguments[0], "copy", NULL), exit(1);
    ended("copy", child);
    TRY("busy", open("program", O_WRONLY)), TRY("remove", unlink("program"));
}

int main(int count, char **arguments) {
    if (count > 1) return 42;
    data(), words(), moves(), program(arguments);
    owners("robust", PTHREAD_PRIO_NONE), owners("inherit", PTHREAD_PRIO_INHERIT);
    return 0;
}
