/* Calls that reach for the host, its kernel or other processes. Each must be refused with an error. */
#include "attack.h"
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>

static int got;

static void expect_refused(const char *what, long result) {
    if (result >= 0) { printf("%s: granted\n", what); got++; }
}

#define REFUSED(name, ...) expect_refused(#name, syscall(SYS_##name, __VA_ARGS__))

static void foreign(void) {
    static char buffer[4096];
    struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof event };
    struct io_uring_params ring = { 0 };
    struct iovec part = { buffer, sizeof buffer };
    REFUSED(perf_event_open, &event, 0, -1, -1, 0);
    REFUSED(bpf, 0, buffer, 72);
    REFUSED(userfaultfd, 0);
    REFUSED(io_uring_setup, 8, &ring);
    REFUSED(kcmp, 1, 99999, 0, 0, 1);
    REFUSED(init_module, buffer, 4096, "");
    REFUSED(finit_module, 0, "", 0);
    REFUSED(delete_module, "x", 0);
    REFUSED(kexec_load, 0, 0, NULL, 0);
    REFUSED(iopl, 3);
    REFUSED(ioperm, 0, 1024, 1);
    REFUSED(modify_ldt, 1, buffer, 16);
    REFUSED(reboot, 0xfee1dead, 672274793, 0x1234567, NULL);
    REFUSED(swapon, "/tmp/x", 0);
    REFUSED(settimeofday, buffer, NULL);
    REFUSED(clock_settime, 0, buffer);
    REFUSED(acct, "/tmp/x");
    REFUSED(open_by_handle_at, -100, buffer, 0);
    REFUSED(process_vm_readv, 99999, &part, 1, &part, 1, 0);
    REFUSED(ptrace, 16, 99999, 0, 0);
    REFUSED(pidfd_getfd, -1, 0, 0);
    REFUSED(seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, buffer);
    REFUSED(setns, -1, 0);
    REFUSED(unshare, 0x10000000);
    REFUSED(quotactl, 0x80000700, "x", 0, buffer);
    REFUSED(mount, "/dev/vda", "/tmp", "ext4", 0, NULL);
    REFUSED(lookup_dcookie, 0, buffer, 10);
    REFUSED(kill, 99999, 0);
}

static long int80(long number) {
    asm volatile("int $0x80" : "+a"(number) : "b"(0L) : "memory");
    return number;
}


/* The two other entries to the host: 32 bits, and x32. */
static void entries(void) {
    for (long number = 0; number < 400; number++) {
        pid_t child = fork();
        if (child == 0) {
            if (number != 1 && number != 252) _exit(int80(number) < 0 ? 0 : 1);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 1) { printf("int 0x80 %ld: granted\n", number); got++; }
        if (syscall(0x40000000 | number, 0, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS) {
            printf("x32 %ld: granted\n", number);
            got++;
        }
        if (number == 60) number = 300;
    }
}

int main(int argc, char **argv) {
    static const struct attack attacks[] = { { "foreign", foreign }, { "entries", entries }, { 0 } };
    return run_attack(attacks, argc, argv) || got;
}
