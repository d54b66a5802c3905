/* Directories: getdents64, positions, inotify. Prints the same on every Linux. */
#include "show.h"
#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/ioctl.h>

struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t length;
    uint8_t type;
    char name[];
};

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void reading(void) {
    char b[4096], *names[64];
    mkdir("d", 0755), mkdir("d/sub", 0755), symlink("x", "d/link"), mkfifo("d/fifo", 0600);
    for (int i = 0; i < 20; i++) {
        snprintf(b, sizeof b, "d/file%02d", i);
        close(open(b, O_CREAT | O_WRONLY, 0600));
    }
    int d = open("d", O_RDONLY | O_DIRECTORY), n = 0;
    TRY("small", syscall(SYS_getdents64, d, b, 10));
    for (;;) {
        long got = syscall(SYS_getdents64, d, b, 200);
        if (got <= 0) break;
        for (long at = 0; at < got;) {
            struct entry *e = (void *)(b + at);
            char line[300];
            snprintf(line, sizeof line, "%s %d aligned %d ino %d", e->name, e->type, e->length % 8 == 0, e->ino != 0);
            names[n++] = strdup(line);
            at += e->length;
        }
    }
    qsort(names, n, sizeof *names, compare);
    for (int i = 0; i < n; i++) SHOW("%s\n", names[i]);
    TRY("end", syscall(SYS_getdents64, d, b, sizeof b));
    TRY("rewind", lseek(d, 0, SEEK_SET));
    TRY("again", syscall(SYS_getdents64, d, b, sizeof b) > 0);
    TRY("read", read(d, b, 10));
    TRY("file", syscall(SYS_getdents64, open("d/file00", O_RDONLY), b, sizeof b));
    TRY("path", syscall(SYS_getdents64, open("d", O_PATH), b, sizeof b));
    TRY("negative", lseek(d, -5, SEEK_SET));
    TRY("write", write(d, "x", 1));
    DIR *dir = opendir("d");
    for (n = 0; n < 5; n++) readdir(dir);
    long at = telldir(dir);
    char *sixth = strdup(readdir(dir)->d_name);
    while (readdir(dir)) n++;
    seekdir(dir, at);
    SHOW("seek back %d total %d\n", !strcmp(sixth, readdir(dir)->d_name), n + 1);
    closedir(dir);
    dir = opendir("d");
    for (n = 0; readdir(dir); n++)
        if (n == 3) unlink("d/file19"), unlink("d/file18"), close(open("d/new", O_CREAT | O_WRONLY, 0600));
    SHOW("while it changes %d\n", n >= 21 && n <= 26);
    int gone = open("d/sub", O_RDONLY | O_DIRECTORY);
    rmdir("d/sub");
    TRY("removed", syscall(SYS_getdents64, gone, b, sizeof b));
    struct stat st;
    mkdir("d/1", 0755), mkdir("d/2", 0755);
    stat("d", &st), SHOW("links %ld\n", (long)st.st_nlink);
}

static int watcher;

static void events(const char *what) {
    char b[4096] __attribute__((aligned(8)));
    long n = read(watcher, b, sizeof b);
    SHOW("%s:", what);
    for (long at = 0; at < n;) {
        struct inotify_event *e = (void *)(b + at);
        SHOW(" %d/%x%s%s%s", e->wd, e->mask, e->len ? "/" : "", e->len ? e->name : "", e->cookie ? "/cookie" : "");
        at += sizeof *e + e->len;
    }
    SHOW("\n");
}

static void watches(void) {
    char b[16];
    mkdir("w", 0755), mkdir("w/sub", 0755);
    close(open("w/f", O_CREAT | O_WRONLY, 0600));
    watcher = OPEN("init", inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    TRY("flags", inotify_init1(1));
    int d = inotify_add_watch(watcher, "w", IN_ALL_EVENTS), f = inotify_add_watch(watcher, "w/f", IN_ALL_EVENTS);
    SHOW("%d %d same %d\n", d, f, inotify_add_watch(watcher, "w/../w", IN_ALL_EVENTS) == d);
    TRY("no mask", inotify_add_watch(watcher, "w", 0));
    TRY("none", inotify_add_watch(watcher, "none", IN_ALL_EVENTS));
    TRY("onlydir", inotify_add_watch(watcher, "w/f", IN_ALL_EVENTS | IN_ONLYDIR));
    TRY("create", inotify_add_watch(watcher, "w", IN_ALL_EVENTS | IN_MASK_CREATE));
    TRY("create add", inotify_add_watch(watcher, "w/sub", IN_ALL_EVENTS | IN_MASK_CREATE | IN_MASK_ADD));
    TRY("not inotify", inotify_add_watch(0, "w", IN_ALL_EVENTS));
    TRY("bad fd", inotify_add_watch(99, "w", IN_ALL_EVENTS));
    events("nothing");
    int fd = open("w/f", O_RDWR);
    events("open");
    write(fd, "abc", 3), events("write");
    write(fd, "abc", 3), write(fd, "abc", 3), events("merged");
    pread(fd, b, 3, 0), events("read");
    pread(fd, b, 0, 0), events("read nothing");
    pread(fd, b, 3, 100), events("read at end");
    int other = open("other", O_CREAT | O_RDWR, 0600), ends[2];
    copy_file_range(fd, &(off64_t){0}, other, 0, 3, 0), events("copy out");
    copy_file_range(other, &(off64_t){0}, fd, &(off64_t){0}, 3, 0), events("copy in");
    copy_file_range(fd, &(off64_t){100}, other, 0, 3, 0), events("copy at end");
    sendfile(other, fd, &(off_t){0}, 3), events("sendfile");
    pipe(ends), splice(fd, &(off64_t){0}, ends[1], 0, 3, 0), events("splice out");
    splice(ends[0], 0, fd, &(off64_t){0}, 3, 0), events("splice in");
    close(other), close(ends[0]), close(ends[1]);
    ftruncate(fd, 1), events("truncate");
    fchmod(fd, 0644), events("chmod");
    fchown(fd, 0, 0), events("chown");
    futimens(fd, 0), events("utimens");
    close(fd), events("close");
    close(open("w/f", O_RDONLY)), events("open close");
    close(open("w/f", O_PATH)), events("path");
    close(open("w/new", O_CREAT | O_WRONLY, 0600)), events("create");
    mkdir("w/dir", 0755), events("mkdir");
    rmdir("w/dir"), events("rmdir");
    symlink("f", "w/l"), events("symlink");
    link("w/f", "w/h"), events("link");
    unlink("w/h"), events("unlink link");
    rename("w/new", "w/newer"), events("rename");
    rename("w/newer", "out"), events("move out");
    rename("out", "w/back"), events("move in");
    rename("w/back", "w/l"), events("replace");
    truncate("w/f", 0), events("truncate by name");
    struct stat st;
    stat("w/f", &st), access("w/f", R_OK), events("looking");
    chmod("w", 0700), events("chmod of directory");
    close(open("w", O_RDONLY)), events("open directory");
    int dd = open("w", O_RDONLY);
    syscall(SYS_getdents64, dd, b, 8), events("getdents fails");
    char large[4096];
    syscall(SYS_getdents64, dd, large, sizeof large), events("getdents");
    close(dd), events("close directory");
    mmap(0, 1, PROT_READ, MAP_SHARED, fd = open("w/f", O_RDWR), 0), events("map");
    unlink("w/f"), events("unlink open");
    close(fd), events("last close");
    TRY("gone watch", inotify_rm_watch(watcher, f));
    rename("w", "v"), events("move itself");
    int s = inotify_add_watch(watcher, "v/sub", IN_ALL_EVENTS | IN_ONESHOT);
    SHOW("oneshot %d\n", s);
    chmod("v/sub", 0700), chmod("v/sub", 0755), events("oneshot");
    TRY("rm", inotify_rm_watch(watcher, d));
    events("removed");
    TRY("rm again", inotify_rm_watch(watcher, d));
    s = inotify_add_watch(watcher, "v/sub", IN_DELETE_SELF);
    rmdir("v/sub"), events("delete self");
    s = inotify_add_watch(watcher, "v", IN_CREATE);
    TRY("add", inotify_add_watch(watcher, "v", IN_DELETE | IN_MASK_ADD) == s);
    close(open("v/x", O_CREAT | O_WRONLY, 0600)), unlink("v/x"), events("both");
    TRY("replace", inotify_add_watch(watcher, "v", IN_DELETE) == s);
    close(open("v/x", O_CREAT | O_WRONLY, 0600)), unlink("v/x"), events("one");
    struct pollfd p = {watcher, POLLIN, 0};
    SHOW("poll %d\n", poll(&p, 1, 0));
    close(open("v/x", O_CREAT | O_WRONLY, 0600)), unlink("v/x");
    SHOW("poll %d\n", poll(&p, 1, 0));
    int n = 0;
    ioctl(watcher, FIONREAD, &n), SHOW("bytes %d\n", n);
    TRY("short", read(watcher, b, 8));
    TRY("write", write(watcher, b, 8));
    TRY("excl", inotify_add_watch(watcher, "v", IN_ALL_EVENTS | IN_EXCL_UNLINK) == s);
}

int main(void) {
    mkdir("/dev/shm/directories", 0777), chdir("/dev/shm/directories");
    PART(reading), PART(watches);
    return 0;
}
