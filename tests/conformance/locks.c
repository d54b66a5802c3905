/* Locks: flock, POSIX, open file descriptions, deadlocks. Prints the same on every Linux. */
#include "show.h"
#include <sys/file.h>
#include <time.h>

static int a, b;
static int to[2], back[2];

static void step(void) {
    char c = 'x';
    if (write(to[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) exit(9);
}
static void ready(void) {
    char c;
    if (read(to[0], &c, 1) != 1) exit(9);
}
static void go(void) {
    char c = 'y';
    if (write(back[1], &c, 1) != 1) exit(9);
}

static struct flock range(short type, off_t start, off_t length) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static void pipes(void) {
    if (pipe(to) || pipe(back)) exit(8);
}

static void whole(void) {
    a = open("lock", O_CREAT | O_RDWR, 0600), b = open("lock", O_RDWR);
    TRY("shared", flock(a, LOCK_SH));
    TRY("shared too", flock(b, LOCK_SH | LOCK_NB));
    TRY("exclusive", flock(b, LOCK_EX | LOCK_NB));
    TRY("unlock", flock(a, LOCK_UN));
    TRY("exclusive", flock(b, LOCK_EX | LOCK_NB));
    TRY("again", flock(b, LOCK_EX | LOCK_NB));
    TRY("other", flock(a, LOCK_SH | LOCK_NB));
    int c = dup(b);
    close(b);
    TRY("dup holds", flock(a, LOCK_SH | LOCK_NB));
    TRY("dup unlocks", flock(c, LOCK_UN));
    TRY("free", flock(a, LOCK_EX | LOCK_NB));
    TRY("operation", flock(a, 0));
    TRY("both", flock(a, LOCK_SH | LOCK_EX));
    TRY("bad fd", flock(99, LOCK_SH));
    TRY("path", flock(open("lock", O_PATH), LOCK_SH));
    if (!fork()) {
        TRY("child's", flock(a, LOCK_EX | LOCK_NB));
        b = open("lock", O_RDONLY);
        TRY("child's own", flock(b, LOCK_SH | LOCK_NB));
        TRY("waits", flock(b, LOCK_EX));
        _exit(0);
    }
    usleep(50000);
    flock(a, LOCK_UN);
    wait(0);
    TRY("after", flock(a, LOCK_EX | LOCK_NB));
}

static void asked(const char *what, int command, short type, off_t start, off_t length) {
    struct flock l = range(type, start, length);
    errno = 0;
    int result = fcntl(a, command, &l);
    SHOW("%s %d/%d type %d start %ld length %ld pid %d\n", what, result, errno, l.l_type, (long)l.l_start,
        (long)l.l_len,
         l.l_type == F_UNLCK ? 0 : l.l_pid > 0 ? 1 : l.l_pid);
}

static void posix(void) {
    a = open("posix", O_CREAT | O_RDWR, 0600);
    struct flock l = range(F_WRLCK, 10, 10);
    TRY("write", fcntl(a, F_SETLK, &l));
    l = range(F_RDLCK, 15, 10);
    TRY("read", fcntl(a, F_SETLK, &l));
    asked("own", F_GETLK, F_WRLCK, 0, 0);
    pipes();
    if (!fork()) {
        asked("first", F_GETLK, F_WRLCK, 0, 0);
        asked("read of read", F_GETLK, F_RDLCK, 15, 5);
        asked("between", F_GETLK, F_RDLCK, 0, 15);
        asked("free", F_GETLK, F_WRLCK, 0, 10);
        l = range(F_RDLCK, 15, 10);
        TRY("share", fcntl(a, F_SETLK, &l));
        l = range(F_WRLCK, 15, 10);
        TRY("conflict", fcntl(a, F_SETLK, &l));
        l = range(F_UNLCK, 0, 0);
        TRY("unlock", fcntl(a, F_SETLK, &l));
        step();
        asked("split", F_GETLK, F_WRLCK, 0, 0);
        asked("hole", F_GETLK, F_WRLCK, 12, 2);
        asked("rest", F_GETLK, F_WRLCK, 12, 0);
        step();
        asked("closed", F_GETLK, F_WRLCK, 0, 0);
        _exit(0);
    }
    ready();
    l = range(F_UNLCK, 12, 2);
    TRY("hole", fcntl(a, F_SETLK, &l));
    go(), ready();
    close(open("posix", O_RDONLY));
    go(), wait(0);
    l = range(F_WRLCK, -1, 5);
    TRY("negative", fcntl(a, F_SETLK, &l));
    l = range(F_WRLCK, 100, -50);
    TRY("backwards", fcntl(a, F_SETLK, &l));
    l = range(F_WRLCK, 10, -50);
    TRY("too far", fcntl(a, F_SETLK, &l));
    l = range(9, 0, 0);
    TRY("type", fcntl(a, F_SETLK, &l));
    l = range(F_WRLCK, 0, 0), l.l_whence = 9;
    TRY("whence", fcntl(a, F_SETLK, &l));
    l = range(F_UNLCK, 0, 0);
    TRY("get unlock", fcntl(a, F_GETLK, &l));
    b = open("posix", O_RDONLY);
    l = range(F_WRLCK, 0, 0);
    TRY("write on read-only", fcntl(b, F_SETLK, &l));
    l = range(F_WRLCK, 0x7fffffffffffffff, 2);
    TRY("overflow", fcntl(a, F_SETLK, &l));
    TRY("pointer", fcntl(a, F_SETLK, 8));
}

static void alarmed(int signal) {
    (void)signal;
}

static void deadlock(void) {
    a = open("dead", O_CREAT | O_RDWR, 0600);
    pipes();
    struct flock one = range(F_WRLCK, 1, 1), two = range(F_WRLCK, 2, 1);
    TRY("one", fcntl(a, F_SETLK, &one));
    pid_t child = fork();
    if (!child) {
        fcntl(a, F_SETLK, &two);
        step();
        int result = fcntl(a, F_SETLKW, &one);
        _exit(result ? errno : 0);
    }
    ready(), go();
    usleep(50000);
    TRY("two", fcntl(a, F_SETLKW, &two));
    one = range(F_UNLCK, 1, 1);
    TRY("give way", fcntl(a, F_SETLK, &one));
    int status;
    wait(&status), SHOW("child %x\n", status);
    if (!(child = fork())) {
        one = range(F_WRLCK, 1, 1), fcntl(a, F_SETLK, &one), step(), pause();
        _exit(0);
    }
    ready(), go();
    struct sigaction action = {.sa_handler = alarmed};
    sigaction(SIGALRM, &action, 0);
    ualarm(30000, 0);
    one = range(F_WRLCK, 1, 1);
    TRY("interrupted", fcntl(a, F_SETLKW, &one));
    action.sa_flags = SA_RESTART, sigaction(SIGALRM, &action, 0);
    ualarm(30000, 0);
    if (!fork()) usleep(80000), kill(child, SIGKILL), _exit(0);
    TRY("restarted", fcntl(a, F_SETLKW, &one));
    wait(0), wait(0);
}

static void descriptions(void) {
    a = open("ofd", O_CREAT | O_RDWR, 0600), b = open("ofd", O_RDWR);
    struct flock l = range(F_WRLCK, 0, 10);
    TRY("set", fcntl(a, F_OFD_SETLK, &l));
    TRY("other", fcntl(b, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 0, 0);
    TRY("get", fcntl(b, F_OFD_GETLK, &l));
    SHOW("%d %ld %ld %d\n", l.l_type, (long)l.l_start, (long)l.l_len, l.l_pid);
    l = range(F_WRLCK, 5, 5);
    TRY("posix too", fcntl(b, F_SETLK, &l));
    l.l_pid = 5;
    TRY("pid", fcntl(a, F_OFD_SETLK, &l));
    if (!fork()) {
        l = range(F_UNLCK, 0, 0);
        TRY("child unlocks", fcntl(a, F_OFD_SETLK, &l));
        _exit(0);
    }
    wait(0);
    l = range(F_WRLCK, 0, 10);
    TRY("free", fcntl(b, F_OFD_SETLK, &l));
    close(b);
    TRY("closed", fcntl(a, F_OFD_SETLK, &l));
}

int main(void) {
    PART(whole), PART(posix), PART(deadlock), PART(descriptions);
    return 0;
}
