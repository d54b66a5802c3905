/* What the files of a process tell, where machines agree. Prints the same on every Linux. */
#include "show.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static char text[1 << 20];

static long load(const char *name) {
    int fd = open(name, O_RDONLY);
    long all = 0, len;
    while ((len = read(fd, text + all, sizeof text - 1 - all)) > 0) all += len;
    text[all] = 0, close(fd);
    return all;
}

/* Strings behind each other. */
static void strings(const char *name) {
    long len = load(name);
    for (long at = 0; at < len; at++) text[at] = text[at] ? text[at] : '|';
    SHOW("%s %s\n", name, text);
}

static void link_of(const char *name) {
    char to[256] = "";
    TRY(name, readlink(name, to, sizeof to - 1)), SHOW("%s\n", to);
}

static void strings_and_links(void) {
    char *arguments[] = {"this", "again", "two words", "", 0}, *variables[] = {"A=1", "EMPTY=", 0};
    char self[256] = "";
    readlink("/proc/self/exe", self, sizeof self - 1);
    if (!fork()) execve(self, arguments, variables), _exit(9);
    wait(0), mkdir("inside", 0700), chdir("inside"), link_of("/proc/self/cwd"), rmdir("../inside");
    link_of("/proc/self/cwd"), link_of("/proc/self/root"), link_of("/proc/self/exe"), link_of("/proc/self/nothing");
    int fd = open("/dev/null", O_RDONLY);
    char name[64];
    sprintf(name, "/proc/self/fd/%d", fd), link_of(name), close(fd), TRY("closed", readlink(name, self, 9));
}

static void again(void) {
    unsigned long pairs[64];
    strings("/proc/self/cmdline"), strings("/proc/self/environ"), load("/proc/self/auxv");
    memcpy(pairs, text, sizeof pairs);
    for (int i = 0; i < 62 && pairs[i]; i += 2) {
        unsigned long key = pairs[i];
        if (key == AT_PAGESZ || key == AT_ENTRY || key == AT_PHDR || key == AT_UID || key == AT_RANDOM)
            SHOW("auxv %lu %d\n", key, getauxval(key) == pairs[i + 1]);
    }
    prctl(PR_SET_NAME, "new name"), load("/proc/self/comm"), SHOW("%s", text);
    exit(0);
}

/* The line of maps or smaps with an address, and those behind it. */
static char *line_of(const char *name, void *address) {
    char start[32];
    load(name), sprintf(start, "%lx-", (long)address);
    char *line = strstr(text, start);
    return line ? line : "none";
}

static long kib(const char *part, const char *key) {
    char *at = strstr(part, key);
    return at ? atol(at + strlen(key)) : -1;
}

/* What is told of a mapping of its own within what was one before. */
static void part(const char *what, char *address) {
    char *line = line_of("/proc/self/smaps", address), *flags = strstr(line, "\nVmFlags:");
    /* That of MLOCK_ONFAULT is younger than others. */
    char *young = flags ? strstr(flags, " lf ") : 0;
    if (young && young < strchr(flags + 1, '\n')) memmove(young, young + 3, strlen(young + 3) + 1);
    SHOW("%s: size %ld rss %ld pss %ld", what, kib(line, "\nSize:"), kib(line, "\nRss:"), kib(line, "\nPss:"));
    SHOW(" dirty %ld anonymous %ld", kib(line, "\nPrivate_Dirty:"), kib(line, "\nAnonymous:"));
    SHOW(" locked %ld%.*s\n", kib(line, "\nLocked:"), flags ? (int)strcspn(flags + 9, "\n") : 0, flags + 9);
}

static void parts(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all);
    char *area = mmap(0, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4 * 4096;
    mprotect(area, 48 * 4096, PROT_READ | PROT_WRITE), madvise(area, 48 * 4096, MADV_NOHUGEPAGE);
    for (int page = 0; page < 13; page++) area[page * 4096] = 1;
    area[40 * 4096] = 1, part("one", area);
    TRY("lock", mlock(area + 8 * 4096, 5 * 4096)), TRY("on fault", mlock2(area + 36 * 4096, 8 * 4096, MLOCK_ONFAULT));
    part("before", area), part("locked", area + 8 * 4096), part("empty", area + 13 * 4096);
    part("on fault", area + 36 * 4096), part("behind", area + 44 * 4096);
    madvise(area + 2 * 4096, 4096, MADV_DONTFORK), part("not forked", area + 2 * 4096), part("rest", area + 3 * 4096);
    load("/proc/self/smaps_rollup"), SHOW("rolled up %ld\n", kib(text, "\nLocked:"));
    madvise(area + 8 * 4096, 5 * 4096, MADV_DONTDUMP);
    if (!fork()) part("shared", area + 8 * 4096), part("more", area), _exit(0);
    /* Whoever ended may share pages for a moment longer. */
    wait(0), memset(area + 3 * 4096, 2, 10 * 4096);
    TRY("unlock", munlockall()), part("again", area + 3 * 4096);
    load("/proc/self/smaps_rollup"), SHOW("rolled up %ld\n", kib(text, "\nLocked:"));
}

static void mappings(void) {
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 5 * 4096);
    char *file = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096), perms[8], name[256] = "";
    char *own = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long offset;
    sscanf(line_of("/proc/self/maps", file), "%*s %7s %lx %*s %*s %255s", perms, &offset, name);
    SHOW("file %s %lx %s\n", perms, offset, strrchr(name, '/')), unlink("mapped"), *name = 0;
    char *line = line_of("/proc/self/maps", file);
    SHOW("deleted %d\n", strstr(line, "(deleted)") && strstr(line, "(deleted)") < strchr(line, '\n'));
    mprotect(own, 16 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC), madvise(own, 16 * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < 4; i++) own[i * 4096] = 1;
    char *part = line_of("/proc/self/smaps", own);
    sscanf(part, "%*s %7s", perms), SHOW("own %s size %ld rss %ld\n", perms, kib(part, "\nSize:"), kib(part, "\nRss:"));
    SHOW("dirty %ld anonymous %ld used %ld\n", kib(part, "\nPrivate_Dirty:"), kib(part, "\nAnonymous:"),
        kib(part, "\nReferenced:"));
    int clear = open("/proc/self/clear_refs", O_WRONLY);
    TRY("clear", write(clear, "1\n", 2)), TRY("six", write(clear, "6", 1)), TRY("word", write(clear, "x", 1));
    TRY("peak", write(clear, "5", 1)), TRY("changes", write(clear, "4", 1));
    part = line_of("/proc/self/smaps", own), SHOW("used %ld of %ld\n", kib(part, "\nReferenced:"), kib(part, "\nRss:"));
    char *kinds[] = {"[heap]", "[stack]", "[vdso]", "[vvar"};
    malloc(1000), load("/proc/self/maps");
    for (int i = 0; i < 4; i++) SHOW("%s %d\n", kinds[i], strstr(text, kinds[i]) != 0);
    SHOW("rolled up %d\n", load("/proc/self/smaps_rollup") > 0 && strstr(text, "[rollup]") && kib(text, "\nRss:") > 0);
}

/* Keys of what is told of an open file beyond what all files have. */
static void about(const char *what, int fd) {
    char name[64];
    sprintf(name, "/proc/self/fdinfo/%d", fd), load(name), SHOW("%s:", what);
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) SHOW(" %.*s", (int)strcspn(line, ": "), line);
    SHOW("\n");
}

static void open_files(void) {
    int poll = epoll_create1(0), pair[2];
    struct epoll_event event = {.events = EPOLLIN};
    pipe(pair), epoll_ctl(poll, EPOLL_CTL_ADD, pair[0], &event);
    about("pipe", pair[0]), about("epoll", poll), about("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
    int fd = open("locked", O_RDWR | O_CREAT | O_CLOEXEC, 0600), event_fd = eventfd(5, 0);
    struct flock lock = {.l_type = F_WRLCK};
    fcntl(fd, F_SETLK, &lock), write(fd, "123", 3), about("file", fd);
    char name[64], flags[32];
    long at;
    sprintf(name, "/proc/self/fdinfo/%d", fd), load(name), sscanf(text, "pos: %ld flags: %31s", &at, flags);
    SHOW("at %ld flags %s\n", at, flags), sprintf(name, "/proc/self/fdinfo/%d", event_fd), load(name);
    SHOW("count %d\n", strstr(text, "eventfd-count:                5") != 0);
}

static volatile int ready;

static void *sleeps(void *unused) {
    prctl(PR_SET_NAME, "sleeper"), __sync_fetch_and_add(&ready, 1), pause();
    return unused;
}

static int entries(const char *name) {
    int n = 0;
    DIR *directory = opendir(name);
    while (directory && readdir(directory)) n++;
    if (directory) closedir(directory);
    return n - 2;
}

static void threads(void) {
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) pthread_create(&thread[i], 0, sleeps, 0);
    while (ready < 3) usleep(1000);
    SHOW("tasks %d\n", entries("/proc/self/task"));
    int named = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        char name[300];
        sprintf(name, "/proc/self/task/%s/comm", task->d_name), *text = 0, load(name);
        named += !strcmp(text, "sleeper\n");
    }
    load("/proc/self/status"), SHOW("named %d, told %ld\n", named, kib(text, "\nThreads:"));
    char *links[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "user", "uts"};
    for (int i = 0; i < 8; i++) {
        char name[64], to[64] = "";
        sprintf(name, "/proc/self/ns/%s", links[i]), readlink(name, to, 63);
        SHOW("%s %.*s\n", links[i], (int)strcspn(to, "0123456789"), to);
    }
}

static void lines(void) {
    struct rlimit files = {100, 200};
    setrlimit(RLIMIT_NOFILE, &files), load("/proc/self/limits");
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        if (strstr(line, "open files")) SHOW("%s\n", line);
        else SHOW("%.25s\n", line);
    }
    int id, parent, group, session;
    char name[64], state;
    load("/proc/self/stat"), sscanf(text, "%d (%[^)]) %c %d %d %d", &id, name, &state, &parent, &group, &session);
    SHOW("%d %s %c %d %d %d\n", id == getpid(), name, state, parent == getppid(), group == getpgrp(),
        session == getsid(0));
}

/* What several places tell of the machine. */
static void machine(void) {
    struct sysinfo info;
    cpu_set_t may;
    int processors = 0;
    sysinfo(&info), sched_getaffinity(0, sizeof may, &may), load("/proc/meminfo");
    SHOW("memory %d\n", kib(text, "MemTotal:") == (long)(info.totalram * info.mem_unit >> 10));
    load("/proc/cpuinfo");
    for (char *at = text; (at = strstr(at, "processor\t:")); at++) processors++;
    SHOW("processors %d %d\n", processors == CPU_COUNT(&may), processors == sysconf(_SC_NPROCESSORS_ONLN));
    load("/proc/vmstat");
    long before = kib(text, "\npgfault");
    char *area = mmap(0, 200 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(area, 200 * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < 200; i++) area[i * 4096] = 1;
    load("/proc/vmstat"), SHOW("faults %d\n", kib(text, "\npgfault") - before >= 200);
    mkdir("proc", 0700), TRY("mount", mount("proc", "proc", "proc", 0, "subset=pid"));
    TRY("self", access("proc/self/stat", F_OK)), TRY("first", access("proc/1/stat", F_OK));
    TRY("system", access("proc/meminfo", F_OK)), TRY("settings", access("proc/sys", F_OK));
    TRY("end", umount("proc")), TRY("wrong", mount("proc", "proc", "proc", 0, "subset=all"));
}

int main(int count, char **arguments) {
    if (count > 1 && !strcmp(arguments[1], "again")) again();
    PART(strings_and_links), PART(mappings), PART(parts), PART(open_files), PART(threads), PART(lines), PART(machine);
    return 0;
}
