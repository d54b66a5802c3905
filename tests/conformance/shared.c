/* Shared memory: memfd and seals, System V segments, POSIX names. Prints the same on every Linux. */
#include "show.h"
#include <sys/ipc.h>
#include <sys/shm.h>
#include <linux/memfd.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#ifndef MFD_EXEC
#define MFD_NOEXEC_SEAL 8
#define MFD_EXEC 16
#endif

static void sealed(void) {
    char b[8];
    TRY("flags", memfd_create("x", 0x100));
    char longname[300] = {0};
    memset(longname, 'n', 250);
    TRY("name", memfd_create(longname, 0));
    int fd = OPEN("plain", memfd_create("plain", 0));
    TRY("seals", fcntl(fd, F_GET_SEALS)), TRY("add", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    char link[64] = {0}, path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd), readlink(path, link, 63), SHOW("%s\n", link);
    fd = OPEN("create", memfd_create("m", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    TRY("seals", fcntl(fd, F_GET_SEALS)), TRY("truncate", ftruncate(fd, 8192)), TRY("write", write(fd, "hello", 5));
    TRY("bits", fcntl(fd, F_ADD_SEALS, 0x1000));
    TRY("shrink", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)), TRY("smaller", ftruncate(fd, 100)),
        TRY("larger", ftruncate(fd, 10000));
    TRY("grow", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)), TRY("larger", ftruncate(fd, 20000)),
        TRY("at the end", pwrite(fd, "x", 1, 10000));
    TRY("fallocate", fallocate(fd, 0, 0, 30000));
    char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY("busy", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), munmap(m, 8192);
    TRY("write", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), TRY("write", write(fd, "x", 1));
    TRY("map", mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)),
        m = mmap(0, 8192, PROT_READ, MAP_SHARED, fd, 0);
    TRY("map read", m != MAP_FAILED), TRY("mprotect", mprotect(m, 8192, PROT_READ | PROT_WRITE));
    TRY("private", mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    TRY("punch", fallocate(fd, 3, 0, 4096)), TRY("read", pread(fd, b, 5, 0));
    TRY("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL)), TRY("more", fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    TRY("seals", fcntl(fd, F_GET_SEALS));
    fd = memfd_create("f", MFD_ALLOW_SEALING), ftruncate(fd, 4096),
        m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY("future", fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)), m[0] = 'x', TRY("write", write(fd, "x", 1));
    TRY("pipe", fcntl(0, F_GET_SEALS));
    struct stat st;
    fstat(fd, &st), SHOW("%o %ld\n", st.st_mode, (long)st.st_nlink);
}

static void segments(void) {
    TRY("size 0", shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600)), TRY("none", shmget(0x77, 100, 0600));
    int id = shmget(0x1234, 5000, IPC_CREAT | IPC_EXCL | 0640);
    TRY("made", id >= 0), TRY("again", shmget(0x1234, 5000, IPC_CREAT | IPC_EXCL | 0640)),
        TRY("same", shmget(0x1234, 100, 0) == id);
    TRY("larger", shmget(0x1234, 10000, 0));
    char *a = shmat(id, 0, 0), *b = shmat(id, 0, SHM_RDONLY);
    SHOW("attached %d %d\n", a != (void *)-1, b != (void *)-1 && a != b);
    strcpy(a, "shared"), SHOW("%s\n", b);
    struct shmid_ds d;
    TRY("stat", shmctl(id, IPC_STAT, &d)), SHOW("%ld %d %o %d\n", (long)d.shm_segsz, (int)d.shm_nattch, d.shm_perm.mode,
        d.shm_cpid == getpid());
    TRY("unaligned", (long)shmat(id, (void *)12345, 0)), TRY("flags", shmctl(id, 99, &d));
    d.shm_perm.mode = 0600, TRY("set", shmctl(id, IPC_SET, &d)), shmctl(id, IPC_STAT, &d),
        SHOW("%o\n", d.shm_perm.mode);
    if (!fork()) {
        strcpy(a, "child"), setresuid(1000, 1000, 1000);
        TRY("denied", shmget(0x1234, 100, 0600)), TRY("denied", (long)shmat(id, 0, 0)),
            TRY("denied", shmctl(id, IPC_RMID, 0)), TRY("denied", shmctl(id, IPC_STAT, &d));
        _exit(0);
    }
    wait(0), SHOW("%s\n", b);
    TRY("rmid", shmctl(id, IPC_RMID, 0)), TRY("key is free", shmget(0x1234, 5000, 0));
    TRY("stat of dead", shmctl(id, IPC_STAT, &d)), SHOW("%o %d\n", d.shm_perm.mode & SHM_DEST, (int)d.shm_nattch);
    TRY("detach", shmdt(a)), TRY("again", shmdt(a)), TRY("last", shmdt(b)), TRY("gone", shmctl(id, IPC_STAT, &d));
}

static void names(void) {
    int fd = OPEN("shm_open", shm_open("/conf", O_CREAT | O_EXCL | O_RDWR, 0600));
    TRY("again", shm_open("/conf", O_CREAT | O_EXCL | O_RDWR, 0600)), TRY("truncate", ftruncate(fd, 4096));
    int *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!fork()) m[0] = 42, _exit(0);
    wait(0), SHOW("%d\n", m[0]);
    TRY("unlink", shm_unlink("/conf")), TRY("again", shm_unlink("/conf"));
    int *anon = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!fork()) anon[5] = 7, _exit(0);
    wait(0), SHOW("%d\n", anon[5]);
}

static void mode(int fd) {
    struct stat st;
    fstat(fd, &st), SHOW("mode %o seals %#x\n", st.st_mode, fcntl(fd, F_GET_SEALS));
}

/* Files that stay executable, or never are. */
static void programs(void) {
    char path[64];
    int fd = OPEN("program", memfd_create("x", MFD_ALLOW_SEALING | MFD_EXEC));
    mode(fd), TRY("chmod", fchmod(fd, 0600)), TRY("back", fchmod(fd, 0750)), write(fd, "text", 4);
    char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY("busy", fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC)), m[0] = 'T', munmap(m, 4096), mode(fd);
    TRY("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC)), mode(fd);
    TRY("less", fchmod(fd, 0640)), TRY("more", fchmod(fd, 0755)), TRY("other bits", fchmod(fd, 0510)), mode(fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd), TRY("by name", chmod(path, 0600));
    TRY("owner", fchown(fd, 1, 1)), TRY("write", pwrite(fd, "x", 1, 0)), TRY("shorter", ftruncate(fd, 1));
    TRY("map", mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    fd = OPEN("data", memfd_create("x", MFD_NOEXEC_SEAL)), mode(fd), TRY("write", write(fd, "text", 4));
    TRY("chmod", fchmod(fd, 0766)), TRY("other bits", fchmod(fd, 0600));
    TRY("more", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)), mode(fd), snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY("run", execl(path, "x", (char *)0));
    fd = memfd_create("x", MFD_ALLOW_SEALING), TRY("chmod", fchmod(fd, 0600));
    TRY("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC)), mode(fd), TRY("write", write(fd, "text", 4));
    TRY("both", memfd_create("x", MFD_NOEXEC_SEAL | MFD_EXEC)), fd = memfd_create("x", MFD_EXEC);
    TRY("plain", fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC)), mode(fd);
    fd = open("/proc/sys/vm/memfd_noexec", O_RDONLY), TRY("setting", read(fd, path, 8)), SHOW("%c\n", *path);
}

int main(void) {
    PART(sealed), PART(programs), PART(segments), PART(names);
    return 0;
}
