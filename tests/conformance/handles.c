/* Names of files that need no path: name_to_handle_at, open_by_handle_at, and linkat of a descriptor. */
#include "show.h"
#include <sys/mount.h>

#define ROOM 128
struct handle {
    struct file_handle head;
    unsigned char bytes[ROOM];
};

static int of(int fd, const char *path, struct handle *h, int flags) {
    int id;
    h->head.handle_bytes = ROOM;
    return name_to_handle_at(fd, path, &h->head, &id, flags);
}

static void put(const char *name) {
    close(open(name, O_CREAT | O_WRONLY, 0644));
}

static void show_link(const char *what, int fd) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, text, sizeof text - 1);
    SHOW("%s is %s\n", what, n < 0 ? "?" : text);
    close(fd);
}

static void making(void) {
    struct handle h, again, other;
    int id, fd = open("d", O_RDONLY);
    put("f"), put("g"), symlink("f", "s");
    TRY("file", of(AT_FDCWD, "f", &h, 0)), SHOW("%u bytes type %d\n", h.head.handle_bytes, h.head.handle_type);
    TRY("again", of(AT_FDCWD, "f", &again, 0)), SHOW("same %d\n", !memcmp(&h, &again, 8 + h.head.handle_bytes));
    TRY("other", of(AT_FDCWD, "g", &other, 0)), SHOW("same %d\n", !memcmp(&h, &other, 8 + h.head.handle_bytes));
    TRY("link", of(AT_FDCWD, "s", &other, 0)), SHOW("same %d\n", !memcmp(&h, &other, 8 + h.head.handle_bytes));
    TRY("followed", of(AT_FDCWD, "s", &other, AT_SYMLINK_FOLLOW)),
        SHOW("same %d\n", !memcmp(&h, &other, 8 + h.head.handle_bytes));
    TRY("empty", of(fd, "", &h, AT_EMPTY_PATH)), TRY("empty without", of(fd, "", &h, 0));
    TRY("identity", of(AT_FDCWD, "f", &h, 0x200)), TRY("identity of proc", of(AT_FDCWD, "/proc", &h, 0x200));
    TRY("proc", of(AT_FDCWD, "/proc", &h, 0)), TRY("overlay", of(AT_FDCWD, "/", &h, 0));
    TRY("flags", of(AT_FDCWD, "f", &h, 0x10)), TRY("none", of(AT_FDCWD, "none", &h, 0)), TRY("bad fd", of(99, "f", &h, 0));
    h.head.handle_bytes = 0;
    TRY("room", name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0)), SHOW("wants %u\n", h.head.handle_bytes);
    h.head.handle_bytes = 11;
    TRY("room", name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0)), SHOW("wants %u\n", h.head.handle_bytes);
    h.head.handle_bytes = 129;
    TRY("too much", name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0));
    TRY("fault", name_to_handle_at(AT_FDCWD, "f", (void *)8, &id, 0)), h.head.handle_bytes = ROOM;
    TRY("fault of id", name_to_handle_at(AT_FDCWD, "f", &h.head, (void *)8, 0));
    struct statx x;
    name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0), statx(AT_FDCWD, "f", 0, 0, &x);
    SHOW("mount %d\n", (uint64_t)id == x.stx_mnt_id);
}

static void opening(void) {
    struct handle file, directory, link, fifo;
    int here = open(".", O_RDONLY), at;
    mkdir("d", 0755), put("d/f"), symlink("f", "d/s"), mkfifo("d/p", 0600);
    of(AT_FDCWD, "d/f", &file, 0), of(AT_FDCWD, "d", &directory, 0), of(AT_FDCWD, "d/s", &link, 0);
    of(AT_FDCWD, "d/p", &fifo, 0);
    show_link("file", OPEN("file", open_by_handle_at(here, &file.head, O_RDWR)));
    show_link("by cwd", OPEN("file", open_by_handle_at(AT_FDCWD, &file.head, O_PATH)));
    show_link("directory", OPEN("directory", open_by_handle_at(here, &directory.head, O_RDONLY | O_DIRECTORY)));
    OPEN("link", open_by_handle_at(here, &link.head, O_RDONLY));
    show_link("link", OPEN("link", open_by_handle_at(here, &link.head, O_PATH | O_NOFOLLOW)));
    OPEN("fifo", open_by_handle_at(here, &fifo.head, O_RDONLY | O_NONBLOCK));
    OPEN("file as directory", open_by_handle_at(here, &file.head, O_DIRECTORY));
    OPEN("bad fd", open_by_handle_at(99, &file.head, O_RDONLY)), at = open("/proc", O_RDONLY);
    OPEN("elsewhere", open_by_handle_at(at, &file.head, O_RDONLY)), close(at);
    OPEN("fault", open_by_handle_at(here, (void *)8, O_RDONLY));
    rename("d/f", "moved"), show_link("moved", OPEN("moved", open_by_handle_at(here, &file.head, O_RDONLY)));
    at = open("moved", O_RDONLY), unlink("moved"), close(OPEN("gone", open_by_handle_at(here, &file.head, O_RDONLY))), close(at);
    OPEN("gone", open_by_handle_at(here, &file.head, O_RDONLY));
    struct handle bad = directory;
    bad.head.handle_bytes = 0, OPEN("no bytes", open_by_handle_at(here, &bad.head, 0));
    bad.head.handle_bytes = 4, OPEN("few bytes", open_by_handle_at(here, &bad.head, 0));
    bad.head.handle_bytes = 129, OPEN("many bytes", open_by_handle_at(here, &bad.head, 0));
    bad = directory, bad.head.handle_type = 77, OPEN("type", open_by_handle_at(here, &bad.head, 0));
    bad = directory, bad.head.handle_type = -1, OPEN("negative type", open_by_handle_at(here, &bad.head, 0));
    mkdir("t", 0755), mount("none", "t", "tmpfs", 0, 0), at = open("t", O_RDONLY);
    OPEN("of another", open_by_handle_at(at, &directory.head, 0)), close(at), umount("t");
    if (!fork()) {
        setresuid(1000, 1000, 1000), OPEN("without right", open_by_handle_at(here, &directory.head, 0));
        TRY("name", of(here, "d", &directory, 0));
        _exit(0);
    }
    wait(0);
}

static void many(void) {
    struct handle h, deep;
    char name[32];
    int here = open(".", O_RDONLY);
    mkdir("m", 0755), mkdir("m/a", 0755), mkdir("m/a/b", 0755), put("m/a/b/x");
    of(AT_FDCWD, "m/a/b/x", &deep, 0);
    for (int n = 0; n < 3000; n++) snprintf(name, sizeof name, "m/%d", n), put(name), of(AT_FDCWD, name, &h, 0);
    show_link("deep", OPEN("deep", open_by_handle_at(here, &deep.head, O_RDONLY)));
    show_link("last", OPEN("last", open_by_handle_at(here, &h.head, O_RDONLY)));
}

/* Since Linux 6.10 who opened a file may link it. */
static void linking(void) {
    mkdir("l", 0777), chmod("l", 0777), chdir("l"), put("root's");
    int roots = open("root's", O_PATH), shared;
    if (!fork()) {
        setresgid(1000, 1001, 1000), setresuid(1000, 1000, 1000);
        int fd = open(".", O_TMPFILE | O_RDWR, 0600), place;
        TRY("nameless", linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH)), put("own"), place = open("own", O_PATH);
        TRY("place", linkat(place, "", AT_FDCWD, "own2", AT_EMPTY_PATH));
        TRY("another's", linkat(roots, "", AT_FDCWD, "no", AT_EMPTY_PATH));
        TRY("no flag", linkat(place, "", AT_FDCWD, "no", 0));
        TRY("directory", linkat(AT_FDCWD, "", AT_FDCWD, "no", AT_EMPTY_PATH));
        shared = dup(place);
        if (!fork()) TRY("a child's", linkat(shared, "", AT_FDCWD, "no", AT_EMPTY_PATH)), _exit(0);
        wait(0);
        setresgid(-1, 1000, -1), TRY("after a change", linkat(place, "", AT_FDCWD, "own3", AT_EMPTY_PATH));
        TRY("relative", linkat(roots, "x", AT_FDCWD, "no", AT_EMPTY_PATH));
        TRY("absolute", linkat(roots, "/dev/shm/handles/l/own", AT_FDCWD, "own4", AT_EMPTY_PATH));
        _exit(0);
    }
    wait(0);
    TRY("root", linkat(roots, "", AT_FDCWD, "root2", AT_EMPTY_PATH));
    struct stat st;
    stat("own", &st), SHOW("links %ld\n", (long)st.st_nlink);
}

int main(void) {
    umask(0);
    mkdir("/dev/shm/handles", 0777), chmod("/dev/shm/handles", 0777), chdir("/dev/shm/handles");
    PART(making), PART(opening), PART(many), PART(linking);
    return 0;
}
