/* Unix sockets. Prints the same on every Linux. */
#include "show.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int s[2];

static struct sockaddr_un named(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, name, strlen(name));
    return a;
}
#define LEN(n) ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + (n)))

static void where(const char *what, int fd, int (*get)(int, struct sockaddr *, socklen_t *)) {
    struct sockaddr_un a = {0};
    socklen_t n = sizeof a;
    errno = 0;
    int result = get(fd, (void *)&a, &n);
    SHOW("%s %d/%d length %d '%s'\n", what, result, errno, n, n > 2 ? a.sun_path + !a.sun_path[0] : "");
}

static void streams(void) {
    char b[64];
    int l = OPEN("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_un a = named("sock");
    TRY("protocol", socket(AF_UNIX, SOCK_STREAM, 9));
    TRY("type", socket(AF_UNIX, 99, 0));
    TRY("family", socket(99, SOCK_STREAM, 0));
    TRY("listen unbound", listen(l, 1));
    TRY("accept unbound", accept(l, 0, 0));
    TRY("bind", bind(l, (void *)&a, sizeof a));
    TRY("bind again", bind(l, (void *)&a, sizeof a));
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    TRY("in use", bind(c, (void *)&a, sizeof a));
    TRY("refused", connect(c, (void *)&a, sizeof a));
    TRY("listen", listen(l, 1));
    struct sockaddr_un none = named("none"), file = named("file");
    TRY("none", connect(c, (void *)&none, sizeof none));
    close(open("file", O_CREAT | O_RDWR, 0600));
    TRY("file", connect(c, (void *)&file, sizeof file));
    TRY("not connected", send(c, "x", 1, MSG_NOSIGNAL));
    TRY("not connected", recv(c, b, 1, 0));
    TRY("connect", connect(c, (void *)&a, sizeof a));
    TRY("again", connect(c, (void *)&a, sizeof a));
    int d = socket(AF_UNIX, SOCK_DGRAM, 0);
    TRY("wrong type", connect(d, (void *)&a, sizeof a));
    int n = OPEN("accept", accept4(l, 0, 0, SOCK_NONBLOCK));
    where("listener", l, getsockname), where("server peer", n, getpeername), where("client peer", c, getpeername);
    where("server name", n, getsockname), where("client name", c, getsockname), where("no peer", l, getpeername);
    TRY("empty", recv(n, b, 1, 0));
    TRY("send", send(c, "hello", 5, 0));
    TRY("peek", recv(n, b, 2, MSG_PEEK)), TRY("read", recv(n, b, sizeof b, 0));
    TRY("oob", send(c, "!", 1, MSG_OOB) == 1 || errno == EOPNOTSUPP);
    TRY("sendto connected", sendto(c, "x", 1, 0, (void *)&a, sizeof a));
    TRY("any family", sendto(c, "x", 1, 0, (void *)&(struct sockaddr){.sa_family = 99}, sizeof(struct sockaddr)));
    for (int kind = SOCK_DGRAM; kind <= SOCK_SEQPACKET; kind += SOCK_SEQPACKET - SOCK_DGRAM) {
        int two[2];
        socketpair(AF_UNIX, kind, 0, two);
        TRY("no length", sendto(two[0], "x", 1, 0, (void *)&a, 0));
        TRY("other family", sendto(two[0], "x", 1, 0, (void *)&(struct sockaddr){.sa_family = 99}, 16));
        TRY("sent", recv(two[1], b, sizeof b, MSG_DONTWAIT)), TRY("sent", recv(two[1], b, sizeof b, MSG_DONTWAIT));
        close(two[0]), close(two[1]);
    }
    TRY("shutdown", shutdown(c, SHUT_WR));
    TRY("how", shutdown(c, 9));
    signal(SIGPIPE, SIG_IGN);
    TRY("after", send(c, "x", 1, 0));
    close(n), recv(c, b, 1, 0);
    TRY("peer gone", recv(c, b, 1, 0));
    fcntl(l, F_SETFL, O_NONBLOCK);
    TRY("nobody", accept(l, 0, 0));
    for (int i = 0; i < 4; i++) {
        c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        TRY("backlog", connect(c, (void *)&a, sizeof a));
    }
    unlink("sock");
    TRY("unlinked", connect(c, (void *)&a, sizeof a));
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    close(s[1]);
    TRY("closed", send(s[0], "x", 1, 0));
    TRY("end", recv(s[0], b, 1, 0));
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    send(s[0], "left", 4, 0), close(s[1]);
    TRY("reset", recv(s[0], b, 1, 0));
    TRY("then", recv(s[0], b, 1, 0));
}

static void datagrams(void) {
    char b[64];
    struct sockaddr_un a = named("dgram"), from;
    socklen_t n = sizeof from;
    int r = socket(AF_UNIX, SOCK_DGRAM, 0), w = socket(AF_UNIX, SOCK_DGRAM, 0);
    TRY("bind", bind(r, (void *)&a, sizeof a));
    TRY("no address", send(w, "x", 1, 0));
    TRY("sendto", sendto(w, "hello", 5, 0, (void *)&a, sizeof a));
    TRY("empty one", sendto(w, "", 0, 0, (void *)&a, sizeof a));
    TRY("recvfrom", recvfrom(r, b, 3, 0, (void *)&from, &n)), SHOW("length %d\n", n);
    TRY("empty one", recvfrom(r, b, 3, MSG_DONTWAIT, 0, 0));
    TRY("none", recvfrom(r, b, 3, MSG_DONTWAIT, 0, 0));
    TRY("autobind", bind(w, (void *)&a, LEN(0)));
    n = sizeof from;
    TRY("autobound", getsockname(w, (void *)&from, &n)), SHOW("length %d abstract %d\n", n, !from.sun_path[0]);
    TRY("connect", connect(w, (void *)&a, sizeof a));
    TRY("send", send(w, "truncated", 9, 0));
    TRY("trunc", recv(r, b, 3, MSG_TRUNC));
    TRY("disconnect", connect(w, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
    TRY("no address", send(w, "x", 1, 0));
    TRY("connect", connect(w, (void *)&a, sizeof a));
    close(r);
    TRY("gone", send(w, "x", 1, MSG_NOSIGNAL));
    TRY("gone", sendto(w, "x", 1, 0, (void *)&a, sizeof a));
    TRY("listen", listen(w, 1));
    struct sockaddr_un x = named("");
    memcpy(x.sun_path, "\0name\0more", 10);
    r = socket(AF_UNIX, SOCK_DGRAM, 0);
    TRY("abstract", bind(r, (void *)&x, LEN(10)));
    TRY("abstract in use", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&x, LEN(10)));
    TRY("abstract other", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&x, LEN(5)));
    where("abstract", r, getsockname);
    w = socket(AF_UNIX, SOCK_DGRAM, 0);
    TRY("send abstract", sendto(w, "x", 1, 0, (void *)&x, LEN(10)));
    close(r);
    TRY("abstract gone", sendto(w, "x", 1, 0, (void *)&x, LEN(10)));
    TRY("short", bind(w, (void *)&x, 1));
    TRY("long", bind(w, (void *)&x, 200));
    x.sun_family = AF_INET;
    TRY("family", bind(w, (void *)&x, LEN(10)));
}

static void packets(void) {
    char b[64];
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
    TRY("one", send(s[0], "abc", 3, 0)), TRY("two", send(s[0], "defgh", 5, 0));
    TRY("read", recv(s[1], b, 64, 0));
    struct iovec v = {b, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    TRY("short", recvmsg(s[1], &m, 0)), SHOW("flags %x\n", m.msg_flags);
    TRY("none", recv(s[1], b, 64, MSG_DONTWAIT));
    int big = 0;
    socklen_t n = sizeof big;
    getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &big, &n);
    char *huge = calloc(1, 1000000);
    TRY("too big", send(s[0], huge, 1000000, MSG_DONTWAIT));
    TRY("eor", send(s[0], "x", 1, MSG_EOR));
    m.msg_iov->iov_len = 10;
    TRY("eor", recvmsg(s[1], &m, 0)), SHOW("flags %x\n", m.msg_flags);
    close(s[0]);
    TRY("end", recv(s[1], b, 64, 0));
    struct mmsghdr mm[2] = {0};
    struct iovec vv[2] = {{"ab", 2}, {"cde", 3}};
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    for (int i = 0; i < 2; i++) mm[i].msg_hdr.msg_iov = &vv[i], mm[i].msg_hdr.msg_iovlen = 1;
    TRY("sendmmsg", sendmmsg(s[0], mm, 2, 0)), SHOW("%d %d\n", mm[0].msg_len, mm[1].msg_len);
    char c[2][8];
    for (int i = 0; i < 2; i++) vv[i] = (struct iovec){c[i], 8};
    TRY("recvmmsg", recvmmsg(s[1], mm, 2, 0, 0)), SHOW("%d %d\n", mm[0].msg_len, mm[1].msg_len);
}

static long pass(int to, const int *fds, int count, int flags) {
    char b[256] __attribute__((aligned(8))) = {0};
    struct iovec v = {"f", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = b,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    return sendmsg(to, &m, flags);
}

static int take(int from, int room, int *fds, int flags) {
    char b[256] __attribute__((aligned(8))) = {0}, d[8];
    struct iovec v = {d, 8};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = b, .msg_controllen = room};
    errno = 0;
    long n = recvmsg(from, &m, flags);
    int count = 0;
    for (struct cmsghdr *c = n < 0 ? 0 : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(c), sizeof(int) * count);
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred *u = (void *)CMSG_DATA(c);
            SHOW("credentials self %d uid %d gid %d\n", u->pid == getpid(), u->uid, u->gid);
        }
    }
    SHOW("recvmsg %ld/%d flags %x control %d fds %d\n", n, n < 0 ? errno : 0, m.msg_flags, (int)m.msg_controllen,
        count);
    return count;
}

static void rights(void) {
    int p[2], got[64], fds[64];
    char b[8];
    pipe(p), socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    TRY("pass", pass(s[0], p, 2, 0));
    TRY("count", take(s[1], 256, got, MSG_CMSG_CLOEXEC));
    SHOW("cloexec %d\n", fcntl(got[0], F_GETFD));
    write(got[1], "x", 1), TRY("through", read(p[0], b, 1));
    TRY("bad fd", pass(s[0], (int[]){99}, 1, 0));
    TRY("pass", pass(s[0], p, 2, 0));
    take(s[1], CMSG_SPACE(sizeof(int)), got, 0);
    TRY("pass", pass(s[0], p, 2, 0));
    take(s[1], 8, got, 0);
    TRY("pass", pass(s[0], p, 1, 0));
    TRY("plain read drops", recv(s[1], b, 8, 0));
    TRY("two", pass(s[0], p, 1, 0) + pass(s[0], p, 1, 0));
    take(s[1], 256, got, 0), take(s[1], 256, got, 0);
    TRY("peek", pass(s[0], p, 1, 0));
    take(s[1], 256, got, MSG_PEEK), take(s[1], 256, got, 0);
    close(p[1]);
    for (int i = 3; i < 200; i++)
        if (i != p[0] && i != s[0] && i != s[1]) close(i);
    TRY("no writer left", read(p[0], b, 1));
    pipe(fds);
    TRY("in flight", pass(s[0], fds + 1, 1, 0));
    close(fds[1]);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    TRY("held in flight", read(fds[0], b, 1));
    close(s[1]), close(s[0]);
    TRY("gone with the socket", read(fds[0], b, 1));
    int q[2], w[2];
    pipe(w), fcntl(w[0], F_SETFL, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM, 0, q);
    TRY("itself", pass(q[0], q, 2, 0)), TRY("pipe", pass(q[0], w + 1, 1, 0));
    close(w[1]), close(q[0]), close(q[1]);
    for (int i = 0; i < 100; i++) {
        int x = socket(AF_UNIX, SOCK_STREAM, 0);
        close(x), usleep(1000);
        errno = 0;
        if (read(w[0], b, 1) == 0) break;
    }
    TRY("circle is freed", read(w[0], b, 1));
}

static void credentials(void) {
    int one = 1, got[4];
    struct ucred u;
    socklen_t n = sizeof u;
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    TRY("peer", getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &n));
    SHOW("%d %d %d\n", u.pid == getpid(), u.uid, u.gid);
    send(s[0], "a", 1, 0), take(s[1], 256, got, 0);
    TRY("passcred", setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    send(s[0], "a", 1, 0), take(s[1], 256, got, 0);
    char b[64] __attribute__((aligned(8))) = {0};
    struct iovec v = {"c", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = b, .msg_controllen = CMSG_SPACE(sizeof u)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof u), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    u = (struct ucred){getpid(), 5, 6};
    memcpy(CMSG_DATA(c), &u, sizeof u);
    TRY("as root", sendmsg(s[0], &m, 0)), take(s[1], 256, got, 0);
    u.pid = 999999, memcpy(CMSG_DATA(c), &u, sizeof u);
    TRY("nobody", sendmsg(s[0], &m, 0));
    setresgid(7, 7, 7), setresuid(8, 8, 8);
    u = (struct ucred){getpid(), 5, 7}, memcpy(CMSG_DATA(c), &u, sizeof u);
    TRY("other uid", sendmsg(s[0], &m, 0));
    u.uid = 8, memcpy(CMSG_DATA(c), &u, sizeof u);
    TRY("own uid", sendmsg(s[0], &m, 0)), take(s[1], 256, got, 0);
    c->cmsg_len = 3;
    TRY("length", sendmsg(s[0], &m, 0));
    c->cmsg_len = CMSG_LEN(4), c->cmsg_type = 77;
    TRY("type", sendmsg(s[0], &m, 0));
}

static void option(const char *what, int level, int name) {
    int v = -1;
    socklen_t n = sizeof v;
    errno = 0;
    int result = getsockopt(s[0], level, name, &v, &n);
    SHOW("%s %d/%d value %d length %d\n", what, result, errno, v, n);
}

static void options(void) {
    int v = 1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    option("type", SOL_SOCKET, SO_TYPE), option("domain", SOL_SOCKET, SO_DOMAIN),
        option("protocol", SOL_SOCKET, SO_PROTOCOL);
    option("error", SOL_SOCKET, SO_ERROR), option("listening", SOL_SOCKET, SO_ACCEPTCONN),
        option("linger", SOL_SOCKET, SO_KEEPALIVE);
    option("reuse", SOL_SOCKET, SO_REUSEADDR), option("passcred", SOL_SOCKET, SO_PASSCRED),
        option("lowat", SOL_SOCKET, SO_RCVLOWAT);
    option("none", SOL_SOCKET, 9999), option("level", 99, 1);
    TRY("sndbuf", setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &(int){10000}, sizeof v)),
        option("sndbuf", SOL_SOCKET, SO_SNDBUF);
    TRY("small", setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof v)), option("sndbuf", SOL_SOCKET, SO_SNDBUF);
    TRY("rcvbuf", setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &(int){1}, sizeof v)),
        option("rcvbuf", SOL_SOCKET, SO_RCVBUF);
    TRY("none", setsockopt(s[0], SOL_SOCKET, 9999, &v, sizeof v)), TRY("level", setsockopt(s[0], 99, 1, &v, sizeof v));
    TRY("short", setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, 1)),
        TRY("pointer", setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
    struct timeval t = {0, 20000};
    TRY("timeout", setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    char b[8];
    TRY("times out", recv(s[0], b, 1, 0));
    t.tv_usec = 2000000;
    TRY("timeout range", setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    TRY("not a socket", getsockopt(1, SOL_SOCKET, SO_TYPE, &v, &(socklen_t){4}));
    int n = 0;
    send(s[1], "12345", 5, 0), ioctl(s[0], FIONREAD, &n), SHOW("inq %d\n", n);
    ioctl(s[1], TIOCOUTQ, &n), SHOW("outq %d\n", n > 0);
    TRY("waitall", (send(s[1], "678", 3, 0), recv(s[0], b, 8, MSG_WAITALL)));
    struct stat st;
    fstat(s[0], &st), SHOW("%o\n", st.st_mode);
    TRY("lseek", lseek(s[0], 0, SEEK_SET));
}

static int urgencies;

static void on_urgent(int signal) {
    (void)signal, urgencies++;
}

static void urgent(void) {
    int p[2], q = 0;
    char b[16] = {0};
    struct pollfd f = {0};
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p), f = (struct pollfd){p[1], POLLIN | POLLPRI, 0};
    signal(SIGURG, on_urgent), fcntl(p[1], F_SETOWN, getpid());
    TRY("none", recv(p[1], b, 1, MSG_OOB)), TRY("empty", send(p[0], "", 0, MSG_OOB));
    TRY("ordinary", send(p[0], "ab", 2, 0)), SHOW("signals %d\n", urgencies);
    TRY("send", send(p[0], "c", 1, MSG_OOB)), SHOW("signals %d\n", urgencies), send(p[0], "def", 3, 0);
    TRY("poll", poll(&f, 1, 0)), SHOW("%x\n", f.revents);
    ioctl(p[1], SIOCATMARK, &q), SHOW("mark %d\n", q), ioctl(p[1], FIONREAD, &q), SHOW("inq %d\n", q);
    TRY("before", recv(p[1], b, 9, 0)), SHOW("%.2s\n", b), ioctl(p[1], SIOCATMARK, &q), SHOW("mark %d\n", q);
    TRY("peek", recv(p[1], b, 1, MSG_OOB | MSG_PEEK)), SHOW("%.1s\n", b);
    TRY("take", recv(p[1], b, 1, MSG_OOB)), TRY("once", recv(p[1], b, 1, MSG_OOB));
    TRY("rest", recv(p[1], b, 9, 0)), SHOW("%.3s\n", b);
    send(p[0], "gh", 2, MSG_OOB), send(p[0], "ij", 2, 0), SHOW("signals %d\n", urgencies);
    TRY("passed over", recv(p[1], b, 9, 0)), TRY("passed over", recv(p[1], b, 9, 0)), SHOW("%.2s\n", b);
    TRY("lost", recv(p[1], b, 1, MSG_OOB));
    setsockopt(p[1], SOL_SOCKET, SO_OOBINLINE, &(int){1}, 4), send(p[0], "kl", 2, MSG_OOB), send(p[0], "m", 1, 0);
    TRY("inline", recv(p[1], b, 1, MSG_OOB)), TRY("inline", recv(p[1], b, 9, 0));
    ioctl(p[1], SIOCATMARK, &q), SHOW("mark %d\n", q), TRY("inline", recv(p[1], b, 9, 0)), SHOW("%.2s\n", b);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    TRY("datagram", send(p[0], "a", 1, MSG_OOB)), TRY("datagram", recv(p[0], b, 1, MSG_OOB | MSG_DONTWAIT));
}

int main(void) {
    PART(streams), PART(datagrams), PART(packets), PART(rights), PART(credentials), PART(options), PART(urgent);
    return 0;
}
