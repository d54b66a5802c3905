/* Terminals: modes, sessions, job control. Prints the same on every Linux. */
#include "show.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;

static void open_pair(void) {
    char name[64];
    int unlocked = 0, number = -1;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    TRY("number", ioctl(master, TIOCGPTN, &number)), TRY("unlock", ioctl(master, TIOCSPTLCK, &unlocked));
    snprintf(name, sizeof name, "/dev/pts/%d", number), slave = open(name, O_RDWR | O_NOCTTY);
    TRY("open", slave >= 0);
}

static void got(const char *what, int fd) {
    char b[256];
    struct pollfd p = {fd, POLLIN, 0};
    long n = poll(&p, 1, 200) > 0 ? read(fd, b, sizeof b) : -2;
    SHOW("%s %ld:", what, n);
    for (long i = 0; i < n; i++) SHOW(b[i] < 32 || b[i] > 126 ? " %02x" : "%c", b[i]);
    SHOW("\n");
}

static void say(const char *text) {
    write(master, text, strlen(text));
}

static void modes(void) {
    struct termios t;
    open_pair();
    TRY("get", tcgetattr(slave, &t)), SHOW("%x %x %x %x speed %d\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag,
        cfgetospeed(&t));
    for (int i = 0; i < 17; i++) SHOW("%02x ", t.c_cc[i]);
    SHOW("\n"), say("line\n"), got("echo", master), got("line", slave);
    say("typo\177\177e\n"), got("erased echo", master), got("erased", slave);
    say("word two\027x\n"), got("word", slave), say("gone\025kept\n"), got("killed", slave);
    say("a\026\004b\n"), got("literal", slave), say("part\004"), got("eof flushes", slave), say("\004"),
        got("eof", slave);
    // Linux has a worker bring echoes to the master.
    usleep(100000);
    got("echoes", master), write(slave, "out\n\ttab\n", 9), got("output", master);
    t.c_lflag &= ~(ICANON | ECHO), t.c_cc[VMIN] = 3, t.c_cc[VTIME] = 0, TRY("raw", tcsetattr(slave, TCSANOW, &t));
    say("ab"), usleep(20000), fcntl(slave, F_SETFL, O_NONBLOCK);
    char b[16];
    struct pollfd p = {slave, POLLIN, 0};
    SHOW("two of three %d\n", poll(&p, 1, 0)), say("c"), usleep(20000), SHOW("three %d\n", poll(&p, 1, 0)),
        TRY("read", read(slave, b, 16));
    fcntl(slave, F_SETFL, 0), t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 1, tcsetattr(slave, TCSANOW, &t),
        TRY("times out", read(slave, b, 16));
    t.c_iflag |= ICRNL | ISTRIP, t.c_oflag &= ~OPOST, tcsetattr(slave, TCSAFLUSH, &t), say("\r\341"),
        got("mapped", slave), write(slave, "\n", 1), got("not processed", master);
    int n = 9;
    say("xyz"), usleep(20000), ioctl(slave, FIONREAD, &n), SHOW("inq %d\n", n), TRY("flush", tcflush(slave, TCIFLUSH)),
        ioctl(slave, FIONREAD, &n), SHOW("inq %d\n", n);
    struct winsize w = {0};
    TRY("size", ioctl(slave, TIOCGWINSZ, &w)), SHOW("%d %d\n", w.ws_row, w.ws_col);
    w.ws_row = 40, w.ws_col = 132, TRY("set", ioctl(master, TIOCSWINSZ, &w)), w.ws_row = 0,
        ioctl(slave, TIOCGWINSZ, &w), SHOW("%d %d\n", w.ws_row, w.ws_col);
    TRY("tty", isatty(slave)), TRY("no tty", tcgetattr(open("/dev/null", O_RDONLY), &t)),
        TRY("ioctl", ioctl(slave, 0x54ff, 0)), TRY("drain", tcdrain(slave)), TRY("seek", lseek(slave, 0, SEEK_SET));
    TRY("not mine", tcgetpgrp(slave)), TRY("set pgrp", tcsetpgrp(slave, getpid()));
    close(slave), got("hung up", master);
    SHOW("hup %d %x\n", (p.fd = master, poll(&p, 1, 0)), p.revents);
    open_pair(), close(master), TRY("read", read(slave, b, 16)), TRY("write", write(slave, "x", 1)),
        TRY("get", tcgetattr(slave, &t));
    p.fd = slave, SHOW("poll %d %x\n", poll(&p, 1, 0), p.revents);
}

/* As <asm/termbits.h> has it, which <termios.h> excludes. */
struct termios2 {
    tcflag_t iflag, oflag, cflag, lflag;
    cc_t line, cc[19];
    speed_t ispeed, ospeed;
};

static void show_modes(const char *what) {
    struct termios2 t = {0};
    TRY(what, ioctl(slave, TCGETS2, &t));
    SHOW("%x %x %x %x line %d speeds %u %u cc", t.iflag, t.oflag, t.cflag, t.lflag, t.line, t.ispeed, t.ospeed);
    for (int i = 0; i < 17; i++) SHOW(" %02x", t.cc[i]);
    SHOW("\n");
}

static void set_control(const char *what, tcflag_t flags, speed_t in, speed_t out) {
    struct termios2 t;
    ioctl(slave, TCGETS2, &t), t.cflag = flags, t.ispeed = in, t.ospeed = out;
    TRY(what, ioctl(slave, TCSETS2, &t)), show_modes("as");
}

static void forms(void) {
    struct termio o;
    struct termios t, locked;
    struct stat s;
    int n = -1;
    unsigned device = 0;
    open_pair(), show_modes("get"), memset(&o, 0xee, sizeof o), TRY("old", ioctl(slave, TCGETA, &o));
    SHOW("%zu: %x %x %x %x line %d cc %02x..%02x\n", sizeof o, o.c_iflag, o.c_oflag, o.c_cflag, o.c_lflag, o.c_line,
         o.c_cc[0], o.c_cc[7]);
    o.c_iflag |= IXANY, o.c_lflag &= ~ECHO, o.c_line = 0, o.c_cc[VINTR] = 'x', o.c_cc[7] = 9;
    TRY("set", ioctl(slave, TCSETA, &o)), show_modes("as");
    say("typed\n"), usleep(20000), o.c_lflag |= ECHO, TRY("wait", ioctl(slave, TCSETAW, &o));
    ioctl(slave, FIONREAD, &n), SHOW("inq %d\n", n);
    TRY("flush", ioctl(slave, TCSETAF, &o)), ioctl(slave, FIONREAD, &n), SHOW("inq %d\n", n);
    set_control("9600", CS7 | PARENB | B9600, 1, 2), set_control("other", 0x1000 | CS8 | CREAD, 0, 12345);
    set_control("two", B4000000 | B1200 << 16, 0, 0), set_control("others", 0x1000 | 0x1000 << 16, 77, 88);
    set_control("none", CREAD | CLOCAL, 5, 6);
    TRY("carrier", ioctl(slave, TIOCGSOFTCAR, &n)), SHOW("%d\n", n), n = 0, TRY("set", ioctl(slave, TIOCSSOFTCAR, &n)),
        ioctl(slave, TIOCGSOFTCAR, &n), SHOW("%d\n", n);
    TRY("locked", ioctl(slave, TIOCGLCKTRMIOS, &locked)), SHOW("%x %x %x %x\n", locked.c_iflag, locked.c_oflag,
        locked.c_cflag, locked.c_lflag);
    TRY("lock", ioctl(slave, TIOCSLCKTRMIOS, &locked));
    n = 0, TRY("discipline", ioctl(slave, TIOCSETD, &n)), n = 1000, TRY("another", ioctl(slave, TIOCSETD, &n));
    TRY("device", ioctl(slave, TIOCGDEV, &device)), fstat(slave, &s), SHOW("%d\n", device == s.st_rdev);
    TRY("by master", ioctl(master, TIOCGDEV, &device)), SHOW("%d\n", device == s.st_rdev);
    char name[64];
    ttyname_r(slave, name, sizeof name), TRY("alone", ioctl(slave, TIOCEXCL, 0));
    TRY("is", ioctl(slave, TIOCGEXCL, &n)), SHOW("%d\n", n), OPEN("again", open(name, O_RDWR | O_NOCTTY));
    ioctl(master, TIOCGEXCL, &n), SHOW("%d\n", n);
    TRY("shared", ioctl(slave, TIOCNXCL, 0)), OPEN("again", open(name, O_RDWR | O_NOCTTY));
    TRY("break", ioctl(slave, TIOCSBRK, 0)), TRY("lines", ioctl(slave, TIOCMGET, &n));
    tcgetattr(master, &t), SHOW("%x\n", t.c_cflag), close(slave), close(master);
}

static volatile int last;

static void caught(int signal) {
    last = signal;
}

static void sessions(void) {
    open_pair();
    TRY("leader", setsid() == getpid() || errno == EPERM), TRY("own", ioctl(slave, TIOCSCTTY, 0)),
        TRY("again", ioctl(slave, TIOCSCTTY, 0));
    TRY("sid", tcgetsid(slave) == getpid()), TRY("foreground", tcgetpgrp(slave) == getpid()),
        OPEN("tty", open("/dev/tty", O_RDWR));
    char text[512] = "";
    int terminal = -1;
    struct stat found;
    FILE *status_file = fopen("/proc/self/stat", "r");
    fgets(text, sizeof text, status_file), fclose(status_file);
    sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %d", &terminal), fstat(slave, &found);
    SHOW("in stat %d\n", (unsigned)terminal == found.st_rdev);
    struct sigaction a = {.sa_handler = caught};
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGCHLD) sigaction(i, &a, 0);
    /* Each discards what nobody has read yet. */
    say("\003"), usleep(20000), SHOW("intr %d\n", last), got("echo", master);
    say("\034"), usleep(20000), SHOW("quit %d\n", last), got("echo", master);
    say("\032"), usleep(20000), SHOW("susp %d\n", last), got("echo", master);
    struct winsize w = {10, 20, 0, 0};
    ioctl(master, TIOCSWINSZ, &w), usleep(20000), SHOW("winch %d\n", last);
    TRY("no group", tcsetpgrp(slave, 99999)), TRY("other", tcsetpgrp(slave, 1));
    pid_t child = fork();
    if (!child) {
        char b[8];
        setpgid(0, 0), signal(SIGTTIN, SIG_DFL), signal(SIGTTOU, SIG_DFL), signal(SIGCONT, SIG_DFL);
        long n = read(slave, b, 8);
        struct termios t;
        tcgetattr(slave, &t), tcsetattr(slave, TCSANOW, &t);
        signal(SIGTTIN, SIG_IGN);
        n = n * 10 + (read(slave, b, 8) < 0 && errno == EIO);
        _exit((int)n);
    }
    int status;
    waitpid(child, &status, WUNTRACED), SHOW("background read %x\n", status), setpgid(child, child),
        signal(SIGTTOU, SIG_IGN);
    TRY("give", tcsetpgrp(slave, child)), say("hi\n"), kill(-child, SIGCONT), usleep(50000),
        TRY("take", tcsetpgrp(slave, getpid()));
    usleep(20000), waitpid(child, &status, WUNTRACED | WNOHANG),
        SHOW("then %x\n", WIFSTOPPED(status) || WIFEXITED(status));
    kill(-child, SIGCONT), kill(-child, SIGKILL), waitpid(child, &status, 0);
    signal(SIGHUP, caught), last = 0, close(master), usleep(20000), SHOW("hangup %d\n", last),
        OPEN("tty gone", open("/dev/tty", O_RDWR)), TRY("give up", ioctl(slave, TIOCNOTTY, 0));
}

int main(void) {
    PART(modes), PART(forms), PART(sessions);
    return 0;
}
