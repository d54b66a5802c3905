/* What a program gains by being started: file capabilities; and where it lies. Prints the same on every Linux. */
#include "show.h"
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

static void copy(const char *to) {
    char b[65536];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    for (long n; (n = read(in, b, sizeof b)) > 0;) write(out, b, n);
    fchmod(out, 0755), close(in), close(out);
}

static int showing(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    syscall(SYS_capget, &head, sets);
    SHOW("effective %x permitted %x inheritable %x ambient %d secure %ld dumpable %d\n", sets[0].effective,
         sets[0].permitted, sets[0].inheritable, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 10, 0, 0),
         getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE));
    return 0;
}

static void started(const char *what, const char *path, void (*before)(void)) {
    SHOW("%s: ", what);
    if (!fork()) {
        setresgid(1000, 1000, 1000), setresuid(1000, 1000, 1000), before();
        execl(path, "x", "show", (char *)0), SHOW("errno %d\n", errno), _exit(1);
    }
    int status;
    wait(&status), SHOW("-> %x\n", status);
}

static void nothing(void) {
}
static void no_new(void) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void give(const char *path, unsigned permitted, unsigned inheritable, unsigned effective) {
    struct vfs_cap_data data = {VFS_CAP_REVISION_2 | effective, {{permitted, inheritable}}};
    TRY("give", setxattr(path, "security.capability", &data, XATTR_CAPS_SZ_2, 0));
}

/* CAP_CHOWN, CAP_NET_BIND_SERVICE and CAP_SYS_TIME, which containers do not have. */
#define CHOWN 1
#define BIND (1 << 10)
#define TIME (1 << 25)

static void capabilities(void) {
    copy("c"), started("none", "./c", nothing);
    give("c", BIND | CHOWN, 0, VFS_CAP_FLAGS_EFFECTIVE), started("effective", "./c", nothing);
    started("no new privileges", "./c", no_new);
    give("c", BIND, 0, 0), started("permitted", "./c", nothing);
    give("c", 0, BIND, 0), started("inheritable", "./c", nothing);
    give("c", BIND | TIME, 0, VFS_CAP_FLAGS_EFFECTIVE), prctl(PR_CAPBSET_DROP, 25, 0, 0, 0);
    started("out of bounds", "./c", nothing), give("c", BIND | TIME, 0, 0), started("cut to bounds", "./c", nothing);
    struct vfs_cap_data data;
    SHOW("there %zd\n", getxattr("c", "security.capability", &data, sizeof data));
    /* It ran, and has ended. */
    int fd = OPEN("to write", open("c", O_WRONLY | O_APPEND));
    write(fd, "", 1), close(fd);
    TRY("written to", getxattr("c", "security.capability", &data, sizeof data));
    give("c", BIND, 0, 0), chown("c", 5, 5);
    TRY("given away", getxattr("c", "security.capability", &data, sizeof data));
    char bad[20] = {9};
    TRY("bad", setxattr("c", "security.capability", bad, 20, 0));
    TRY("short", setxattr("c", "security.capability", bad, 4, 0));
    if (!fork()) {
        setresuid(1000, 1000, 1000), TRY("not allowed", setxattr("c", "security.capability", &data, 20, 0)), _exit(0);
    }
    wait(0);
}

/* Who was told of its end can write the program. */
static void rewriting(void) {
    int refused = 0;
    copy("d");
    for (int n = 0; n < 50; n++) {
        if (!(n & 1 ? vfork() : fork())) execl("./d", "x", "end", (char *)0), _exit(1);
        wait(0);
        int fd = open("d", O_WRONLY | O_APPEND);
        refused += fd < 0, close(fd);
    }
    SHOW("refused %d\n", refused);
}

static int telling(void) {
    int local;
    void *mapped = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW("%p %p %p", (void *)&local, mapped, sbrk(0));
    return 0;
}

/* Where a new program's stack, mappings and heap lie. */
static void places(unsigned long at[3]) {
    int p[2];
    char b[128] = {0};
    pipe(p);
    if (!fork()) dup2(p[1], 1), execl("/proc/self/exe", "x", "tell", (char *)0), _exit(1);
    close(p[1]), wait(0), read(p[0], b, sizeof b - 1), close(p[0]);
    sscanf(b, "%lx %lx %lx", &at[0], &at[1], &at[2]);
}

static void randomness(void) {
    unsigned long one[3], two[3];
    places(one), places(two);
    SHOW("differ %d %d %d\n", one[0] != two[0], one[1] != two[1], one[2] != two[2]);
    personality(ADDR_NO_RANDOMIZE), places(one), places(two);
    SHOW("differ %d %d %d\n", one[0] != two[0], one[1] != two[1], one[2] != two[2]);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "end")) return 0;
    if (argc > 1) return strcmp(argv[1], "show") ? telling() : showing();
    chmod(".", 0777), PART(capabilities), PART(rewriting), PART(randomness);
    return 0;
}
