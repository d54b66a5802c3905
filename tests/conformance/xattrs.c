/* Extended attributes. Prints the same on every Linux. */
#include "show.h"
#include <sys/xattr.h>

static void list(const char *name) {
    char b[1024];
    long n = llistxattr(name, b, sizeof b);
    SHOW("list %ld:", n);
    for (long at = 0; at < n; at += (long)strlen(b + at) + 1)
        if (strncmp(b + at, "security.", 9)) SHOW(" %s", b + at);
    SHOW("\n");
}

static void attributes(void) {
    char b[256];
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    symlink("f", "l");
    TRY("get none", getxattr("f", "user.a", b, sizeof b));
    TRY("set", setxattr("f", "user.a", "one", 3, 0));
    TRY("create again", setxattr("f", "user.a", "x", 1, XATTR_CREATE));
    TRY("replace none", setxattr("f", "user.b", "x", 1, XATTR_REPLACE));
    TRY("flags", setxattr("f", "user.b", "x", 1, 9));
    TRY("size", getxattr("f", "user.a", 0, 0));
    TRY("short", getxattr("f", "user.a", b, 2));
    TRY("get", fgetxattr(fd, "user.a", b, sizeof b));
    TRY("empty value", fsetxattr(fd, "user.empty", "", 0, 0));
    TRY("get empty", getxattr("f", "user.empty", b, sizeof b));
    TRY("no namespace", setxattr("f", "plain", "x", 1, 0));
    TRY("unknown namespace", setxattr("f", "other.x", "x", 1, 0));
    TRY("no name", setxattr("f", "user.", "x", 1, 0));
    TRY("empty name", setxattr("f", "", "x", 1, 0));
    memset(b, 'n', 255), memcpy(b, "user.", 5), b[255] = 0;
    TRY("long name", getxattr("f", b, 0, 0));
    char longer[300];
    memset(longer, 'n', 299), memcpy(longer, "user.", 5), longer[299] = 0;
    TRY("too long name", setxattr("f", longer, "x", 1, 0));
    char *big = calloc(1, 70000);
    TRY("too big", setxattr("f", "user.big", big, 65537, 0));
    list("f"), list("l");
    TRY("list short", listxattr("f", b, 3));
    TRY("link", lsetxattr("l", "user.a", "x", 1, 0));
    TRY("link trusted", lsetxattr("l", "trusted.a", "x", 1, 0));
    TRY("trusted", setxattr("f", "trusted.t", "x", 1, 0));
    TRY("remove", removexattr("f", "user.a"));
    TRY("remove again", removexattr("f", "user.a"));
    TRY("fremove", fremovexattr(fd, "user.empty"));
    TRY("path", fsetxattr(open("f", O_PATH), "user.p", "x", 1, 0));
    mkfifo("fifo", 0600);
    TRY("fifo", setxattr("fifo", "user.a", "x", 1, 0));
    mkdir("d", 0777);
    TRY("directory", setxattr("d", "user.a", "x", 1, 0));
    TRY("remove dir", removexattr("d", "user.a"));
    TRY("none", getxattr("none", "user.a", b, 1));
    TRY("fault", setxattr("f", (void *)8, "x", 1, 0));
    TRY("fault value", setxattr("f", "user.a", (void *)8, 1, 0));
    chmod(".", 0777), chmod("f", 0644), chown("f", 0, 0);
    if (setresuid(1000, 1000, 1000)) exit(1);
    TRY("not the owner", setxattr("f", "user.a", "x", 1, 0));
    TRY("trusted hidden", getxattr("f", "trusted.t", b, sizeof b));
    TRY("trusted set", setxattr("f", "trusted.t", "x", 1, 0));
    list("f");
    close(open("mine", O_CREAT | O_RDWR, 0600));
    TRY("own", setxattr("mine", "user.a", "x", 1, 0));
    chmod("mine", 0400);
    TRY("own read-only", setxattr("mine", "user.a", "x", 1, 0));
    chmod("mine", 0200);
    TRY("own write-only", getxattr("mine", "user.a", b, 1));
}

int main(void) {
    PART(attributes);
    return 0;
}
