/* Mounts, roots. Prints the same on every Linux where a container may mount. */
#include "mountinfo.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static void mounting(void) {
    mkdir("a", 0755), mkdir("b", 0755), mkdir("c", 0755), put("file"), put("a/below");
    TRY("tmpfs", mount("none", "a", "tmpfs", 0, "size=1m,mode=750")), shown("a");
    struct stat st;
    struct statfs s;
    stat("a", &st), SHOW("%o %d\n", st.st_mode, access("a/below", F_OK));
    statfs("a", &s), SHOW("blocks %ld type %lx\n", (long)s.f_blocks * s.f_bsize, (long)s.f_type);
    put("a/x"), mkdir("a/d", 0755), put("a/d/y");
    TRY("full", ({ int fd = open("a/big", O_CREAT | O_WRONLY, 0600); char *z = calloc(1, 2 << 20);
        long n = write(fd, z, 2 << 20); free(z), close(fd); n; }));
    TRY("bind", mount("a/d", "b", 0, MS_BIND, 0)), shown("b"), SHOW("seen %d\n", access("b/y", F_OK));
    TRY("bind file", mount("a/x", "file", 0, MS_BIND, 0)), TRY("unlink point", unlink("file")),
        TRY("rmdir point", rmdir("b"));
    TRY("file on directory", mount("a/x", "c", 0, MS_BIND, 0)),
        TRY("directory on file", mount("a/d", "file", 0, MS_BIND, 0));
    TRY("read-only", mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, 0)), shown("b");
    TRY("write", open("b/z", O_CREAT | O_WRONLY, 0600)), TRY("elsewhere",
        close(open("a/d/z", O_CREAT | O_WRONLY, 0600)));
    TRY("unlink", unlink("b/y")), TRY("chmod", chmod("b/y", 0600)), TRY("access", access("b/y", W_OK));
    TRY("type", mount("none", "c", "nofs", 0, 0)), TRY("none", mount("none", "nowhere", "tmpfs", 0, 0));
    TRY("no source", mount("nothing", "c", 0, MS_BIND, 0)), TRY("options",
        mount("none", "c", "tmpfs", 0, "nonsense=1"));
    TRY("remount no point", mount(0, "c", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    TRY("noexec", mount("none", "c", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOATIME, 0)), shown("c");
    TRY("move", mount("c", "a/d", 0, MS_MOVE, 0)), shown("a/d"), shown("c");
    TRY("move below itself", mount("a", "a/d", 0, MS_MOVE, 0)), TRY("move no mount", mount("c", "b", 0, MS_MOVE, 0));
    TRY("busy", umount("a")), TRY("flags", umount2("a", 64)), TRY("no mount", umount("c")),
        TRY("none", umount("nowhere"));
    int fd = open("a/d", O_RDONLY);
    TRY("busy", umount("a/d")), TRY("lazy", umount2("a/d", MNT_DETACH)), shown("a/d"), close(fd);
    TRY("expire", umount2("file", MNT_EXPIRE)), TRY("expire", umount2("file", MNT_EXPIRE)),
        TRY("expire flags", umount2("b", MNT_EXPIRE | MNT_FORCE));
    symlink("b", "s"), TRY("nofollow", umount2("s", UMOUNT_NOFOLLOW)), TRY("follow", umount("s"));
    TRY("twice", mount("none", "a", "tmpfs", 0, 0)), SHOW("covered %d\n", access("a/x", F_OK)),
        TRY("once", umount("a")), SHOW("back %d\n", access("a/x", F_OK));
    TRY("last", umount("a")), SHOW("below %d\n", access("a/below", F_OK));
    TRY("recursive", mount("none", "a", "tmpfs", 0, 0)), mkdir("a/in", 0755),
        TRY("inner", mount("none", "a/in", "tmpfs", 0, 0)), put("a/in/f");
    TRY("bind", mount("a", "b", 0, MS_BIND, 0)), SHOW("without %d\n", access("b/in/f", F_OK)), umount("b");
    TRY("rbind", mount("a", "b", 0, MS_BIND | MS_REC, 0)), SHOW("with %d\n", access("b/in/f", F_OK)),
        TRY("detach", umount2("b", MNT_DETACH)), TRY("detach", umount2("a", MNT_DETACH));
}

static void propagation(void) {
    mkdir("p", 0755), mount("none", "p", "tmpfs", 0, 0);
    TRY("private", mount(0, "p", 0, MS_PRIVATE, 0)), TRY("recursive", mount(0, "p", 0, MS_PRIVATE | MS_REC, 0));
    TRY("unbindable", mount(0, "p", 0, MS_UNBINDABLE, 0)), mkdir("q", 0755),
        TRY("bind", mount("p", "q", 0, MS_BIND, 0));
    TRY("two", mount(0, "p", 0, MS_PRIVATE | MS_SHARED, 0)), TRY("no mount", mount(0, "q", 0, MS_PRIVATE, 0)),
        umount("p");
}

static void roots(void) {
    mkdir("r", 0755), TRY("root", mount("none", "r", "tmpfs", 0, 0)), mkdir("r/old", 0755), put("r/here");
    TRY("same", syscall(SYS_pivot_root, "r", "r/none")), TRY("not below", syscall(SYS_pivot_root, "r", "/tmp")),
        mkdir("n", 0755), mkdir("n/o", 0755);
    TRY("no mount", syscall(SYS_pivot_root, "n", "n/o"));
    if (!fork()) {
        TRY("chroot", chroot("r")), TRY("inside", access("/here", F_OK)), TRY("cwd is outside", access("r/here", F_OK));
        TRY("chdir", chdir("/")), TRY("up", access("../here", F_OK));
        _exit(0);
    }
    wait(0);
    TRY("file", chroot("r/here")), TRY("none", chroot("none")), TRY("lazy", umount2("r", MNT_DETACH));
    if (!fork()) {
        setresuid(1000, 1000, 1000);
        TRY("chroot", chroot("/")), TRY("mount", mount("none", "n", "tmpfs", 0, 0)), TRY("umount", umount("/proc")),
            TRY("pivot", syscall(SYS_pivot_root, "n", "n/o"));
        _exit(0);
    }
    wait(0);
}

int main(void) {
    mkdir("/dev/shm/mounts", 0777), chdir("/dev/shm/mounts");
    PART(mounting), PART(propagation), PART(roots);
    return 0;
}
