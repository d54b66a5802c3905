/* Ids, capabilities, limits, scheduling, prctl. Prints the same on every Linux. */
#include "show.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void ids(void) {
    unsigned a = 9, b = 9, c = 9;
    getresuid(&a, &b, &c), SHOW("%u %u %u\n", a, b, c);
    TRY("setuid -1", setuid(-1));
    TRY("setgroups", setgroups(3, (gid_t[]){7, 5, 6}));
    gid_t g[3];
    TRY("getgroups", getgroups(0, 0));
    TRY("few", getgroups(2, g));
    TRY("all", getgroups(3, g));
    SHOW("%u %u %u\n", g[0], g[1], g[2]);
    TRY("many", syscall(SYS_setgroups, 70000, g));
    TRY("setresgid", setresgid(10, 11, 12));
    TRY("setresuid", setresuid(20, 21, 22));
    getresuid(&a, &b, &c), SHOW("%u %u %u fs %d\n", a, b, c, setfsuid(-1));
    TRY("dumpable", prctl(PR_GET_DUMPABLE));
    TRY("back", setuid(0));
    TRY("swap", setreuid(21, 20));
    getresuid(&a, &b, &c), SHOW("%u %u %u\n", a, b, c);
    TRY("other", setresuid(-1, 99, -1));
    TRY("own", setresuid(-1, 22, -1));
    TRY("setgid", setgid(12));
    TRY("setgid other", setgid(13));
    TRY("groups", setgroups(0, 0));
    TRY("kill init", kill(1, 0));
    TRY("setfsgid", setfsgid(11));
    TRY("setfsgid", setfsgid(99));
    TRY("setfsgid", setfsgid(-1));
    TRY("hostname", sethostname("x", 1));
}

static void capabilities(void) {
    struct __user_cap_header_struct h = {0x12345678, 0};
    struct __user_cap_data_struct d[2] = {0};
    TRY("version", syscall(SYS_capget, &h, d));
    SHOW("%x\n", h.version);
    h.pid = -1;
    TRY("pid", syscall(SYS_capget, &h, d));
    h.pid = 99999;
    TRY("nobody", syscall(SYS_capget, &h, d));
    h.pid = 0;
    TRY("get", syscall(SYS_capget, &h, d));
    d[0].effective = 1 << CAP_CHOWN | 1 << CAP_SETUID;
    d[0].permitted = d[0].effective, d[0].inheritable = 1 << CAP_CHOWN, d[1].effective = d[1].permitted = 0;
    TRY("set", syscall(SYS_capset, &h, d));
    d[0].permitted |= 1 << CAP_KILL;
    TRY("more", syscall(SYS_capset, &h, d));
    TRY("bounding", prctl(PR_CAPBSET_READ, CAP_CHOWN));
    TRY("drop", prctl(PR_CAPBSET_DROP, CAP_CHOWN));
    TRY("read bad", prctl(PR_CAPBSET_READ, 99));
    TRY("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
    TRY("is", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
    TRY("not permitted", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    TRY("clear", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    TRY("keep", prctl(PR_SET_KEEPCAPS, 1));
    TRY("keep bad", prctl(PR_SET_KEEPCAPS, 2));
    TRY("securebits", prctl(PR_GET_SECUREBITS));
    TRY("setuid", setuid(30));
    syscall(SYS_capget, &h, d);
    SHOW("effective %x permitted %x\n", d[0].effective, d[0].permitted);
}

static void settings(void) {
    char name[16];
    TRY("name", prctl(PR_SET_NAME, "a name that is too long"));
    prctl(PR_GET_NAME, name), SHOW("%s\n", name);
    TRY("pdeathsig", prctl(PR_SET_PDEATHSIG, 99));
    TRY("dumpable", prctl(PR_SET_DUMPABLE, 2));
    TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TRY("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int reaper = 9;
    TRY("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 5));
    prctl(PR_GET_CHILD_SUBREAPER, &reaper), SHOW("%d\n", reaper);
    TRY("slack", prctl(PR_GET_TIMERSLACK));
    TRY("set slack", prctl(PR_SET_TIMERSLACK, 100));
    TRY("slack", prctl(PR_GET_TIMERSLACK));
    TRY("unknown", prctl(9999));
    TRY("personality", personality(0xffffffff));
    TRY("random", getrandom(name, 5, 0) == 5);
    TRY("random flags", getrandom(name, 5, 8));
    struct utsname u;
    TRY("uname", uname(&u));
    SHOW("%s %s\n", u.sysname, u.machine);
    struct sysinfo s;
    TRY("sysinfo", sysinfo(&s));
    SHOW("%d %d\n", s.totalram >= s.freeram, s.mem_unit >= 1);
    TRY("unshare", unshare(0x40));
    TRY("unshare fs", unshare(CLONE_FS | CLONE_FILES));
}

static void limits(void) {
    struct rlimit l = {10, 5};
    TRY("order", setrlimit(RLIMIT_CPU, &l));
    TRY("number", getrlimit(99, &l));
    l.rlim_cur = 100, l.rlim_max = 200;
    TRY("lower", setrlimit(RLIMIT_NOFILE, &l));
    l.rlim_max = 300;
    TRY("raise", setrlimit(RLIMIT_NOFILE, &l));
    struct rlimit o;
    TRY("prlimit", prlimit(0, RLIMIT_NOFILE, 0, &o));
    SHOW("%d %d\n", (int)o.rlim_cur, (int)o.rlim_max);
    TRY("nobody", prlimit(999999, RLIMIT_NOFILE, 0, &o));
    struct rusage u;
    TRY("rusage", getrusage(5, &u));
    TRY("fault", syscall(SYS_getrlimit, RLIMIT_NOFILE, 8));
}

static void scheduling(void) {
    struct sched_param p = {0};
    TRY("policy", sched_getscheduler(0));
    TRY("negative", sched_getscheduler(-1));
    TRY("nobody", sched_getscheduler(999999));
    TRY("batch", sched_setscheduler(0, SCHED_BATCH, &p));
    p.sched_priority = 1;
    TRY("batch 1", sched_setscheduler(0, SCHED_BATCH, &p));
    TRY("fifo", sched_setscheduler(0, SCHED_FIFO, &p));
    TRY("number", sched_setscheduler(0, 77, &p));
    TRY("max", sched_get_priority_max(SCHED_RR));
    TRY("min", sched_get_priority_min(SCHED_OTHER));
    TRY("bad", sched_get_priority_min(77));
    TRY("nice", setpriority(PRIO_PROCESS, 0, 5));
    TRY("raw", syscall(SYS_getpriority, PRIO_PROCESS, 0));
    TRY("higher", setpriority(PRIO_PROCESS, 0, 1));
    TRY("which", setpriority(9, 0, 1));
    TRY("nobody", setpriority(PRIO_PROCESS, 999999, 1));
    cpu_set_t set;
    CPU_ZERO(&set);
    TRY("no cpu", sched_setaffinity(0, sizeof set, &set));
    TRY("get", sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    TRY("short", syscall(SYS_sched_getaffinity, 0, 1, &set));
    TRY("odd", syscall(SYS_sched_getaffinity, 0, 9, &set));
    TRY("ioprio", syscall(SYS_ioprio_get, 1, 0));
    TRY("ioprio set", syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3));
    TRY("ioprio", syscall(SYS_ioprio_get, 1, 0));
    TRY("ioprio class", syscall(SYS_ioprio_set, 1, 0, 5 << 13));
    TRY("yield", sched_yield());
}

int main(void) {
    PART(capabilities);
    PART(ids);
    if (setresgid(50, 50, 50) || setgroups(0, 0) || setresuid(50, 50, 50))
        return 1;
    PART(settings);
    PART(limits);
    PART(scheduling);
    return 0;
}
