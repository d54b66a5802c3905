/* kcmp and arch_prctl. Prints the same on every Linux. */
#include "show.h"
#include <asm/prctl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/sem.h>

static long compare(pid_t one, pid_t other, int type, unsigned long i, unsigned long j) {
    return syscall(SYS_kcmp, one, other, type, i, j);
}

static int waits(void *argument) {
    (void)argument;
    pause();
    return 0;
}

static void objects(void) {
    pid_t self = getpid();
    int a = open("/dev/null", O_RDWR), b = dup(a), c = open("/dev/null", O_RDWR);
    TRY("the same file", compare(self, self, KCMP_FILE, a, b));
    SHOW("another %d\n", compare(self, self, KCMP_FILE, a, c) > 0);
    SHOW("in order %d\n", compare(self, self, KCMP_FILE, a, c) + compare(self, self, KCMP_FILE, c, a) == 3);
    TRY("no file", compare(self, self, KCMP_FILE, a, 99)), TRY("type", compare(self, self, 99, 0, 0));
    TRY("nobody", compare(self, 99999, KCMP_VM, 0, 0));
    for (int type = KCMP_VM; type <= KCMP_SYSVSEM; type++) TRY("own", compare(self, self, type, 0, 0));
    static char stack[2][16384];
    int flags[] = {0, CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND};
    for (int i = 0; i < 2; i++) {
        pid_t child = clone(waits, stack[i] + sizeof stack[i], flags[i] | SIGCHLD, 0);
        usleep(20000);
        TRY("inherited file", compare(self, child, KCMP_FILE, a, b));
        SHOW("memory %d", compare(self, child, KCMP_VM, 0, 0) == 0);
        SHOW(" files %d", compare(self, child, KCMP_FILES, 0, 0) == 0);
        SHOW(" fs %d", compare(self, child, KCMP_FS, 0, 0) == 0);
        SHOW(" handlers %d\n", compare(self, child, KCMP_SIGHAND, 0, 0) == 0);
        kill(child, SIGKILL), waitpid(child, 0, 0);
    }
    if (!fork()) setresuid(1000, 1000, 1000), TRY("not permitted", compare(getppid(), getpid(), KCMP_VM, 0, 0)),
        _exit(0);
    wait(0);
}

static void undone(void) {
    int set = semget(IPC_PRIVATE, 1, 0600);
    pid_t child = fork();
    if (!child) pause(), _exit(0);
    TRY("no lists", compare(getpid(), child, KCMP_SYSVSEM, 0, 0));
    TRY("undo", semop(set, &(struct sembuf){0, 1, SEM_UNDO}, 1));
    SHOW("one list %d\n", compare(getpid(), child, KCMP_SYSVSEM, 0, 0) > 0);
    TRY("own list", compare(getpid(), getpid(), KCMP_SYSVSEM, 0, 0));
    kill(child, SIGKILL), waitpid(child, 0, 0), semctl(set, 0, IPC_RMID);
}

static void segments(void) {
    unsigned long base = 77, set = 0x1000;
    TRY("get FS", syscall(SYS_arch_prctl, ARCH_GET_FS, &base)), SHOW("is there %d\n", base > 4096);
    TRY("set GS", syscall(SYS_arch_prctl, ARCH_SET_GS, set)),
        TRY("get GS", syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    SHOW("GS %lx\n", base), TRY("pointer", syscall(SYS_arch_prctl, ARCH_GET_FS, 8));
    TRY("beyond", syscall(SYS_arch_prctl, ARCH_SET_GS, -1UL)), TRY("code", syscall(SYS_arch_prctl, 0, 0));
    TRY("another", syscall(SYS_arch_prctl, 0x3001, &base)), TRY("cpuid", syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
}

int main(void) {
    PART(objects), PART(undone), PART(segments);
    return 0;
}
