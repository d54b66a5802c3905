/* Calls and flags that no other program here makes. Prints the same on every Linux. */
#include "show.h"
#include <mqueue.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* What only privileged processes may. */
static void refused(void) {
    struct timespec now;
    struct timex clock = {.modes = ADJ_OFFSET};
    clock_gettime(CLOCK_REALTIME, &now);
    TRY("user", setresuid(1000, 1000, 1000));
    TRY("settimeofday", syscall(SYS_settimeofday, 0, 0)), TRY("clock_settime", clock_settime(CLOCK_REALTIME, &now));
    TRY("clock_adjtime", clock_adjtime(CLOCK_REALTIME, &clock)), TRY("adjtimex", adjtimex(&clock));
    clock.modes = 0, SHOW("look %d\n", clock_adjtime(CLOCK_REALTIME, &clock) >= 0);
    TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0)), TRY("vhangup", vhangup());
    TRY("sethostname", sethostname("x", 1)), TRY("setdomainname", setdomainname("x", 1));
    TRY("chroot", chroot("/"));
    TRY("mount", mount("none", "/", "tmpfs", 0, 0)), TRY("umount", umount2("/", 0));
    TRY("pivot_root", syscall(SYS_pivot_root, "/", "/")), TRY("syslog", syscall(SYS_syslog, 5, 0, 0));
    TRY("setns", setns(-1, 0)), TRY("setns", setns(0, CLONE_NEWNET));
}

static void groups(void) {
    gid_t real, effective, saved;
    TRY("setregid", setregid(5, 6)), TRY("getresgid", getresgid(&real, &effective, &saved));
    SHOW("%d %d %d\n", real, effective, saved);
    TRY("setregid", setregid(-1, 7)), getresgid(&real, &effective, &saved), SHOW("%d %d %d\n", real, effective, saved);
    TRY("pointer", syscall(SYS_getresgid, 8, &effective, &saved));
}

static void names(void) {
    struct stat st;
    TRY("mknodat", mknodat(AT_FDCWD, "fifo", S_IFIFO | 0640, 0)), TRY("mknodat", mknodat(AT_FDCWD, "file", 0600, 0));
    TRY("again", mknodat(AT_FDCWD, "file", S_IFREG | 0600, 0)), stat("fifo", &st), SHOW("%o\n", st.st_mode);
    TRY("renameat", syscall(SYS_renameat, AT_FDCWD, "fifo", AT_FDCWD, "pipe")), TRY("gone", access("fifo", F_OK));
    struct utimbuf then = {100, 200};
    struct timeval other[2] = {{300, 5}, {400, 6}}, wrong[2] = {{0, -1}, {0, 0}};
    TRY("utime", utime("file", &then)), stat("file", &st), SHOW("%ld %ld\n", st.st_atime, st.st_mtime);
    TRY("futimesat", futimesat(AT_FDCWD, "file", other)), stat("file", &st);
    SHOW("%ld.%ld %ld.%ld\n", st.st_atime, st.st_atim.tv_nsec, st.st_mtime, st.st_mtim.tv_nsec);
    TRY("wrong", futimesat(AT_FDCWD, "file", wrong)), TRY("now", utime("file", 0)), TRY("none", utime("none", 0));
    int fd = open("file", O_RDWR);
    char list[64] = "";
    TRY("set", fsetxattr(fd, "user.a", "1", 1, 0)), TRY("list", flistxattr(fd, list, sizeof list)), SHOW("%s\n", list);
    TRY("remove", lremovexattr("file", "user.a")), TRY("again", lremovexattr("file", "user.a"));
    struct iovec two[] = {{"ab", 2}, {"cde", 3}};
    TRY("pwritev", pwritev(fd, two, 2, 4)), TRY("end", lseek(fd, 0, SEEK_END)), TRY("many", pwritev(fd, two, -1, 0));
    TRY("back", pwritev(fd, two, 2, -1));
}

static siginfo_t got;

static void note(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context, got = *info;
}

static void signals(void) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE, .si_value.sival_int = 17};
    sigaction(SIGRTMIN, &action, 0);
    TRY("tgsigqueue", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN, &info));
    SHOW("code %d value %d\n", got.si_code, got.si_value.sival_int);
    info.si_code = SI_USER, TRY("forged", syscall(SYS_rt_tgsigqueueinfo, getppid(), getppid(), SIGRTMIN, &info));
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5};
    event._sigev_un._tid = gettid();
    timer_t timer;
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    TRY("timer", timer_create(CLOCK_MONOTONIC, &event, &timer)), got.si_code = 0;
    sigset_t set, old;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN), sigprocmask(SIG_BLOCK, &set, &old);
    timer_settime(timer, 0, &often, 0), usleep(30000), TRY("wait", sigwaitinfo(&set, &info) == SIGRTMIN);
    SHOW("code %d value %d missed %d\n", info.si_code, info.si_value.sival_int, timer_getoverrun(timer) > 5);
    TRY("delete", timer_delete(timer)), TRY("overrun", timer_getoverrun(timer));
    event._sigev_un._tid = 1 << 22, TRY("nobody", timer_create(CLOCK_MONOTONIC, &event, &timer));
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536, .ss_flags = 1U << 31}, is;
    TRY("autodisarm", sigaltstack(&stack, 0)), sigaltstack(0, &is), SHOW("flags %x\n", is.ss_flags);
}

static void children(void) {
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, counted = {.sa_sigaction = note};
    sigaction(SIGCHLD, &action, 0);
    if (!fork()) _exit(3);
    TRY("none is left", wait(0)), counted.sa_flags = SA_SIGINFO | SA_NOCLDSTOP, sigaction(SIGCHLD, &counted, 0);
    got.si_code = 0;
    pid_t child = fork();
    int status;
    if (!child) raise(SIGSTOP), _exit(4);
    TRY("stops", waitpid(child, &status, WUNTRACED) == child), SHOW("told %d\n", got.si_code);
    kill(child, SIGCONT), TRY("ends", waitpid(child, &status, 0) == child), SHOW("told %d\n", got.si_code);
    SHOW("tid %d\n", (int)syscall(SYS_set_tid_address, 0) == gettid());
    int ends[2];
    char byte;
    pipe2(ends, O_NONBLOCK), child = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (!child) usleep(20000), write(ends[1], "x", 1), _exit(5);
    TRY("has run", read(ends[0], &byte, 1)), waitpid(child, &status, 0), SHOW("status %x\n", status);
    if (!fork()) {
        int fd = open("/bin/true", O_RDONLY);
        fexecve(fd, (char *[]){"true", 0}, (char *[]){0}), _exit(99);
    }
    wait(&status), SHOW("fexecve %x\n", status);
    SHOW("vdso %d page %ld random %d secure %ld tick %ld\n", getauxval(AT_SYSINFO_EHDR) != 0, getauxval(AT_PAGESZ),
        getauxval(AT_RANDOM) != 0, getauxval(AT_SECURE), getauxval(AT_CLKTCK));
}

static void memory(void) {
    long page = 4096;
    char *area = mmap(0, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char there[8];
    madvise(area, 8 * page, MADV_NOHUGEPAGE), TRY("populate", madvise(area, 4 * page, MADV_POPULATE_WRITE));
    TRY("core", mincore(area, 8 * page, there));
    SHOW("%d%d%d%d\n", there[0] & 1, there[3] & 1, there[4] & 1, there[7] & 1);
    TRY("read", madvise(area + 4 * page, 4 * page, MADV_POPULATE_READ));
    TRY("hole", madvise((void *)(1L << 40), page, MADV_POPULATE_READ));
    mprotect(area, page, PROT_READ), TRY("refused", madvise(area, page, MADV_POPULATE_WRITE));
    TRY("onfault", mlockall(MCL_CURRENT | MCL_ONFAULT)), TRY("alone", mlockall(MCL_ONFAULT)), munlockall();
    char *down = mmap(0, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    SHOW("grows %d\n", down != MAP_FAILED), down[0] = 1;
    TRY("shared", (long)mmap(0, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8}, set = {.mq_flags = O_NONBLOCK}, was;
    mqd_t queue = mq_open("/seldom", O_CREAT | O_RDWR, 0600, &attr);
    TRY("setattr", mq_setattr(queue, &set, &was)), TRY("getattr", mq_getattr(queue, &was)), mq_unlink("/seldom");
    SHOW("%ld %ld %ld %ld\n", was.mq_flags, was.mq_maxmsg, was.mq_msgsize, was.mq_curmsgs);
    struct timespec tai, real;
    TRY("tai", clock_gettime(CLOCK_TAI, &tai)), clock_gettime(CLOCK_REALTIME, &real);
    SHOW("apart %d\n", labs(tai.tv_sec - real.tv_sec) < 60);
}

static void events(void) {
    int pair[2], notify = inotify_init1(IN_NONBLOCK), poll = epoll_create1(0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct epoll_event event = {.events = EPOLLRDHUP}, told = {0};
    epoll_ctl(poll, EPOLL_CTL_ADD, pair[0], &event), SHOW("quiet %d\n", epoll_wait(poll, &told, 1, 0));
    shutdown(pair[1], SHUT_WR), TRY("half", epoll_wait(poll, &told, 1, 0)), SHOW("%x\n", told.events);
    mkdir("watched", 0700), close(creat("watched/a", 0600)), inotify_add_watch(notify, "watched", IN_MOVE | IN_ATTRIB);
    rename("watched/a", "watched/b"), chmod("watched/b", 0640);
    char text[512];
    long len = read(notify, text, sizeof text);
    for (long at = 0; at < len;) {
        struct inotify_event *one = (void *)(text + at);
        SHOW("%x %s %d\n", one->mask, one->name, one->cookie != 0), at += sizeof *one + one->len;
    }
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigaction(SIGIO, &action, 0), socketpair(AF_UNIX, SOCK_STREAM, 0, pair), got.si_signo = 0;
    fcntl(pair[0], F_SETOWN, getpid()), TRY("async", fcntl(pair[0], F_SETFL, O_ASYNC));
    write(pair[1], "x", 1), usleep(1000);
    SHOW("told %d, flags %d\n", got.si_signo == SIGIO, (fcntl(pair[0], F_GETFL) & O_ASYNC) != 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    PART(refused), PART(groups), PART(names), PART(signals), PART(children), PART(memory), PART(events);
    return 0;
}
