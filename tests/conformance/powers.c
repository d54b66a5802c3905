/* What ids and capabilities allow, and what becomes of them. Prints the same on every Linux. */
#include "show.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Which there are differs between containers: these are in all. */
static const int shown[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL,
                            CAP_SETGID, CAP_SETUID,       CAP_NET_BIND_SERVICE};
#define BIT(cap) (1u << (cap))

static struct __user_cap_data_struct sets[2];

static void get(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    syscall(SYS_capget, &head, sets);
}

static long put(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capset, &head, sets);
}

static void show(const char *what) {
    unsigned mask = 0, ambient = 0;
    get();
    for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++) {
        mask |= BIT(shown[i]);
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, shown[i], 0, 0) == 1) ambient |= BIT(shown[i]);
    }
    SHOW("%s: effective %x permitted %x inheritable %x ambient %x\n", what, sets[0].effective & mask,
         sets[0].permitted & mask, sets[0].inheritable & mask, ambient);
}

static void without(int cap) {
    get(), sets[0].effective &= ~BIT(cap), put();
}

static void ids(const char *what) {
    uid_t r, e, s;
    getresuid(&r, &e, &s), SHOW("%s: %d %d %d, files %d\n", what, r, e, s, setfsuid(-1));
}

static void users(void) {
    ids("root"), TRY("setresuid", setresuid(-1, 1000, -1)), ids("effective"), show("effective");
    TRY("back", seteuid(0)), show("back"), TRY("fsuid", setfsuid(1000)), show("fsuid"), setfsuid(0), show("fsuid back");
    TRY("swap", setreuid(1000, 0)), ids("real"), show("real"), TRY("all", setuid(1000)), ids("all"), show("all");
    TRY("root again", setuid(0)), TRY("another", setresuid(-1, 1001, -1)), TRY("own", setresuid(1000, 1000, 1000));
}

static void fixups(void) {
    TRY("keep", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)), setresuid(1000, 1000, 1000), show("kept");
    get(), sets[0].effective = sets[0].permitted, TRY("raise", put()), show("raised");
    TRY("root", setresuid(0, 0, 0)), ids("root"), show("root");
    TRY("no fixup", prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)), setresuid(1000, 1000, 1000);
    show("no fixup"), TRY("bits", prctl(PR_GET_SECUREBITS));
}

static void bits(void) {
    TRY("lock", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED, 0, 0, 0)), TRY("keep", prctl(PR_SET_KEEPCAPS, 1));
    TRY("unlock", prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)), TRY("unknown", prctl(PR_SET_SECUREBITS, 1 << 12, 0, 0, 0));
    TRY("no ambient", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE, 0, 0, 0));
    get(), sets[0].inheritable |= BIT(CAP_CHOWN), TRY("inherit", put());
    TRY("raise", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)), without(CAP_SETPCAP);
    TRY("without CAP_SETPCAP", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED, 0, 0, 0));
}

static void ambient(void) {
    TRY("not inheritable", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    get(), sets[0].inheritable |= BIT(CAP_KILL) | BIT(CAP_CHOWN), put();
    TRY("raise", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    TRY("raise", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)), show("raised");
    TRY("lower", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0)), show("lowered");
    TRY("number", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 64, 0, 0)),
        TRY("what", prctl(PR_CAP_AMBIENT, 9, 0, 0, 0));
    TRY("rest", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
    get(), sets[0].inheritable = 0, put(), show("inheritable taken");
    get(), sets[0].inheritable |= BIT(CAP_KILL), put(), prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
    setresuid(1000, 1000, 1000), show("another user");
}

static void bounding(void) {
    TRY("there", prctl(PR_CAPBSET_READ, CAP_KILL)), TRY("drop", prctl(PR_CAPBSET_DROP, CAP_KILL));
    TRY("gone", prctl(PR_CAPBSET_READ, CAP_KILL)), show("still permitted"), TRY("number", prctl(PR_CAPBSET_DROP, 64));
    get(), sets[0].inheritable |= BIT(CAP_KILL), TRY("inherit", put()), without(CAP_SETPCAP);
    TRY("without CAP_SETPCAP", prctl(PR_CAPBSET_DROP, CAP_CHOWN));
    get(), sets[0].inheritable |= BIT(CAP_CHOWN), TRY("inherit permitted", put());
}

static void groups(void) {
    gid_t list[4] = {9, 7, 8, 7}, got[4];
    TRY("set", setgroups(4, list)), TRY("count", getgroups(0, 0)), TRY("get", getgroups(4, got));
    for (int i = 0; i < 4; i++) SHOW("%d ", got[i]);
    TRY("\nfew", getgroups(3, got)), TRY("negative", syscall(SYS_getgroups, -1, got)),
        TRY("pointer", syscall(SYS_setgroups, 2, 8));
    int fd = open("grouped", O_CREAT | O_RDWR, 0640);
    fchown(fd, 0, 8), without(CAP_SETGID), TRY("without CAP_SETGID", setgroups(0, 0));
    TRY("setgid", setgid(8)), TRY("setresgid own", setresgid(0, 0, 0)), TRY("setfsgid", setfsgid(8)),
        TRY("still", setfsgid(-1));
    setresuid(1000, 1000, 1000), OPEN("by group", open("grouped", O_RDONLY)), OPEN("write", open("grouped", O_RDWR));
}

static void clean(void) {
    TRY("unlink", unlink("grouped"));
}

static void files(void) {
    umask(0);
    int fd = open("f", O_CREAT | O_RDWR, 0600), sticky = mkdir("sticky", 01777);
    (void)sticky, close(open("sticky/f", O_CREAT | O_RDWR, 0666)), close(fd);
    setfsuid(1000), OPEN("as somebody", open("f", O_RDONLY)), TRY("access asks the real one", access("f", R_OK));
    setfsuid(0), without(CAP_CHOWN), TRY("chown", chown("f", 1000, -1)), TRY("own", chown("f", 0, 0)),
        without(CAP_FOWNER);
    get(), sets[0].effective |= BIT(CAP_CHOWN), put(), chown("f", 1000, 1000);
    TRY("chmod", chmod("f", 0644)), TRY("utimes", utimensat(AT_FDCWD, "f", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
    chown("sticky/f", 1000, 1000), chown("sticky", 1001, 1001), TRY("sticky", unlink("sticky/f"));
    OPEN("overrides", open("f", O_RDWR)), without(CAP_DAC_OVERRIDE), OPEN("no override", open("f", O_RDWR));
    OPEN("reads", open("f", O_RDONLY)), without(CAP_DAC_READ_SEARCH), OPEN("reads not", open("f", O_RDONLY));
    without(CAP_MKNOD), TRY("device", mknod("null", S_IFCHR | 0666, 0x103)),
        TRY("fifo", mknod("fifo", S_IFIFO | 0666, 0));
    without(CAP_SYS_CHROOT), TRY("chroot", chroot(".")), without(CAP_SYS_ADMIN), TRY("hostname", sethostname("x", 1));
    TRY("fifo", unlink("fifo"));
}

static void removed(void) {
    TRY("f", unlink("f")), TRY("sticky/f", unlink("sticky/f")), TRY("sticky", rmdir("sticky"));
}

static void signals(void) {
    pid_t other = fork();
    if (!other) {
        setresuid(1000, 1000, 1000), prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    usleep(20000), TRY("root", kill(other, 0)), without(CAP_KILL), TRY("without CAP_KILL", kill(other, 0));
    setresuid(1001, 1000, 1001), TRY("effective", kill(other, 0)), setresuid(-1, 1001, -1),
        TRY("nothing", kill(other, 0));
    TRY("continue", kill(other, SIGCONT)), TRY("nobody", kill(99999, 0));
}

static void others(void) {
    pid_t other = fork();
    if (!other) for (;;) pause();
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, other};
    TRY("get another's", syscall(SYS_capget, &head, sets)), TRY("set another's", syscall(SYS_capset, &head, sets));
    kill(other, SIGKILL), waitpid(other, 0, 0);
    struct sockaddr_in low = {AF_INET, htons(81), {htonl(INADDR_LOOPBACK)}, {0}};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    without(CAP_NET_BIND_SERVICE), TRY("low port", bind(s, (void *)&low, sizeof low));
    without(CAP_NET_RAW), OPEN("raw", socket(AF_INET, SOCK_RAW, 1)), without(CAP_SYS_NICE);
    nice(5), TRY("less nice", nice(-1));
}

int main(void) {
    PART(users), PART(fixups), PART(bits), PART(ambient), PART(bounding), PART(groups), PART(clean), PART(files);
    PART(removed), PART(signals), PART(others);
    return 0;
}
