/* Pipes and fifos. Prints the same on every Linux. */
#include "show.h"
#include <linux/capability.h>
#include <poll.h>
#include <sys/ioctl.h>

static void pipes(void) {
    int p[2], n;
    char b[70000];
    memset(b, 'x', sizeof b);
    TRY("flags", pipe2(p, 1));
    TRY("pipe2", pipe2(p, O_NONBLOCK | O_CLOEXEC));
    SHOW("%x %x %d\n", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL), fcntl(p[0], F_GETFD));
    TRY("empty", read(p[0], b, 1));
    TRY("nothing", read(p[0], b, 0));
    TRY("wrong end", write(p[0], b, 1));
    TRY("wrong end", read(p[1], b, 1));
    TRY("size", fcntl(p[0], F_GETPIPE_SZ));
    TRY("fill", write(p[1], b, 70000));
    TRY("full", write(p[1], b, 1));
    ioctl(p[0], FIONREAD, &n), SHOW("%d\n", n);
    struct pollfd f[2] = {{p[0], POLLIN | POLLOUT, 0}, {p[1], POLLIN | POLLOUT, 0}};
    SHOW("poll %d %x %x\n", poll(f, 2, 0), f[0].revents, f[1].revents);
    TRY("read", read(p[0], b, 100));
    SHOW("poll %d %x %x\n", poll(f, 2, 0), f[0].revents, f[1].revents);
    TRY("atomic", write(p[1], b, 4096));
    TRY("page", read(p[0], b, 4000));
    SHOW("poll %d %x %x\n", poll(f, 2, 0), f[0].revents, f[1].revents);
    TRY("grow", fcntl(p[0], F_SETPIPE_SZ, 100000));
    TRY("shrink", fcntl(p[0], F_SETPIPE_SZ, 4096));
    TRY("rest", read(p[0], b, 70000));
    TRY("shrink", fcntl(p[0], F_SETPIPE_SZ, 100));
    TRY("huge", fcntl(p[0], F_SETPIPE_SZ, 1u << 31));
    TRY("write", write(p[1], b, 70000));
    close(p[1]);
    SHOW("poll %d %x\n", poll(f, 1, 0), f[0].revents);
    TRY("drain", read(p[0], b, 70000));
    SHOW("poll %d %x\n", poll(f, 1, 0), f[0].revents);
    TRY("end", read(p[0], b, 1));
    struct stat st;
    fstat(p[0], &st), SHOW("%o %ld\n", st.st_mode, (long)st.st_nlink);
    close(p[0]);
    pipe(p), close(p[0]);
    f[0].fd = p[1];
    SHOW("poll %d %x\n", poll(f, 1, 0), f[0].revents);
    signal(SIGPIPE, SIG_IGN);
    TRY("broken", write(p[1], b, 1));
    TRY("nothing", write(p[1], b, 0));
    signal(SIGPIPE, SIG_DFL);
    write(p[1], b, 1);
}

static void packets(void) {
    int p[2];
    char b[64];
    TRY("packets", pipe2(p, O_DIRECT | O_NONBLOCK));
    TRY("one", write(p[1], "abc", 3));
    TRY("two", write(p[1], "defgh", 5));
    TRY("read", read(p[0], b, sizeof b));
    TRY("short", read(p[0], b, 2));
    TRY("rest is gone", read(p[0], b, sizeof b));
}

static void blocking(void) {
    int p[2];
    char b[70000] = {0};
    pipe(p);
    if (!fork()) {
        close(p[0]);
        usleep(20000), write(p[1], "ab", 2), usleep(20000), write(p[1], "cd", 2);
        _exit(0);
    }
    close(p[1]);
    TRY("waits", read(p[0], b, 10));
    TRY("waits", read(p[0], b, 10));
    TRY("ends", read(p[0], b, 10));
    wait(0);
    pipe(p);
    pid_t child = fork();
    if (!child) {
        close(p[0]);
        _exit(write(p[1], b, 70000) == 70000 && write(p[1], b, 70000) == 70000);
    }
    close(p[1]);
    long total = 0, n;
    while ((n = read(p[0], b, 3000)) > 0) total += n;
    int status;
    waitpid(child, &status, 0);
    SHOW("total %ld child %x\n", total, status);
}

static void interrupted(int signal) {
    (void)signal;
}

static void fifos(void) {
    char b[16];
    TRY("mkfifo", mkfifo("f", 0644));
    TRY("again", mkfifo("f", 0644));
    TRY("write nonblock", open("f", O_WRONLY | O_NONBLOCK));
    int r = OPEN("read nonblock", open("f", O_RDONLY | O_NONBLOCK));
    TRY("no writer", read(r, b, 1));
    struct pollfd f = {r, POLLIN, 0};
    SHOW("poll %d %x\n", poll(&f, 1, 0), f.revents);
    int w = OPEN("write", open("f", O_WRONLY | O_NONBLOCK));
    TRY("writer", read(r, b, 1));
    TRY("write", write(w, "hello", 5));
    int other = OPEN("other reader", open("f", O_RDONLY));
    TRY("read", read(other, b, 3)), TRY("read", read(r, b, 3));
    close(w);
    SHOW("poll %d %x\n", poll(&f, 1, 0), f.revents);
    TRY("end", read(r, b, 1));
    close(r), close(other);
    int both = OPEN("both", open("f", O_RDWR));
    TRY("write", write(both, "x", 1)), TRY("read", read(both, b, 9));
    close(both);
    if (!fork()) {
        usleep(20000);
        w = open("f", O_WRONLY), write(w, "late", 4);
        _exit(0);
    }
    r = OPEN("waits for a writer", open("f", O_RDONLY));
    TRY("read", read(r, b, 9)), TRY("end", read(r, b, 9));
    close(r), wait(0);
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGALRM, &action, 0), ualarm(20000, 0);
    TRY("interrupted", open("f", O_RDONLY));
    struct stat st;
    stat("f", &st), SHOW("%o %ld\n", st.st_mode, (long)st.st_size);
    TRY("truncate", truncate("f", 0));
    TRY("unlink", unlink("f"));
}

/* All pipes together have a limit: then new ones are small, and none grows. Those with CAP_SYS_ADMIN or CAP_SYS_RESOURCE
 * pass it on Linux. */
static void crowd(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    TRY("powerless", syscall(SYS_capset, &head, none));
    int p[2], grown = 0, made = 0;
    for (; grown < 200 && pipe(p) == 0 && fcntl(p[0], F_SETPIPE_SZ, 1 << 20) == 1 << 20; grown++) {}
    SHOW("some grew %d, not all %d\n", grown > 30, grown < 200);
    TRY("grow", fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
    for (; made < 40 && pipe(p) == 0 && fcntl(p[0], F_GETPIPE_SZ) == 65536; made++) {}
    TRY("small", fcntl(p[0], F_GETPIPE_SZ));
    TRY("holds", fcntl(p[1], F_SETFL, O_NONBLOCK));
    char b[70000] = {0};
    TRY("fill", write(p[1], b, sizeof b));
    TRY("grow", fcntl(p[0], F_SETPIPE_SZ, 65536));
    TRY("shrink", fcntl(p[0], F_SETPIPE_SZ, 4096));
}

int main(void) {
    PART(pipes), PART(packets), PART(blocking), PART(fifos), PART(crowd);
    return 0;
}
