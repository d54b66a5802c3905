/* Access control lists (acl(5)): set, shown, followed by modes, inherited, and what they allow. */
#include "show.h"
#include <grp.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
enum { U = 1, USER = 2, G = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct list {
    uint32_t version;
    struct {
        uint16_t tag, access;
        uint32_t id;
    } entries[8];
};

/* Triples of tag, access and id; ends with a tag of 0. */
static int set(const char *path, const char *name, const int *t) {
    struct list l = {2};
    int n = 0;
    for (; t[n * 3]; n++) l.entries[n].tag = t[n * 3], l.entries[n].access = t[n * 3 + 1], l.entries[n].id = t[n * 3 + 2];
    return setxattr(path, name, &l, 4 + n * 8, 0);
}
#define SET(path, name, ...) set(path, name, (int[]){__VA_ARGS__, 0})

static void shown(const char *path) {
    struct list l;
    struct stat st;
    char names[256];
    lstat(path, &st), SHOW("  %s %o:", path, st.st_mode);
    for (int kind = 0; kind < 2; kind++) {
        ssize_t n = getxattr(path, kind ? DEFAULT : ACCESS, &l, sizeof l);
        SHOW("%s", kind ? " default" : " own");
        if (n < 0) SHOW(" error %d", errno);
        for (int e = 0; n > 0 && e < (n - 4) / 8; e++)
            SHOW(" %x=%x/%d", l.entries[e].tag, l.entries[e].access, (int)l.entries[e].id);
    }
    SHOW(" names %d\n", (int)listxattr(path, names, sizeof names));
}

static void put(const char *name, mode_t mode) {
    close(open(name, O_CREAT | O_WRONLY, mode));
}

static void setting(void) {
    put("f", 0644), mkdir("d", 0755), symlink("f", "s"), shown("f");
    TRY("list", SET("f", ACCESS, U, 6, -1, USER, 7, 1000, G, 4, -1, MASK, 6, -1, OTHER, 0, -1)), shown("f");
    TRY("as a mode", SET("f", ACCESS, U, 6, -1, G, 4, -1, OTHER, 4, -1)), shown("f");
    TRY("mask only", SET("f", ACCESS, U, 6, -1, G, 7, -1, MASK, 4, -1, OTHER, 4, -1)), shown("f");
    TRY("remove", removexattr("f", ACCESS)), TRY("again", removexattr("f", ACCESS)), shown("f");
    TRY("order", SET("f", ACCESS, G, 6, -1, U, 4, -1, OTHER, 4, -1));
    TRY("no mask", SET("f", ACCESS, U, 6, -1, USER, 7, 1000, G, 4, -1, OTHER, 0, -1));
    TRY("no other", SET("f", ACCESS, U, 6, -1, G, 4, -1)), TRY("twice", SET("f", ACCESS, U, 6, -1, U, 6, -1, G, 4, -1, OTHER, 4, -1));
    TRY("permission", SET("f", ACCESS, U, 9, -1, G, 4, -1, OTHER, 4, -1)), TRY("tag", SET("f", ACCESS, U, 6, -1, G, 4, -1, 64, 4, -1));
    TRY("version", setxattr("f", ACCESS, "\1\0\0\0", 4, 0)), TRY("short", setxattr("f", ACCESS, "\2\0\0", 3, 0)),
        TRY("length", setxattr("f", ACCESS, "\2\0\0\0x", 5, 0)), TRY("empty", setxattr("f", ACCESS, "\2\0\0\0", 4, 0)), TRY("none", setxattr("f", ACCESS, "", 0, 0));
    TRY("default of a file", SET("f", DEFAULT, U, 6, -1, G, 4, -1, OTHER, 4, -1)), TRY("none of a file", removexattr("f", DEFAULT));
    TRY("default", SET("d", DEFAULT, U, 7, -1, USER, 5, 1000, G, 5, -1, MASK, 5, -1, OTHER, 0, -1)), shown("d");
    TRY("link", lsetxattr("s", ACCESS, "\2\0\0\0", 4, 0)), TRY("of a link", lgetxattr("s", ACCESS, 0, 0));
    TRY("proc", getxattr("/proc/version", ACCESS, 0, 0)), TRY("room", getxattr("d", DEFAULT, (char[4]){0}, 4));
    if (!fork()) {
        setresuid(1000, 1000, 1000);
        TRY("another's", SET("f", ACCESS, U, 6, -1, G, 4, -1, OTHER, 4, -1)), TRY("remove", removexattr("f", ACCESS)),
            TRY("see", getxattr("d", DEFAULT, 0, 0));
        _exit(0);
    }
    wait(0);
}

static void modes(void) {
    put("m", 0640), SET("m", ACCESS, U, 6, -1, USER, 7, 1000, G, 5, -1, MASK, 7, -1, OTHER, 0, -1), shown("m");
    TRY("chmod", chmod("m", 0741)), shown("m"), TRY("chmod", chmod("m", 0600)), shown("m"), TRY("chown", chown("m", 5, 6)), shown("m");
}

static void inheriting(void) {
    mkdir("i", 0755), SET("i", DEFAULT, U, 7, -1, USER, 6, 1000, G, 5, -1, MASK, 7, -1, OTHER, 1, -1);
    umask(077);
    put("i/f", 0666), shown("i/f"), put("i/private", 0600), shown("i/private"), mkdir("i/d", 0777), shown("i/d");
    mkfifo("i/p", 0666), shown("i/p"), symlink("f", "i/s"), put("i/d/deep", 0666), shown("i/d/deep");
    int fd = open("i", O_TMPFILE | O_RDWR, 0666);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd), linkat(AT_FDCWD, path, AT_FDCWD, "i/t", AT_SYMLINK_FOLLOW), shown("i/t");
    mkdir("plain", 0755), SET("plain", DEFAULT, U, 7, -1, G, 5, -1, OTHER, 4, -1), put("plain/f", 0666), shown("plain/f");
    umask(0);
}

static void as(int uid, int gid, int group, const char *path) {
    if (!fork()) {
        gid_t groups[] = {group};
        setgroups(1, groups), setresgid(gid, gid, gid), setresuid(uid, uid, uid);
        SHOW("  %d %d %d:", uid, gid, group);
        for (int how = 1; how < 8; how++) SHOW(" %d", access(path, how) ? errno : 0);
        int fd = open(path, O_RDWR);
        SHOW(" open %d\n", fd < 0 ? errno : 0);
        _exit(0);
    }
    wait(0);
}

static void everybody(const char *path) {
    as(1000, 50, 50, path), as(1001, 50, 50, path), as(1002, 60, 60, path), as(1003, 50, 60, path), as(1004, 70, 70, path),
        as(5, 1, 1, path), as(0, 0, 0, path);
}

static void allowing(void) {
    put("a", 0640), chown("a", 5, 50);
    SET("a", ACCESS, U, 6, -1, USER, 7, 1000, USER, 0, 1001, G, 4, -1, GROUP, 2, 60, MASK, 6, -1, OTHER, 1, -1), everybody("a");
    chmod("a", 0604), everybody("a"), chmod("a", 0674), everybody("a");
    SET("a", ACCESS, U, 0, -1, G, 0, -1, GROUP, 7, 70, MASK, 7, -1, OTHER, 0, -1), everybody("a");
    mkdir("b", 0700), put("b/f", 0644), SET("b", ACCESS, U, 7, -1, USER, 1, 1000, G, 0, -1, GROUP, 7, 60, MASK, 7, -1, OTHER, 0, -1);
    everybody("b/f");
    if (!fork()) {
        gid_t groups[] = {60};
        setgroups(1, groups), setresgid(60, 60, 60), setresuid(1002, 1002, 1002);
        TRY("make", close(open("b/new", O_CREAT | O_WRONLY, 0600))), TRY("remove", unlink("b/f")), TRY("chdir", chdir("b"));
        _exit(0);
    }
    wait(0);
}

static void all(void) {
    umask(0), mkdir("acls", 0755), chdir("acls");
    PART(setting), PART(modes), PART(inheriting), PART(allowing);
}

int main(void) {
    all();
    SHOW("in memory %d\n", chdir("/dev/shm")), all();
    return 0;
}
