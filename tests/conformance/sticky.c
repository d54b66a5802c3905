/* What is protected in directories that many may write to (proc_sys_fs(5)). The settings are the host's, and differ
 * between hosts: what a call does is compared with what they say. */
#include "show.h"
#include <grp.h>

static int level(const char *name) {
    char path[128], text[16] = "";
    snprintf(path, sizeof path, "/proc/sys/fs/protected_%s", name);
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1), close(fd);
    return atoi(text);
}

/* Says whether a call is refused, and whether the settings say so. */
static void expect(const char *what, int refused, long result) {
    int error = result < 0 ? errno : 0;
    if (result >= 0) close(result);
    SHOW("%s %s\n", what, error == (refused ? EACCES : 0) ? "as set" : strerror(error));
}

static void in(const char *directory, mode_t mode, int owner) {
    int shared = (mode & 01002) == 01002, by_group = (mode & 01020) == 01020;
    int links = level("symlinks") && shared, files = level("regular"), fifos = level("fifos");
    int no_file = files && (shared || (by_group && files > 1)), no_fifo = fifos && (shared || (by_group && fifos > 1));
    SHOW("%s %o owner %d\n", directory, mode, owner);
    mkdir(directory, 0700), chdir(directory);
    const char *names[] = {"link", "chain", "file", "fifo", "up/file"};
    symlink("/etc/passwd", "link"), symlink("link", "chain"), symlink(".", "up");
    close(open("file", O_CREAT | O_WRONLY, 0666)), chmod("file", 0666), mkfifo("fifo", 0666), chmod("fifo", 0666);
    for (int n = 0; n < 4; n++) lchown(names[n], 1001, 1001);
    lchown("up", 1001, 1001), chmod(".", mode), chown(".", owner, 100);
    if (!fork()) {
        gid_t group = 100;
        setgroups(1, &group), setresgid(1002, 1002, 1002), setresuid(1002, 1002, 1002);
        expect("follow", links && owner != 1001, open("link", O_RDONLY));
        expect("chain", links && owner != 1001, open("chain", O_RDONLY));
        expect("path", links && owner != 1001, open("link", O_PATH));
        expect("not followed", 0, open("link", O_PATH | O_NOFOLLOW));
        expect("in between", 0, open("up/file", O_RDONLY));
        expect("file", no_file && owner != 1001, open("file", O_CREAT | O_RDWR, 0666));
        expect("not to be made", 0, open("file", O_RDWR));
        expect("fifo", no_fifo && owner != 1001, open("fifo", O_CREAT | O_RDWR, 0666));
        expect("fifo that is there", 0, open("fifo", O_RDWR));
        TRY("nobody's link", open("link", O_CREAT | O_NOFOLLOW, 0666));
        _exit(0);
    }
    wait(0);
    if (!fork()) {
        setresuid(1001, 1001, 1001);
        expect("own link", 0, open("link", O_RDONLY));
        expect("own file", 0, open("file", O_CREAT | O_RDWR, 0666));
        _exit(0);
    }
    wait(0);
    expect("root follows", links && owner != 1001, open("link", O_RDONLY));
    expect("root makes", no_file && owner != 1001, open("file", O_CREAT | O_RDWR, 0666));
    chdir("..");
}

static void settings(void) {
    const char *names[] = {"symlinks", "hardlinks", "fifos", "regular"};
    for (int n = 0; n < 4; n++) {
        struct stat st;
        char path[128];
        snprintf(path, sizeof path, "/proc/sys/fs/protected_%s", names[n]);
        stat(path, &st);
        SHOW("%s %o %d %s\n", names[n], st.st_mode, st.st_uid, level(names[n]) <= 2 ? "a level" : "?");
    }
}

static void shared(void) {
    in("all", 01777, 0), in("by group", 01775, 0), in("own", 01777, 1001), in("plain", 0777, 0), in("other", 01773, 0);
}

int main(void) {
    umask(0);
    mkdir("/dev/shm/sticky", 0755), chdir("/dev/shm/sticky");
    PART(settings), PART(shared);
    return 0;
}
