/* exec: scripts, limits, set-id, auxiliary vector, what survives. Prints the same on every Linux. */
#include "show.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void put(const char *name, const char *text, int mode) {
    unlink(name);
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    if (write(fd, text, strlen(text)) < 0) perror(name);
    fchmod(fd, mode), close(fd);
}

static void run(const char *what, const char *path, char *const *argv, char *const *envp) {
    SHOW("%s: ", what);
    if (!fork()) {
        execve(path, argv, envp);
        SHOW("errno %d\n", errno), _exit(1);
    }
    int status;
    wait(&status), SHOW("-> %x\n", status);
}
#define ARGS(...) (char *[]){__VA_ARGS__, 0}
#define NONE ARGS("x")

static char self[4096];

static void errors(void) {
    put("text", "no program", 0755), put("empty", "", 0755), put("plain", "#!/bin/sh\n", 0644), mkdir("dir", 0755);
    run("none", "none", NONE, 0), run("directory", "dir", NONE, 0), run("not executable", "plain", NONE, 0);
    run("text", "text", NONE, 0), run("empty file", "empty", NONE, 0), run("empty path", "", NONE, 0);
    run("below file", "text/x", NONE, 0), run("pointer", (char *)8, NONE, 0), run("arguments", self, (char **)8, 0);
    put("half", "\177ELF\2\1\1", 0755), run("half an ELF", "half", NONE, 0);
    put("none.sh", "#!/none/interpreter\n", 0755), run("interpreter", "none.sh", NONE, 0);
    put("nothing.sh", "#!\n", 0755), run("no interpreter", "nothing.sh", NONE, 0);
    char nested[32], line[32];
    for (int i = 0; i < 7; i++) {
        snprintf(nested, sizeof nested, "n%d", i), snprintf(line, sizeof line, "#!n%d\n", i - 1);
        put(nested, i ? line : "#!/bin/true\n", 0755);
    }
    run("nested 4", "n4", NONE, 0), run("nested 5", "n5", NONE, 0), run("nested 6", "n6", NONE, 0);
    int fd = open("busy", O_CREAT | O_RDWR, 0755);
    run("being written", "busy", NONE, 0), close(fd);
}

static void scripts(void) {
    put("s", "#!/bin/sh\necho \"$0 $# $1 $2\"\n", 0755), run("script", "./s", ARGS("zero", "one two", "three"), 0);
    put("e", "#! /bin/sh  -e  \necho \"$0 $#\"; false; echo not\n", 0755), run("option", "./e", NONE, 0);
    put("w", "#!/bin/echo a  b \n", 0755), run("one argument", "./w", NONE, 0);
    char longline[400] = "#!/bin/echo ";
    memset(longline + 12, 'x', 380), longline[392] = '\n', put("l", longline, 0755), run("long line", "./l", NONE, 0);
    memset(longline, 'x', 399), memcpy(longline, "#!/", 3), longline[398] = '\n', put("m", longline, 0755),
        run("long name", "./m", NONE, 0);
    int fd = open("s", O_RDONLY | O_CLOEXEC);
    SHOW("by descriptor: ");
    if (!fork()) syscall(SYS_execveat, fd, "", NONE, (char *[]){0}, AT_EMPTY_PATH), SHOW("errno %d\n", errno), _exit(1);
    int status;
    wait(&status), SHOW("-> %x\n", status);
    fd = open("s", O_RDONLY), SHOW("kept open: ");
    if (!fork()) syscall(SYS_execveat, fd, "", NONE, (char *[]){0}, AT_EMPTY_PATH), SHOW("errno %d\n", errno), _exit(1);
    wait(&status), SHOW("-> %x\n", status);
    TRY("flags", syscall(SYS_execveat, AT_FDCWD, "s", NONE, 0, 1));
    symlink("s", "link");
    TRY("nofollow", syscall(SYS_execveat, AT_FDCWD, "link", NONE, 0, AT_SYMLINK_NOFOLLOW));
}

static void sizes(void) {
    char *large = malloc(200000);
    memset(large, 'a', 200000), large[131071] = 0, run("one argument", "/bin/true", ARGS("x", large), 0);
    large[131071] = 'a', large[131072] = 0, run("too long", "/bin/true", ARGS("x", large), 0);
    char **many = calloc(400000, sizeof *many);
    for (int i = 0; i < 300000; i++) many[i] = "aaaaaaaa";
    run("too many", "/bin/true", many, 0), many[100000] = 0, many[0] = "true", run("many", "/bin/true", many, 0);
    struct rlimit l = {200000, RLIM_INFINITY};
    if (!fork()) {
        many[20000] = 0, setrlimit(RLIMIT_STACK, &l), run("small stack", "/bin/true", many, 0);
        _exit(0);
    }
    wait(0);
}

static int showing(void) {
    extern char **environ;
    SHOW("environment %s vector: page %ld clktck %ld secure %ld uid %ld euid %ld base %d phdr %d entry %d random %d execfn '%s' platform %s\n",
         environ[0] ? environ[0] : "none", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_SECURE),
             getauxval(AT_UID),
         getauxval(AT_EUID), getauxval(AT_BASE) == 0, getauxval(AT_PHDR) != 0, getauxval(AT_ENTRY) != 0,
             getauxval(AT_RANDOM) != 0,
         strrchr((char *)getauxval(AT_EXECFN), '/') + 1, (char *)getauxval(AT_PLATFORM));
    char name[16], link[4096] = {0};
    prctl(PR_GET_NAME, name), readlink("/proc/self/exe", link, 4095);
    sigset_t blocked;
    struct sigaction ignored, handled;
    sigprocmask(SIG_BLOCK, 0, &blocked), sigaction(SIGUSR1, 0, &ignored), sigaction(SIGUSR2, 0, &handled);
    SHOW("name %s exe %s fds %d %d blocked %d ignored %d handled %d stack %d\n", name, strrchr(link, '/') + 1,
        fcntl(50, F_GETFD), fcntl(51, F_GETFD),
         sigismember(&blocked, SIGHUP), ignored.sa_handler == SIG_IGN, handled.sa_handler == SIG_DFL,
             prctl(PR_GET_KEEPCAPS));
    SHOW("uid %d %d gid %d %d dumpable %d\n", getuid(), geteuid(), getgid(), getegid(), prctl(PR_GET_DUMPABLE));
    return 0;
}

static void copy(const char *to) {
    char b[65536];
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    for (long n; (n = read(in, b, sizeof b)) > 0;) write(out, b, n);
    close(in), close(out);
}

static void survives(int signal) {
    (void)signal;
}

static void states(void) {
    copy("copy");
    dup2(0, 50), dup3(0, 51, O_CLOEXEC);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGHUP), sigprocmask(SIG_BLOCK, &set, 0);
    signal(SIGUSR1, SIG_IGN), signal(SIGUSR2, survives), prctl(PR_SET_KEEPCAPS, 1), prctl(PR_SET_NAME, "renamed");
    run("shows", "./copy", ARGS("x", "show"), ARGS("A=b"));
    chown("copy", 1234, 77), chmod("copy", 06755), run("set-id", "./copy", ARGS("x", "show"), 0);
    if (!fork()) {
        setresgid(5, 5, 5), setresuid(1000, 1000, 1000), run("set-id of user", "./copy", ARGS("x", "show"), 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), run("no new privileges", "./copy", ARGS("x", "show"), 0);
        _exit(0);
    }
    wait(0), chmod("copy", 0755);
    pid_t child = fork();
    if (!child) execl("./copy", "x", "wait", (char *)0), _exit(9);
    usleep(100000);
    TRY("write to what runs", open("copy", O_WRONLY)), TRY("truncate", truncate("copy", 0));
    TRY("read", open("copy", O_RDONLY) >= 0), TRY("rename over", rename("copy", "copy2"));
    kill(child, SIGKILL), wait(0), TRY("after", open("copy2", O_WRONLY) >= 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "show")) return showing();
    if (argc > 1) return pause();
    readlink("/proc/self/exe", self, sizeof self - 1);
    chmod(".", 0777), PART(errors), PART(scripts), PART(sizes), PART(states);
    return 0;
}
