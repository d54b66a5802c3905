/* The shape of files in /proc and /sys: digits are replaced, values that machines differ in are left out. */
#include "show.h"
#include <ctype.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

/* Every line with runs of digits as 0, and runs of spaces as one. */
static void shape(const char *name, int lines) {
    char line[4096];
    FILE *f = fopen(name, "r");
    SHOW("== %s%s\n", name, f ? "" : " none");
    while (f && lines-- > 0 && fgets(line, sizeof line, f)) {
        char shown[4096], *to = shown;
        for (char *at = line; *at && *at != '\n';) {
            if (isdigit(*at)) {
                while (isxdigit(*at)) at++;
                *to++ = '0';
            } else if (*at == ' ' || *at == '\t') {
                while (*at == ' ' || *at == '\t') at++;
                *to++ = ' ';
            } else {
                *to++ = *at++;
            }
        }
        *to = 0, SHOW("%s\n", shown);
    }
    if (f) fclose(f);
}

/* The first word of every line. */
static void keys(const char *name) {
    char line[4096];
    FILE *f = fopen(name, "r");
    SHOW("== %s%s:", name, f ? "" : " none");
    while (f && fgets(line, sizeof line, f)) SHOW(" %.*s", (int)strcspn(line, " \t\n"), line);
    SHOW("\n");
    if (f) fclose(f);
}

static void fields(const char *name) {
    char line[8192] = {0};
    int fd = open(name, O_RDONLY), n = 0;
    read(fd, line, sizeof line - 1), close(fd);
    for (char *word = strtok(line, " \n"); word; word = strtok(0, " \n")) n++;
    SHOW("== %s fields %d\n", name, n);
}

static void there(const char *name) {
    struct stat st;
    int result = lstat(name, &st);
    SHOW("== %s %d %o %d\n", name, result, result ? 0 : st.st_mode & (S_IFMT | 0777), result ? 0 : (int)st.st_uid);
}

static void process(void) {
    fields("/proc/self/stat"), fields("/proc/self/statm"), shape("/proc/self/io", 9), shape("/proc/self/comm", 1),
        shape("/proc/self/oom_score_adj", 1);
    shape("/proc/self/loginuid", 0), shape("/proc/self/fdinfo/1", 3), shape("/proc/self/schedstat", 1);
    char *names[] = {"attr", "auxv", "cgroup", "cmdline", "comm", "coredump_filter", "cwd", "environ", "exe", "fd",
        "fdinfo", "io", "limits", "maps", "mem", "mountinfo", "mounts", "mountstats", "net", "ns",
                     "oom_adj", "oom_score", "oom_score_adj", "personality", "root", "smaps", "smaps_rollup", "stack",
                         "stat", "statm", "status", "syscall", "task", "uid_map", "gid_map", "setgroups", "wchan"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/%s", names[i]), SHOW("%s %d\n", names[i], access(path, F_OK));
    }
    there("/proc/self"), there("/proc/thread-self"), there("/proc/1"), there("/proc/self/exe"),
        there("/proc/self/fd/0"), there("/proc/self/mem"), there("/proc/self/task"), there("/proc/999999");
    char b[64] = {0};
    int fd = open("/proc/self/comm", O_RDWR);
    TRY("name", write(fd, "changed-by-file", 15)), lseek(fd, 0, SEEK_SET), read(fd, b, 63), SHOW("%s", b);
    TRY("score", write(open("/proc/self/oom_score_adj", O_WRONLY), "2000", 4)),
        TRY("score", write(open("/proc/self/oom_score_adj", O_WRONLY), "100", 3));
    TRY("unlink", unlink("/proc/self/stat"));
}

static void system_files(void) {
    shape("/proc/loadavg", 1), shape("/proc/uptime", 1), shape("/proc/self/uid_map", 0);
    char *values[] = {"kernel/ostype", "kernel/pid_max", "kernel/shmmni", "kernel/ngroups_max", "kernel/cap_last_cap",
        "fs/pipe-max-size", "fs/nr_open", "fs/mqueue/msg_max", "kernel/random/poolsize", "kernel/msgmnb", "kernel/sem",
        "vm/overcommit_memory",
                      "net/core/somaxconn", "net/ipv4/ip_local_port_range", "net/ipv4/tcp_rmem", "kernel/threads-max",
                          "fs/file-max", "fs/inotify/max_user_watches", "vm/max_map_count", "kernel/hostname",
                          "kernel/random/uuid"};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        char path[96];
        snprintf(path, sizeof path, "/proc/sys/%s", values[i]), there(path);
    }
    there("/proc/cpuinfo"), there("/proc/stat"), there("/proc/version"), there("/proc/vmstat"), there("/proc/mounts"),
        there("/proc/swaps"), there("/proc/partitions"), there("/proc/diskstats"), there("/proc/cmdline"),
        there("/proc/net"), there("/proc/sysvipc/shm"), there("/proc/locks"), there("/proc/devices");
    there("/sys/devices/system/cpu/online"), there("/sys/class/net/lo"), there("/sys/class/net/lo/mtu"),
        there("/sys/kernel/mm/transparent_hugepage/enabled");
    there("/dev/null"), there("/dev/zero"), there("/dev/full"), there("/dev/random"), there("/dev/urandom"),
        there("/dev/tty"), there("/dev/ptmx"), there("/dev/pts"), there("/dev/shm"), there("/dev/fd"),
        there("/dev/stdin"), there("/dev/console"), there("/dev/mqueue");
    char b[8];
    TRY("full", write(open("/dev/full", O_WRONLY), "x", 1)), TRY("zero", read(open("/dev/zero", O_RDONLY), b, 8)),
        TRY("null", read(open("/dev/null", O_RDONLY), b, 8)), TRY("random", read(open("/dev/random", O_RDONLY), b, 8));
}

static void status(void) {
    keys("/proc/self/status");
}

/* A counter of /proc/self/io; what the read of it gave. */
static long counted(const char *name, long *length) {
    char text[512] = {0};
    int fd = open("/proc/self/io", O_RDONLY);
    *length = read(fd, text, sizeof text - 1), close(fd);
    char *at = strstr(text, name);
    return at ? atol(at + strlen(name) + 2) : -1;
}

static void touch(int pages) {
    char *area = mmap(0, pages * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(area, pages * 4096L, MADV_NOHUGEPAGE);
    for (int i = 0; i < pages; i++) area[i * 4096L] = 1;
}

/* Which pages of an area were touched. */
static void pages(void) {
    unsigned long long words[4] = {0}, far;
    char *area = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(area, 4 * 4096, MADV_NOHUGEPAGE), area[4096] = 1, area[3 * 4096] = 1;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    off_t at = (long)area / 4096 * 8;
    SHOW("pagemap %ld:", (long)pread(fd, words, sizeof words, at));
    for (int i = 0; i < 4; i++) SHOW(" %d", (int)(words[i] >> 63));
    TRY("\nin a word", pread(fd, words, 8, at + 4)), TRY("half a word", pread(fd, words, 12, at));
    TRY("no bytes", pread(fd, words, 0, at)), TRY("beyond the end", pread(fd, &far, 8, (1L << 47) / 4096 * 8));
    munmap(area, 4 * 4096), TRY("unmapped", pread(fd, words, 32, at)), SHOW("%llx\n", words[1]);
    TRY("write", write(fd, words, 8)), close(fd);
}

static void counters(void) {
    char b[200];
    int p[2], status;
    long length, other, bytes = counted("rchar", &length);
    pipe(p), write(p[1], b, 100), read(p[0], b, 60);
    SHOW("read %d\n", counted("rchar", &other) - bytes - length == 60);
    long calls = counted("syscw", &length);
    bytes = counted("wchar", &length), write(p[1], b, 7), write(p[1], b, 8), write(-1, b, 9);
    SHOW("written %ld in %ld\n", counted("wchar", &other) - bytes, counted("syscw", &other) - calls);
    int fd = open("/etc/passwd", O_RDONLY);
    bytes = counted("rchar", &length), sendfile(p[1], fd, &(off_t){0}, 20);
    SHOW("sent %d\n", counted("rchar", &other) - bytes - length == 20), close(fd);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before), touch(150), getrusage(RUSAGE_SELF, &after);
    SHOW("faults %d\n", after.ru_minflt - before.ru_minflt >= 150);
    for (int i = 0; i < 5; i++) usleep(1000);
    getrusage(RUSAGE_SELF, &before), SHOW("switches %d\n", before.ru_nvcsw - after.ru_nvcsw >= 5);
    pid_t child = fork();
    if (!child) touch(200), _exit(0);
    wait4(child, &status, 0, &after), SHOW("child's faults %d\n", after.ru_minflt >= 200);
    getrusage(RUSAGE_CHILDREN, &before), SHOW("children's faults %d\n", before.ru_minflt >= 200);
    double load[3];
    SHOW("averages %d\n", getloadavg(load, 3));
}

#define BIG (48L << 20)

static char *fill(void) {
    char *area = mmap(0, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memset(area, 1, BIG);
}

static long high_water(void) {
    char text[4096] = "", *at;
    int fd = open("/proc/self/status", O_RDONLY);
    read(fd, text, sizeof text - 1), close(fd), at = strstr(text, "VmHWM:");
    return at ? atol(at + 6) : -1;
}

/* Whether it is all of a big area, and not much more. */
static int is_big(long kib) {
    return kib >= BIG >> 10 && kib < (BIG >> 10) + 16384;
}

static void *sleeps(void *unused) {
    return pause(), unused;
}

static void gives_back(void) {
    munmap(fill(), BIG);
}

static void empties(void) {
    madvise(fill(), BIG, MADV_DONTNEED);
}

static void keeps(void) {
    fill();
}

static void is_killed(void) {
    fill(), kill(getpid(), SIGKILL);
}

static void has_threads(void) {
    pthread_t thread;
    pthread_create(&thread, 0, sleeps, 0), fill();
}

static void runs_another(void) {
    munmap(fill(), BIG), execl("/proc/self/exe", "small", (char *)0);
}

static void child(const char *what, void (*does)(void)) {
    struct rusage usage;
    pid_t child = fork();
    if (!child) does(), _exit(0);
    wait4(child, 0, 0, &usage), SHOW("%s: %d\n", what, is_big(usage.ru_maxrss));
}

static void nothing(void) {}

/* The most memory that a process had. */
static void peaks(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage), SHOW("no children %ld\n", usage.ru_maxrss), child("nothing", nothing);
    getrusage(RUSAGE_CHILDREN, &usage), SHOW("a small one %d\n", usage.ru_maxrss > 0 && usage.ru_maxrss < 16384);
    child("gives back", gives_back), child("empties", empties), child("keeps", keeps), child("killed", is_killed);
    child("threads", has_threads), child("another", runs_another), child("nothing", nothing);
    getrusage(RUSAGE_CHILDREN, &usage), SHOW("children %d\n", is_big(usage.ru_maxrss));
    munmap(fill(), BIG), getrusage(RUSAGE_SELF, &usage);
    SHOW("own %d %d\n", is_big(usage.ru_maxrss), is_big(high_water()));
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    TRY("clear", write(fd, "5", 1)), SHOW("then %d\n", is_big(high_water())), close(fd);
}

static void put(const char *name, const char *text) {
    char path[64], got[64] = {0};
    snprintf(path, sizeof path, "/proc/self/%s", name);
    int fd = open(path, O_WRONLY);
    errno = 0;
    long n = fd < 0 ? -1 : write(fd, text, strlen(text));
    SHOW("%s <- %s: %ld/%d", name, text, n, n < 0 ? errno : 0), close(fd);
    fd = open(path, O_RDONLY), n = read(fd, got, sizeof got - 1), close(fd);
    if (n > 0 && got[n - 1] == '\n') got[n - 1] = 0;
    SHOW(" shows %s\n", n < 0 ? "nothing" : got);
}

static void settings(void) {
    put("comm", "renamed"), put("comm", "a name that is much too long\n"), put("comm", "");
    put("oom_score_adj", "500"), put("oom_score_adj", " 7 \n"), put("oom_score_adj", "1001"), put("oom_score_adj", "x");
    put("oom_score_adj", "0x10"), put("oom_adj", "15"), put("oom_adj", "-3"), put("oom_adj", "99");
    put("timerslack_ns", "70000"), put("timerslack_ns", "0"), put("timerslack_ns", "-1");
    put("coredump_filter", "0x33"), put("coredump_filter", "7"), put("coredump_filter", "z");
    put("personality", "0");
    TRY("limits", write(open("/proc/self/limits", O_WRONLY), "1", 1));
    TRY("stat", write(open("/proc/self/stat", O_WRONLY), "1", 1));
    TRY("cmdline", write(open("/proc/self/cmdline", O_RDWR), "1", 1));
}

static void mode(const char *path) {
    struct stat s;
    if (stat(path, &s)) SHOW("%s none\n", path);
    else SHOW("%s %o %d %d size %ld\n", path, s.st_mode, s.st_uid, s.st_gid, S_ISDIR(s.st_mode) ? 0 : (long)s.st_size);
}

static void modes(void) {
    mode("/sys"), mode("/sys/devices/system/cpu"), mode("/sys/devices/system/cpu/online");
    mode("/sys/devices/system/cpu/cpu0"), mode("/sys/devices/system/cpu/cpu0/topology/core_id");
    mode("/sys/devices/system/cpu/kernel_max"), mode("/sys/devices/system/node/node0/meminfo");
    mode("/sys/class/net/lo/mtu"), mode("/sys/class/net/lo/address"), mode("/sys/class/net/lo/operstate");
    mode("/sys/class/net/lo/statistics/rx_bytes"), mode("/sys/class/net/lo/flags"), mode("/sys/class/net/lo/ifindex");
    mode("/sys/kernel/mm/transparent_hugepage/enabled"), mode("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    mode("/sys/class"), mode("/sys/block"), mode("/sys/kernel"), mode("/sys/module");
    TRY("write", open("/sys/class/net/lo/address", O_WRONLY)), TRY("make", mkdir("/sys/new", 0755));
    TRY("file", open("/sys/new", O_CREAT | O_WRONLY, 0644)), TRY("remove", unlink("/sys/class/net/lo/mtu"));
    TRY("list", access("/sys/devices/system/cpu", W_OK)), TRY("mode", chmod("/sys/class/net/lo/mtu", 0600));
}

int main(int count, char **arguments) {
    if (count && !strcmp(*arguments, "small")) return 0;
    PART(process), PART(system_files), PART(status), PART(pages), PART(counters), PART(peaks), PART(settings);
    PART(modes);
    return 0;
}
