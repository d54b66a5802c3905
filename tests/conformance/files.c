/* Files: open flags, *at calls, renameat2, O_TMPFILE, statx, openat2, fallocate, copying. The same on every Linux. */
#include "show.h"
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

static void put(const char *name, const char *text) {
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (write(fd, text, strlen(text)) < 0) perror(name);
    close(fd);
}

static void get(const char *name) {
    char b[64] = {0};
    int fd = open(name, O_RDONLY);
    long n = read(fd, b, sizeof b - 1);
    SHOW("%s: %ld '%s'\n", name, n, b);
    if (fd >= 0) close(fd);
}

static void flags(void) {
    umask(022);
    put("a", "hello");
    int fd;
    OPEN("excl", open("a", O_CREAT | O_EXCL | O_RDWR, 0600));
    OPEN("none", open("none", O_RDWR));
    OPEN("directory of file", open("a", O_DIRECTORY));
    OPEN("slash", open("a/", O_RDONLY));
    OPEN("below file", open("a/b", O_RDONLY));
    OPEN("create slash", open("new/", O_CREAT | O_RDWR, 0600));
    OPEN("write dir", open(".", O_WRONLY));
    OPEN("create dir", open(".", O_CREAT | O_RDONLY, 0600));
    OPEN("creat dir|directory", open("nd", O_CREAT | O_DIRECTORY | O_RDONLY, 0600));
    OPEN("empty", open("", O_RDONLY));
    char longname[300];
    memset(longname, 'x', 299), longname[299] = 0;
    OPEN("long", open(longname, O_CREAT | O_RDWR, 0600));
    char *path = malloc(5000);
    memset(path, '/', 4999), path[4999] = 0;
    OPEN("long path", open(path, O_RDONLY));
    TRY("symlink", symlink("a", "l"));
    TRY("loop", symlink("loop", "loop"));
    OPEN("nofollow", open("l", O_NOFOLLOW | O_RDONLY));
    OPEN("loop", open("loop", O_RDONLY));
    OPEN("excl link", open("l", O_CREAT | O_EXCL | O_RDWR, 0600));
    fd = OPEN("path", open("l", O_PATH | O_NOFOLLOW));
    char b[64] = {0};
    TRY("readlinkat", readlinkat(fd, "", b, sizeof b));
    SHOW("%s\n", b);
    TRY("read path", read(fd, b, 1));
    TRY("fchmod path", fchmod(fd, 0600));
    TRY("getfl path", fcntl(fd, F_GETFL) == (O_PATH | O_NOFOLLOW));
    TRY("ioctl path", fcntl(fd, F_SETFL, O_APPEND));
    close(fd);
    fd = OPEN("append", open("a", O_APPEND | O_RDWR));
    TRY("seek", lseek(fd, 0, SEEK_SET));
    TRY("write", write(fd, "++", 2));
    TRY("position", lseek(fd, 0, SEEK_CUR));
    TRY("pwrite appends", pwrite(fd, "!!", 2, 0));
    get("a");
    SHOW("flags %x\n", fcntl(fd, F_GETFL));
    TRY("setfl", fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY));
    SHOW("flags %x\n", fcntl(fd, F_GETFL));
    TRY("setfd", fcntl(fd, F_SETFD, 3));
    TRY("getfd", fcntl(fd, F_GETFD));
    TRY("dupfd", fcntl(fd, F_DUPFD_CLOEXEC, 100));
    TRY("getfd", fcntl(100, F_GETFD));
    TRY("dup2 same", dup2(100, 100));
    TRY("dup3 same", dup3(100, 100, 0));
    TRY("dup3 flags", dup3(fd, 101, 1));
    TRY("dup2 high", dup2(fd, 1 << 30));
    TRY("dup2 negative", dup2(fd, -1));
    TRY("dupfd high", fcntl(fd, F_DUPFD, 1 << 30));
    TRY("fcntl", fcntl(fd, 9999));
    TRY("close_range", syscall(SYS_close_range, 50, 200, 0));
    TRY("close_range order", syscall(SYS_close_range, 5, 3, 0));
    TRY("close_range flags", syscall(SYS_close_range, 50, 200, 99));
    TRY("closed", fcntl(100, F_GETFD));
    TRY("noatime", close(open("a", O_NOATIME | O_RDONLY)));
    TRY("direct", open("a", O_DIRECT | O_RDONLY) >= 0 || errno == EINVAL);
    TRY("sync", close(open("a", O_SYNC | O_DSYNC | O_RDWR)));
    fd = OPEN("trunc", open("a", O_TRUNC | O_RDONLY));
    get("a");
    TRY("access mode 3", open("a", O_ACCMODE) >= 0);
    fd = OPEN("umask", open("u", O_CREAT | O_WRONLY, 07777));
    struct stat st;
    fstat(fd, &st), SHOW("%o %ld %ld\n", st.st_mode, (long)st.st_size, (long)st.st_blocks);
    TRY("read of write-only", read(fd, b, 1));
    TRY("ftruncate", ftruncate(fd, 10000));
    TRY("ftruncate negative", ftruncate(fd, -1));
    TRY("truncate dir", truncate(".", 0));
    TRY("truncate none", truncate("none", 0));
    fstat(fd, &st), SHOW("%ld %d\n", (long)st.st_size, st.st_blocks == 0);
    TRY("mknod fifo", mknod("fifo", S_IFIFO | 0600, 0));
    TRY("mknod reg", mknod("reg", S_IFREG | 0600, 0));
    TRY("mknod bad", mknod("bad", 0170000, 0));
    TRY("mknod dir", mknod("bad", S_IFDIR, 0));
    TRY("fifo write nonblock", open("fifo", O_WRONLY | O_NONBLOCK));
}

static void seeking(void) {
    char b[16];
    put("a", "0123456789");
    int fd = OPEN("open", open("a", O_RDWR));
    TRY("end", lseek(fd, -3, SEEK_END));
    TRY("read", read(fd, b, 16));
    TRY("far", lseek(fd, 100, SEEK_SET));
    TRY("read", read(fd, b, 16));
    TRY("negative", lseek(fd, -1, SEEK_SET));
    TRY("whence", lseek(fd, 0, 9));
    TRY("data", lseek(fd, 0, SEEK_DATA));
    TRY("hole", lseek(fd, 0, SEEK_HOLE));
    TRY("data past", lseek(fd, 50, SEEK_DATA));
    TRY("pread", pread(fd, b, 4, 8));
    TRY("pread negative", pread(fd, b, 4, -1));
    TRY("pwrite", pwrite(fd, "xx", 2, 20));
    TRY("size", lseek(fd, 0, SEEK_END));
    struct iovec v[3] = {{b, 2}, {b + 2, 0}, {b + 4, 3}};
    TRY("preadv", preadv(fd, v, 3, 1));
    TRY("preadv2", preadv2(fd, v, 3, -1, 0));
    TRY("preadv2 flags", preadv2(fd, v, 3, 0, 0x40000000));
    TRY("pwritev2 append", pwritev2(fd, v, 1, 0, RWF_APPEND));
    TRY("count", readv(fd, v, -1));
    TRY("count", readv(fd, v, 1025));
    TRY("none", readv(fd, v, 0));
    v[0].iov_len = -1;
    TRY("length", readv(fd, v, 3));
    TRY("fsync", fsync(fd));
    TRY("fdatasync", fdatasync(fd));
    TRY("sync_file_range", sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    TRY("sync_file_range bad", sync_file_range(fd, 0, 0, 99));
    TRY("fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    TRY("fadvise bad", posix_fadvise(fd, 0, 0, 99));
    TRY("readahead", readahead(fd, 0, 100));
    int p[2];
    TRY("pipe", pipe(p));
    TRY("seek pipe", lseek(p[0], 0, SEEK_SET));
    TRY("pread pipe", pread(p[0], b, 1, 0));
    TRY("fsync pipe", fsync(p[0]));
    TRY("fadvise pipe", posix_fadvise(p[0], 0, 0, 0));
    TRY("ftruncate pipe", ftruncate(p[1], 0));
    TRY("huge", lseek(fd, 0x7fffffffffffffff, SEEK_SET) == 0x7fffffffffffffff || errno == EINVAL);
}

static void at_calls(void) {
    TRY("mkdir", mkdir("d", 0777));
    int d = OPEN("dir", open("d", O_RDONLY | O_DIRECTORY));
    TRY("mkdirat", mkdirat(d, "e", 0700));
    TRY("mkdirat again", mkdirat(d, "e", 0700));
    TRY("mkdirat dot", mkdirat(d, ".", 0700));
    int f = OPEN("openat", openat(d, "f", O_CREAT | O_RDWR, 0640));
    TRY("linkat", linkat(d, "f", d, "g", 0));
    TRY("linkat flags", linkat(d, "f", d, "h", 1));
    TRY("linkat empty", linkat(f, "", d, "h", AT_EMPTY_PATH));
    TRY("symlinkat", symlinkat("f", d, "s"));
    TRY("linkat symlink", linkat(d, "s", d, "sl", 0));
    TRY("linkat follow", linkat(d, "s", d, "sf", AT_SYMLINK_FOLLOW));
    struct stat st;
    fstatat(d, "f", &st, 0), SHOW("links %ld\n", (long)st.st_nlink);
    fstatat(d, "sl", &st, AT_SYMLINK_NOFOLLOW), SHOW("%o %ld\n", st.st_mode, (long)st.st_size);
    TRY("fstatat empty", fstatat(f, "", &st, AT_EMPTY_PATH));
    TRY("fstatat no flag", fstatat(f, "", &st, 0));
    TRY("fstatat flags", fstatat(f, "", &st, 0x40000));
    TRY("not a dir", fstatat(f, "x", &st, 0));
    TRY("bad fd", fstatat(99, "x", &st, 0));
    TRY("bad fd absolute", fstatat(99, "/", &st, 0));
    TRY("unlinkat dir", unlinkat(d, "e", 0));
    TRY("unlinkat file", unlinkat(d, "f", AT_REMOVEDIR));
    TRY("unlinkat flags", unlinkat(d, "f", 1));
    TRY("rmdir", unlinkat(d, "e", AT_REMOVEDIR));
    TRY("rmdir dot", rmdir("d/."));
    TRY("rmdir dotdot", rmdir("d/.."));
    TRY("rmdir full", rmdir("d"));
    TRY("rmdir root", rmdir("/"));
    TRY("unlink dir", unlink("d"));
    TRY("unlink slash", unlink("d/g/"));
    TRY("faccessat", faccessat(d, "f", R_OK | X_OK, 0));
    TRY("access", access("d/f", 8));
    TRY("faccessat2", syscall(SYS_faccessat2, d, "s", R_OK, AT_SYMLINK_NOFOLLOW | AT_EACCESS));
    TRY("faccessat2 flags", syscall(SYS_faccessat2, d, "s", R_OK, 1));
    TRY("fchmodat", fchmodat(d, "f", 04711, 0));
    TRY("fchmodat2", syscall(SYS_fchmodat2, d, "s", 0600, AT_SYMLINK_NOFOLLOW));
    TRY("fchownat", fchownat(d, "f", 5, 6, 0));
    fstatat(d, "f", &st, 0), SHOW("%o %d %d\n", st.st_mode, st.st_uid, st.st_gid);
    TRY("fchownat link", fchownat(d, "s", 7, 8, AT_SYMLINK_NOFOLLOW));
    fstatat(d, "s", &st, AT_SYMLINK_NOFOLLOW), SHOW("%o %d %d\n", st.st_mode, st.st_uid, st.st_gid);
    TRY("chown -1", chown("d/f", -1, 9));
    fstatat(d, "f", &st, 0), SHOW("%o %d %d\n", st.st_mode, st.st_uid, st.st_gid);
    struct timespec t[2] = {{100, 5}, {200, UTIME_OMIT}};
    TRY("utimensat", utimensat(d, "f", t, 0));
    t[1].tv_nsec = 77;
    TRY("utimensat", utimensat(d, "f", t, 0));
    fstatat(d, "f", &st, 0), SHOW("%ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec,
        st.st_mtim.tv_nsec);
    t[1].tv_nsec = 2000000000;
    TRY("utimensat bad", utimensat(d, "f", t, 0));
    TRY("futimens", futimens(f, 0));
    char b[8];
    TRY("readlinkat", readlinkat(d, "s", b, 8));
    TRY("readlinkat file", readlinkat(d, "f", b, 8));
    TRY("readlinkat size", readlinkat(d, "s", b, 0));
    TRY("fchdir file", fchdir(f));
    TRY("fchdir", fchdir(d));
    char cwd[4096];
    SHOW("%s\n", strrchr(getcwd(cwd, sizeof cwd), '/'));
    TRY("getcwd short", syscall(SYS_getcwd, cwd, 3));
    TRY("removed", (unlink("../d/f"), unlink("g"), unlink("h"), unlink("s"), unlink("sl"), unlink("sf"),
        rmdir("../d")));
    TRY("getcwd gone", syscall(SYS_getcwd, cwd, sizeof cwd));
    OPEN("create gone", open("x", O_CREAT | O_RDWR, 0600));
    TRY("links of gone", (fstat(f, &st), (long)st.st_nlink));
}

static void renames(void) {
    put("a", "A"), put("b", "B");
    mkdir("d", 0755), mkdir("d/e", 0755), mkdir("x", 0755), put("x/f", "F");
    TRY("noreplace", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    TRY("exchange", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    get("a"), get("b");
    TRY("exchange none", renameat2(AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE));
    TRY("exchange kinds", renameat2(AT_FDCWD, "a", AT_FDCWD, "x", RENAME_EXCHANGE));
    get("x");
    TRY("both", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    TRY("flags", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 64));
    TRY("below itself", rename("d", "d/e/f"));
    TRY("ancestor", rename("d/e", "d"));
    TRY("over full", rename("d", "a"));
    TRY("file over dir", rename("b", "d"));
    TRY("dir over file", rename("d", "b"));
    TRY("same", rename("b", "b"));
    TRY("link", link("b", "c"));
    TRY("same inode", rename("b", "c"));
    get("b"), get("c");
    TRY("dot", rename("d/.", "z"));
    TRY("none", rename("none", "z"));
    TRY("empty", rename("", "z"));
    TRY("slash of file", rename("b/", "z"));
    TRY("dir to slash", rename("d", "z/"));
    TRY("other fs", rename("b", "/proc/x"));
    TRY("link dir", link("z", "zz"));
    TRY("link other", link("b", "/dev/shm/x"));
    TRY("replace", rename("b", "c"));
    get("b"), get("c");
}

static void unnamed(void) {
    struct stat st;
    char p[64];
    int fd = OPEN("tmpfile", open(".", O_TMPFILE | O_RDWR, 0644));
    TRY("write", write(fd, "tmp", 3));
    fstat(fd, &st), SHOW("links %ld %o\n", (long)st.st_nlink, st.st_mode);
    snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
    TRY("link", linkat(AT_FDCWD, p, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    get("named");
    fd = OPEN("excl", open(".", O_TMPFILE | O_RDWR | O_EXCL, 0644));
    snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
    TRY("link", linkat(AT_FDCWD, p, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
    OPEN("read only", open(".", O_TMPFILE | O_RDONLY, 0644));
    OPEN("file", open("named", O_TMPFILE | O_RDWR, 0644));
    fd = open("named", O_RDWR), unlink("named");
    snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
    TRY("link unlinked", linkat(AT_FDCWD, p, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
    char b[4096] = {0};
    TRY("readlink", readlink(p, b, sizeof b) > 0);
    SHOW("%s\n", strstr(b, "named"));
    OPEN("reopen", open(p, O_RDONLY));
}

static void statxes(void) {
    struct statx x;
    put("a", "hello");
    memset(&x, 0, sizeof x);
    TRY("statx", statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &x));
    SHOW("%x %o %d %d %d %d\n", x.stx_mask & STATX_BASIC_STATS, x.stx_mode, (int)x.stx_size, x.stx_nlink, x.stx_uid,
        x.stx_blksize >= 512);
    TRY("reserved", statx(AT_FDCWD, "a", 0, 0x80000000, &x));
    TRY("flags", statx(AT_FDCWD, "a", 1, STATX_SIZE, &x));
    TRY("sync both", statx(AT_FDCWD, "a", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &x));
    TRY("empty", statx(1, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    TRY("none", statx(AT_FDCWD, "none", 0, STATX_SIZE, &x));
    TRY("root", statx(AT_FDCWD, "/proc", 0, STATX_ALL, &x));
    SHOW("mount root %d\n", (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0);
    struct statfs s;
    TRY("statfs", statfs("/proc", &s));
    SHOW("%lx %ld %ld\n", (long)s.f_type, (long)s.f_bsize, (long)s.f_namelen);
    TRY("statfs shm", statfs("/dev/shm", &s));
    SHOW("%lx %ld %ld\n", (long)s.f_type, (long)s.f_bsize, (long)s.f_namelen);
    TRY("statfs none", statfs("none", &s));
    TRY("fstatfs", fstatfs(77, &s));
    struct stat st;
    TRY("stat null", stat("/dev/null", &st));
    SHOW("%o %lx\n", st.st_mode, (long)st.st_rdev);
}

static long open2(int d, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {flags, mode, resolve};
    return syscall(SYS_openat2, d, path, &how, sizeof how);
}

static void resolve(void) {
    mkdir("d", 0755), mkdir("d/e", 0755), put("d/f", "F"), put("out", "O");
    symlink("f", "d/in"), symlink("../out", "d/up"), symlink("/etc", "d/abs"), symlink("e/../f", "d/round");
    int d = OPEN("dir", open("d", O_PATH | O_DIRECTORY));
    OPEN("plain", open2(d, "f", O_RDONLY, 0, 0));
    OPEN("up", open2(d, "../out", O_RDONLY, 0, 0));
    OPEN("beneath", open2(d, "f", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath up", open2(d, "../out", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath link", open2(d, "in", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath link up", open2(d, "up", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath abs", open2(d, "/", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath abs link", open2(d, "abs", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("beneath round", open2(d, "round", O_RDONLY, 0, RESOLVE_BENEATH));
    OPEN("root up", open2(d, "../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OPEN("root abs", open2(d, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OPEN("root abs link", open2(d, "abs", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OPEN("root link up", open2(d, "up", O_RDONLY, 0, RESOLVE_IN_ROOT));
    OPEN("both", open2(d, "f", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH));
    OPEN("symlinks", open2(d, "in", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    OPEN("symlinks nofollow", open2(d, "in", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
    OPEN("magic", open2(d, "/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    OPEN("magic dir", open2(d, "/proc/self/cwd/out", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    OPEN("magic self", open2(d, "/proc/self/stat", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    OPEN("xdev", open2(AT_FDCWD, "/proc/self/stat", O_RDONLY, 0, RESOLVE_NO_XDEV));
    OPEN("no xdev", open2(d, "e/../f", O_RDONLY, 0, RESOLVE_NO_XDEV));
    OPEN("cached", open2(d, "f", O_RDONLY, 0, RESOLVE_CACHED));
    OPEN("cached creat", open2(d, "g", O_CREAT | O_RDWR, 0600, RESOLVE_CACHED));
    OPEN("unknown resolve", open2(d, "f", O_RDONLY, 0, 0x1000));
    OPEN("unknown flag", open2(d, "f", 0x40000000, 0, 0));
    OPEN("mode", open2(d, "f", O_RDONLY, 0600, 0));
    OPEN("mode bits", open2(d, "f", O_CREAT, 0100600, 0));
    OPEN("path flags", open2(d, "f", O_PATH | O_RDWR, 0, 0));
    OPEN("path trunc", open2(d, "f", O_PATH | O_TRUNC, 0, 0));
    struct { struct open_how how; uint64_t more; } big = {{O_RDONLY, 0, 0}, 0};
    OPEN("small", syscall(SYS_openat2, d, "f", &big, 8));
    OPEN("large", syscall(SYS_openat2, d, "f", &big, sizeof big));
    big.more = 1;
    OPEN("large set", syscall(SYS_openat2, d, "f", &big, sizeof big));
    OPEN("huge", syscall(SYS_openat2, d, "f", &big, 100000));
}

static void allocation(void) {
    char b[12288];
    struct stat st;
    int fd = open("/dev/shm/conf", O_CREAT | O_TRUNC | O_RDWR, 0600);
    memset(b, 'x', sizeof b);
    TRY("write", write(fd, b, sizeof b));
    TRY("keep", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20480));
    fstat(fd, &st), SHOW("%ld\n", (long)st.st_size);
    TRY("grow", fallocate(fd, 0, 0, 20480));
    fstat(fd, &st), SHOW("%ld\n", (long)st.st_size);
    TRY("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 5000));
    pread(fd, b, sizeof b, 0), SHOW("%c%d%d%c\n", b[3999], b[4000], b[8999], b[9000]);
    TRY("punch only", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    TRY("zero", fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 100) == 0 || errno == EOPNOTSUPP);
    TRY("collapse", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
    TRY("insert", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
    TRY("length", fallocate(fd, 0, 0, 0));
    TRY("offset", fallocate(fd, 0, -1, 5));
    TRY("overflow", fallocate(fd, 0, 0x7ffffffffffff000, 0x2000));
    TRY("flags", fallocate(fd, 0x4000, 0, 5));
    int r = open("/dev/shm/conf", O_RDONLY);
    TRY("read only", fallocate(r, 0, 0, 5));
    int p[2];
    pipe(p);
    TRY("pipe", fallocate(p[1], 0, 0, 5));
    TRY("directory", fallocate(open("/dev/shm", O_RDONLY), 0, 0, 5));
    TRY("null", fallocate(open("/dev/null", O_RDWR), 0, 0, 5));
    unlink("/dev/shm/conf");
}

static void copying(void) {
    char b[64];
    int p[2], q[2];
    put("a", "0123456789"), put("b", "");
    int a = open("a", O_RDWR), c = open("b", O_RDWR);
    loff_t in = 2, out = 1;
    TRY("copy", copy_file_range(a, &in, c, &out, 5, 0));
    SHOW("%ld %ld\n", (long)in, (long)out);
    TRY("copy on", copy_file_range(a, 0, c, 0, 100, 0));
    TRY("copy end", copy_file_range(a, 0, c, 0, 100, 0));
    get("b");
    in = 0, out = 3;
    TRY("overlap", copy_file_range(a, &in, a, &out, 5, 0));
    TRY("flags", copy_file_range(a, &in, c, &out, 5, 1));
    TRY("dir", copy_file_range(open(".", O_RDONLY), 0, c, 0, 5, 0));
    TRY("append", copy_file_range(a, 0, open("b", O_WRONLY | O_APPEND), 0, 5, 0));
    TRY("read only", copy_file_range(a, 0, open("b", O_RDONLY), 0, 5, 0));
    pipe(p), pipe(q);
    TRY("pipe", copy_file_range(p[0], 0, c, 0, 5, 0));
    off_t at = 4;
    TRY("sendfile", sendfile(p[1], a, &at, 3));
    SHOW("%ld\n", (long)at);
    TRY("sendfile rest", sendfile(p[1], a, &at, 100));
    TRY("sendfile end", sendfile(p[1], a, &at, 100));
    TRY("sendfile append", sendfile(open("b", O_WRONLY | O_APPEND), a, &at, 100));
    TRY("sendfile from pipe", sendfile(c, p[0], 0, 4));
    TRY("tee", tee(p[0], q[1], 4, 0));
    TRY("tee same", tee(p[0], p[1], 4, 0));
    TRY("tee file", tee(a, q[1], 4, 0));
    TRY("tee flags", tee(p[0], q[1], 4, 0x100));
    TRY("read", read(q[0], b, sizeof b)), SHOW("%.4s\n", b);
    out = 0;
    TRY("splice out", splice(p[0], 0, c, &out, 100, 0));
    SHOW("%ld\n", (long)out);
    get("b");
    in = 1;
    TRY("splice in", splice(a, &in, p[1], 0, 3, SPLICE_F_MOVE | SPLICE_F_MORE));
    TRY("splice pipes", splice(p[0], 0, q[1], 0, 2, 0));
    TRY("splice pipe offset", splice(p[0], &in, q[1], 0, 2, 0));
    TRY("splice no pipe", splice(a, 0, c, 0, 2, 0));
    TRY("splice same", splice(p[0], 0, p[1], 0, 2, 0));
    TRY("splice append", splice(p[0], 0, open("b", O_WRONLY | O_APPEND), 0, 2, 0));
    TRY("splice flags", splice(p[0], 0, q[1], 0, 2, 0x100));
    TRY("splice one", splice(p[0], 0, q[1], 0, 2, 0));
    TRY("splice empty", splice(p[0], 0, q[1], 0, 2, SPLICE_F_NONBLOCK));
    struct iovec v[2] = {{"abc", 3}, {"de", 2}};
    TRY("vmsplice", vmsplice(q[1], v, 2, 0));
    TRY("read", read(q[0], b, sizeof b)), SHOW("%.8s\n", b);
    TRY("vmsplice flags", vmsplice(q[1], v, 2, 0x100));
    TRY("vmsplice file", vmsplice(a, v, 2, 0));
    close(p[1]);
    TRY("splice eof", splice(p[0], 0, q[1], 0, 2, 0));
}

static void mounted_here(const char *where) {
    SHOW("<%s>\n", where[1] == 't' ? "layered" : "memory");
    if (mkdir(where, 0777) || chdir(where)) perror(where);
}

static void everything(void) {
    PART(flags), PART(seeking);
}

static void in_memory(void) {
    mounted_here("/dev/shm/conf.d");
    everything();
}

int main(void) {
    everything();
    mkdir("1", 0777), chdir("1"), PART(at_calls);
    mkdir("2", 0777), chdir("2"), PART(renames);
    mkdir("3", 0777), chdir("3"), PART(unnamed);
    mkdir("4", 0777), chdir("4"), PART(statxes);
    mkdir("5", 0777), chdir("5"), PART(resolve);
    mkdir("6", 0777), chdir("6"), PART(allocation);
    mkdir("7", 0777), chdir("7"), PART(copying);
    PART(in_memory);
    return 0;
}
