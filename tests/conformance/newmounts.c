/* Mounts by descriptors: fsopen and what goes with it, open_tree, move_mount, mount_setattr, statmount, listmount. */
#include "mountinfo.h"
#include <linux/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#define MNT_DETACH 2
int umount2(const char *, int);
int umount(const char *);
int mount(const char *, const char *, const char *, unsigned long, const void *);

#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif
#define TREE(fd, path, flags) syscall(SYS_open_tree, fd, path, flags)
#define FSOPEN(name, flags) syscall(SYS_fsopen, name, flags)
#define CONFIG(fd, cmd, key, value, aux) syscall(SYS_fsconfig, fd, cmd, key, value, aux)
#define STRING(fd, key, value) CONFIG(fd, FSCONFIG_SET_STRING, key, value, 0)
#define CREATE(fd) CONFIG(fd, FSCONFIG_CMD_CREATE, 0, 0, 0)
#define FSMOUNT(fd, flags, attr) syscall(SYS_fsmount, fd, flags, attr)
#define MOVE(from, path, to, to_path, flags) syscall(SYS_move_mount, from, path, to, to_path, flags)
#define SETATTR(fd, path, flags, attr, size) syscall(SYS_mount_setattr, fd, path, flags, attr, size)
#define HERE AT_FDCWD
#define EMPTY MOVE_MOUNT_F_EMPTY_PATH

/* The messages that a descriptor kept. */
static void told(int fd) {
    char text[256];
    for (;;) {
        ssize_t n = read(fd, text, sizeof text - 1);
        if (n < 0) {
            SHOW("  end %d\n", errno);
            return;
        }
        text[n] = 0, SHOW("  told %zd: %s%s", n, text, n && text[n - 1] == '\n' ? "" : "|\n");
    }
}

static void making(void) {
    mkdir("a", 0755), mkdir("b", 0755);
    int fd = OPEN("fsopen", FSOPEN("tmpfs", FSOPEN_CLOEXEC)), m;
    SHOW("cloexec %d\n", fcntl(fd, F_GETFD)), told(fd);
    TRY("size", STRING(fd, "size", "1m")), TRY("mode", STRING(fd, "mode", "0750"));
    TRY("source", STRING(fd, "source", "thing")), TRY("twice", STRING(fd, "source", "thing")), told(fd);
    TRY("unknown", STRING(fd, "nonsense", "1")), told(fd);
    TRY("bad", STRING(fd, "nr_inodes", "many")), told(fd);
    TRY("unknown flag", CONFIG(fd, FSCONFIG_SET_FLAG, "nothing", 0, 0)), TRY("two", STRING(fd, "more", "1"));
    char little[4];
    TRY("no room", read(fd, little, 4)), told(fd);
    TRY("ro", CONFIG(fd, FSCONFIG_SET_FLAG, "ro", 0, 0)), TRY("rw", CONFIG(fd, FSCONFIG_SET_FLAG, "rw", 0, 0)), told(fd);
    TRY("mount too early", FSMOUNT(fd, 0, 0));
    TRY("create", CREATE(fd)), TRY("create again", CREATE(fd)), TRY("reconfigure",
        CONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0)), TRY("late", STRING(fd, "size", "2m")), told(fd);
    TRY("flags", FSMOUNT(fd, 2, 0)), TRY("attributes", FSMOUNT(fd, 0, 0x1000)), TRY("times", FSMOUNT(fd, 0, 0x30));
    m = OPEN("fsmount", FSMOUNT(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME));
    OPEN("fsmount again", FSMOUNT(fd, 0, 0)), close(fd);
    struct statfs s;
    struct stat st;
    fstatfs(m, &s), SHOW("type %lx size %ld flags %lx\n", (long)s.f_type, (long)(s.f_blocks * s.f_bsize), (long)s.f_flags);
    fstat(m, &st), SHOW("mode %o\n", st.st_mode), TRY("read", read(m, little, 4));
    SHOW("flags %x\n", fcntl(m, F_GETFL)), close(openat(m, "inside", O_CREAT | O_WRONLY, 0600));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", m), TRY("umount detached", umount2(path, MNT_DETACH));
    TRY("not empty path", MOVE(m, "", HERE, "a", 0)), TRY("flags", MOVE(m, "", HERE, "a", 0x1000)),
        TRY("to nowhere", MOVE(m, "", HERE, "none", EMPTY)), put("file"), TRY("to a file", MOVE(m, "", HERE, "file", EMPTY));
    TRY("move", MOVE(m, "", HERE, "a", EMPTY)), shown("a"), SHOW("there %d\n", access("a/inside", F_OK));
    TRY("move again", MOVE(m, "", HERE, "b", EMPTY)), shown("a"), shown("b");
    TRY("by path", MOVE(HERE, "b", HERE, "a", 0)), shown("a");
    TRY("busy", umount("a")), close(m), TRY("umount", umount("a")), shown("a");
    TRY("no mount", MOVE(HERE, "b", HERE, "a", 0));
}

static void errors(void) {
    OPEN("unknown", FSOPEN("nofs", 0)), OPEN("flags", FSOPEN("tmpfs", 2)), OPEN("fault", FSOPEN((char *)8, 0));
    int fd = FSOPEN("tmpfs", 0), other = open(".", O_RDONLY);
    TRY("bad fd", STRING(99, "size", "1")), TRY("negative", STRING(-1, "size", "1")), TRY("wrong fd", STRING(other, "size", "1"));
    TRY("command", CONFIG(fd, 99, 0, 0, 0)), TRY("no key", STRING(fd, 0, "1")), TRY("no value", STRING(fd, "size", 0)),
        TRY("aux", CONFIG(fd, FSCONFIG_SET_STRING, "size", "1", 1)), TRY("key", CONFIG(fd, FSCONFIG_CMD_CREATE, "x", 0, 0));
    TRY("flag with value", CONFIG(fd, FSCONFIG_SET_FLAG, "ro", "1", 0)), TRY("empty key", STRING(fd, "", "1")), told(fd);
    TRY("binary", CONFIG(fd, FSCONFIG_SET_BINARY, "x", "y", 1)), told(fd);
    TRY("path", CONFIG(fd, FSCONFIG_SET_PATH, "x", "/", HERE)), told(fd);
    TRY("fd", CONFIG(fd, FSCONFIG_SET_FD, "x", 0, other)), told(fd);
    TRY("flag of a value", CONFIG(fd, FSCONFIG_SET_FLAG, "size", 0, 0)), told(fd);
    TRY("fsmount bad fd", FSMOUNT(99, 0, 0)), TRY("fsmount wrong fd", FSMOUNT(other, 0, 0));
    TRY("write", write(fd, "x", 1));
    close(fd);
    const char *types[] = {"proc", "sysfs", "devpts", "mqueue", "cgroup2"};
    for (int n = 0; n < 5; n++) {
        fd = OPEN(types[n], FSOPEN(types[n], 0));
        TRY("unknown", STRING(fd, "nonsense", "1")), told(fd);
        TRY("create", CREATE(fd));
        int m = OPEN("mount", FSMOUNT(fd, 0, MOUNT_ATTR_NOEXEC)), at = openat(m, ".", O_RDONLY | O_DIRECTORY);
        SHOW("opens %d\n", at >= 0), close(at), close(m), close(fd);
    }
    fd = FSOPEN("proc", 0), TRY("hidepid", STRING(fd, "hidepid", "invisible")), TRY("bad", STRING(fd, "hidepid", "x"));
    TRY("create", CREATE(fd)), close(fd);
    if (!fork()) {
        setresuid(1000, 1000, 1000);
        struct mount_attr attr = {0};
        OPEN("fsopen", FSOPEN("tmpfs", 0)), OPEN("fspick", syscall(SYS_fspick, HERE, ".", 0)),
            OPEN("tree", TREE(HERE, ".", OPEN_TREE_CLONE)), OPEN("plain tree", TREE(HERE, ".", 0)),
            TRY("move", MOVE(HERE, ".", HERE, ".", 0)), TRY("setattr", SETATTR(HERE, ".", 0, &attr, sizeof attr));
        attr.attr_set = MOUNT_ATTR_RDONLY, TRY("setattr", SETATTR(HERE, ".", 0, &attr, sizeof attr));
        _exit(0);
    }
    wait(0);
}

static void trees(void) {
    mkdir("t", 0755), mkdir("u", 0755), mkdir("v", 0755);
    mount("none", "t", "tmpfs", 0, 0), mkdir("t/in", 0755), put("t/x"), mount("none", "t/in", "tmpfs", 0, 0), put("t/in/y");
    int one = OPEN("one", TREE(HERE, "t", OPEN_TREE_CLONE)), all;
    SHOW("inside %d\n", faccessat(one, "in/y", F_OK, 0));
    all = OPEN("all", TREE(HERE, "t", OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC));
    SHOW("cloexec %d inside %d\n", fcntl(all, F_GETFD), faccessat(all, "in/y", F_OK, 0)), shown("u");
    TRY("move all", MOVE(all, "", HERE, "u", EMPTY)), shown("u"), shown("u/in"), SHOW("there %d\n", access("u/in/y", F_OK));
    TRY("below itself", MOVE(HERE, "u", HERE, "u/in", 0)), close(all), close(one);
    OPEN("recursive alone", TREE(HERE, "t", AT_RECURSIVE)), OPEN("flags", TREE(HERE, "t", 4)),
        OPEN("none", TREE(HERE, "none", OPEN_TREE_CLONE));
    int place = OPEN("plain", TREE(HERE, "t/x", 0)), file = OPEN("file", TREE(HERE, "t/x", OPEN_TREE_CLONE));
    SHOW("flags %x\n", fcntl(place, F_GETFL)), put("onto"), TRY("plain", MOVE(place, "", HERE, "onto", EMPTY));
    TRY("move file", MOVE(file, "", HERE, "onto", EMPTY)), shown("onto"), close(file), TRY("umount", umount("onto"));
    file = TREE(place, "", OPEN_TREE_CLONE | AT_EMPTY_PATH), TRY("empty", file), close(file), close(place);
    symlink("t", "link"), file = OPEN("no follow", TREE(HERE, "link", OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)), close(file);
    TRY("relative", MOVE(HERE, "u", HERE, "v", 0)), shown("u"), shown("v"), shown("v/in");
    symlink("v", "l"), TRY("link", MOVE(HERE, "l", HERE, "u", 0)),
        TRY("followed", MOVE(HERE, "l", HERE, "u", MOVE_MOUNT_F_SYMLINKS)), shown("u");
    TRY("both", MOVE(HERE, "u", HERE, "v", MOVE_MOUNT_SET_GROUP | 0x200));
    TRY("detach", umount2("u", MNT_DETACH)), TRY("detach", umount2("t", MNT_DETACH));
    one = TREE(HERE, "v", OPEN_TREE_CLONE), close(one);
}

static void beneath(void) {
    mkdir("top", 0755), mkdir("under", 0755), mkdir("plain", 0755), mount("none", "top", "tmpfs", 0, 0);
    put("top/upper"), mount("none", "under", "tmpfs", 0, 0), put("under/lower"), mkdir("under/in", 0755);
    TRY("no mount", MOVE(HERE, "under", HERE, "plain", 0x200)), TRY("root", MOVE(HERE, "under", HERE, "/", 0x200));
    TRY("itself", MOVE(HERE, "top", HERE, "top", 0x200)), mount("none", "under/in", "tmpfs", 0, 0);
    TRY("what it holds", MOVE(HERE, "under/in", HERE, "under", 0x200));
    TRY("what holds it", MOVE(HERE, "under", HERE, "under/in", 0x200)), umount("under/in");
    TRY("beneath", MOVE(HERE, "under", HERE, "top", 0x200)), shown("top"), shown("under");
    SHOW("upper %d lower %d\n", access("top/upper", F_OK), access("top/lower", F_OK));
    TRY("over it", MOVE(HERE, "top", HERE, "plain", 0)), SHOW("lower %d\n", access("top/lower", F_OK));
    int tree = TREE(HERE, "top", OPEN_TREE_CLONE);
    TRY("floating", MOVE(tree, "", HERE, "plain", EMPTY | 0x200)), close(tree);
    SHOW("upper %d\n", access("plain/upper", F_OK)), TRY("umount", umount("plain"));
    SHOW("lower %d\n", access("plain/lower", F_OK)), TRY("umount", umount("plain")), TRY("umount", umount("top"));
    TRY("bare", access("top/lower", F_OK));
}

static void attributes(void) {
    struct mount_attr attr = {0};
    char large[64] = {0};
    mkdir("s", 0755), mount("none", "s", "tmpfs", 0, 0), mkdir("s/in", 0755), mount("none", "s/in", "tmpfs", 0, 0);
#define SET(what, path, flags, set, clear) attr.attr_set = set, attr.attr_clr = clear, \
        TRY(what, SETATTR(HERE, path, flags, &attr, sizeof attr)), shown("s"), shown("s/in")
    SET("read-only", "s", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0);
    SET("recursive", "s", AT_RECURSIVE, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY);
    SET("times", "s", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME);
    SET("times without clearing", "s", 0, MOUNT_ATTR_NOATIME, 0);
    SET("part of times", "s", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOATIME);
    SET("strict", "s", 0, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODIRATIME, MOUNT_ATTR__ATIME);
    SET("relative", "s", 0, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR__ATIME);
    SET("set and clear", "s", 0, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODEV);
    SET("unknown", "s", 0, 0x1000, 0);
    SET("idmap", "s", 0, MOUNT_ATTR_IDMAP, 0);
    SET("no mount", "s/in/..", 0x10, 0, 0);
    SET("flags", "s", 0x10, MOUNT_ATTR_RDONLY, 0);
    mkdir("plain", 0755), SET("plain", "plain", 0, MOUNT_ATTR_RDONLY, 0);
    SET("nothing", "plain", 0, 0, 0);
    SET("none", "none", 0, MOUNT_ATTR_RDONLY, 0);
    attr = (struct mount_attr){.propagation = MS_PRIVATE}, TRY("private", SETATTR(HERE, "s", 0, &attr, sizeof attr));
    attr.propagation = MS_PRIVATE | MS_SHARED, TRY("two", SETATTR(HERE, "s", 0, &attr, sizeof attr));
    attr.propagation = 1, TRY("no such", SETATTR(HERE, "s", 0, &attr, sizeof attr));
    TRY("small", SETATTR(HERE, "s", 0, &attr, 31)), TRY("huge", SETATTR(HERE, "s", 0, &attr, 5000));
    TRY("longer", SETATTR(HERE, "s", 0, large, sizeof large)), large[40] = 1,
        TRY("unknown field", SETATTR(HERE, "s", 0, large, sizeof large)), TRY("fault", SETATTR(HERE, "s", 0, (void *)8, 32));
    int fd = TREE(HERE, "s", OPEN_TREE_CLONE);
    attr = (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY};
    TRY("detached", SETATTR(fd, "", AT_EMPTY_PATH, &attr, sizeof attr));
    TRY("write", openat(fd, "new", O_CREAT | O_WRONLY, 0600)), close(fd), TRY("elsewhere", close(open("s/new", O_CREAT, 0600)));
    umount2("s", MNT_DETACH);
}

static void reconfiguring(void) {
    mkdir("r", 0755), mount("none", "r", "tmpfs", 0, "size=1m");
    int fd = OPEN("pick", syscall(SYS_fspick, HERE, "r", FSPICK_CLOEXEC));
    TRY("size", STRING(fd, "size", "2m")), TRY("unknown", STRING(fd, "what", "2m")), told(fd);
    TRY("create", CREATE(fd)), TRY("mount", FSMOUNT(fd, 0, 0)), TRY("reconfigure",
        CONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    struct statfs s;
    statfs("r", &s), SHOW("size %ld\n", (long)(s.f_blocks * s.f_bsize));
    TRY("again", STRING(fd, "size", "3m")), TRY("reconfigure", CONFIG(fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    statfs("r", &s), SHOW("size %ld\n", (long)(s.f_blocks * s.f_bsize)), close(fd);
    OPEN("no mount", syscall(SYS_fspick, HERE, ".", 0)), OPEN("flags", syscall(SYS_fspick, HERE, "r", 0x10)),
        OPEN("none", syscall(SYS_fspick, HERE, "none", 0));
    int at = open("r", O_PATH);
    fd = OPEN("empty", syscall(SYS_fspick, at, "", FSPICK_EMPTY_PATH)), close(fd), close(at), umount("r");
}

static uint64_t id_of(const char *path) {
    struct statx x;
    statx(HERE, path, 0, 0x4000, &x);
    return x.stx_mask & 0x4000 ? x.stx_mnt_id : 0;
}

struct request {
    uint32_t size, spare;
    uint64_t id, param;
};

static long stat_of(uint64_t id, uint64_t mask, char *room, size_t len) {
    struct request request = {24, 0, id, mask};
    return syscall(SYS_statmount, &request, room, len, 0);
}

static void telling(void) {
    char room[4096], text[64];
    mkdir("w", 0755), mount("thing", "w", "tmpfs", 6, "size=1m"), mkdir("w/in", 0755), mount("none", "w/in", "tmpfs", 0, 0);
    uint64_t w = id_of("w"), in = id_of("w/in"), ids[8];
    uint32_t *u = (void *)room;
    uint64_t *q = (void *)room;
    TRY("all", stat_of(w, 0x23b, room, sizeof room));
    SHOW("mask %lx magic %lx flags %x\n", (long)q[1], (long)q[3], u[8]);
    struct stat st;
    stat("w", &st), SHOW("device %d\n", makedev(u[4], u[5]) == st.st_dev);
    SHOW("type %s root %s source %s\n", room + 512 + u[9], room + 512 + u[26], room + 512 + u[31]);
    getcwd(text, sizeof text), strcat(text, "/w"), SHOW("point %d\n", !strcmp(text, room + 512 + u[27]));
    SHOW("own %d parent %d attributes %lx\n", q[5] == w, q[6] == id_of("."), (long)q[8]);
    TRY("child", stat_of(in, 2, room, sizeof room)), SHOW("parent %d mask %lx\n", q[6] == w, (long)q[1]);
    TRY("little", stat_of(w, 0x23b, room, 512)), TRY("less", stat_of(w, 2, room, 512)), TRY("none", stat_of(1, 2, room, 512)),
        TRY("gone", stat_of(1L << 40, 2, room, 512));
    struct request list = {24, 0, w, 0};
    TRY("list", syscall(SYS_listmount, &list, ids, 8, 0)), SHOW("child %d\n", ids[0] == in);
    list.param = in, TRY("behind", syscall(SYS_listmount, &list, ids, 8, 0)), list.param = 0;
    list.id = -1, SHOW("of root %d\n", syscall(SYS_listmount, &list, ids, 2, 0) == 2);
    list.id = 7, TRY("of none", syscall(SYS_listmount, &list, ids, 8, 0));
    list.id = w, TRY("flags", syscall(SYS_listmount, &list, ids, 8, 2)), TRY("statmount flags",
        syscall(SYS_statmount, &list, room, 512, 1)), list.size = 8, TRY("size", syscall(SYS_listmount, &list, ids, 8, 0));
    list.size = 24, list.spare = 1, TRY("spare", syscall(SYS_statmount, &list, room, 512, 0));
    umount2("w", MNT_DETACH);
}

int main(void) {
    mkdir("/dev/shm/newmounts", 0777), chdir("/dev/shm/newmounts");
    PART(making), PART(errors), PART(trees), PART(beneath), PART(attributes), PART(reconfiguring), PART(telling);
    return 0;
}
