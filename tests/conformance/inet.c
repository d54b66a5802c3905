/* Sockets of the internet over loopback. Prints the same on every Linux. */
#include "show.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int port_of(int fd) {
    struct sockaddr_in6 a = {0};
    getsockname(fd, (void *)&a, &(socklen_t){sizeof a});
    return ntohs(a.sin6_port);
}

static int listener(void) {
    int l = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(0);
    bind(l, (void *)&a, sizeof a), listen(l, 5);
    return l;
}

static void events(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    int n = poll(&p, 1, 0);
    SHOW("%s poll %d %x\n", what, n, p.revents);
}

static int state(int fd) {
    struct tcp_info i = {0};
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &(socklen_t){sizeof i});
    return i.tcpi_state;
}

static void streams(void) {
    char b[64];
    int l = OPEN("socket", socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    struct sockaddr_in a = loopback(0);
    TRY("protocol", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    TRY("connect", connect(l, (void *)&(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(1),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, sizeof a));
    close(l), l = socket(AF_INET, SOCK_STREAM, 0);
    events("fresh", l);
    TRY("recv", recv(l, b, 1, MSG_DONTWAIT));
    TRY("send", send(l, b, 1, MSG_NOSIGNAL));
    TRY("accept", accept(l, 0, 0));
    TRY("shutdown", shutdown(l, SHUT_RDWR));
    close(l), l = socket(AF_INET, SOCK_STREAM, 0);
    TRY("short", bind(l, (void *)&a, 8));
    a.sin_addr.s_addr = htonl(0x01020304);
    TRY("not here", bind(l, (void *)&a, sizeof a));
    a = loopback(0);
    TRY("bind", bind(l, (void *)&a, sizeof a));
    TRY("again", bind(l, (void *)&a, sizeof a));
    TRY("listen", listen(l, 1)), TRY("listen again", listen(l, 2));
    SHOW("state %d\n", state(l));
    events("listening", l);
    a = loopback(port_of(l));
    TRY("in use", bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a));
    int c = socket(AF_INET, SOCK_STREAM, 0);
    TRY("connect", connect(c, (void *)&a, sizeof a));
    TRY("again", connect(c, (void *)&a, sizeof a));
    SHOW("state %d\n", state(c));
    events("pending", l);
    struct sockaddr_in peer = {0};
    socklen_t n = sizeof peer;
    int s = OPEN("accept", accept4(l, (void *)&peer, &n, SOCK_CLOEXEC));
    SHOW("%d %s %d\n", n, inet_ntoa(peer.sin_addr), ntohs(peer.sin_port) == port_of(c));
    TRY("accept flags", accept4(l, 0, 0, 1));
    TRY("name", getpeername(s, (void *)&peer, &n)), TRY("no peer", getpeername(l, (void *)&peer, &n));
    TRY("send", send(c, "hello", 5, 0)), TRY("more", send(c, " you", 4, MSG_MORE | MSG_NOSIGNAL));
    TRY("flush", send(c, "!", 1, 0));
    TRY("peek", recv(s, b, 5, MSG_PEEK | MSG_WAITALL));
    TRY("trunc", recv(s, 0, 3, MSG_TRUNC));
    int q = 0;
    usleep(1000), ioctl(s, FIONREAD, &q), SHOW("inq %d\n", q);
    TRY("all", recv(s, b, 7, MSG_WAITALL)), SHOW("%.7s\n", b);
    TRY("empty", recv(s, b, 1, MSG_DONTWAIT));
    TRY("sendto", sendto(c, "x", 1, 0, (void *)&a, sizeof a));
    TRY("recv", recv(s, b, 1, 0));
    TRY("any family", sendto(c, "x", 1, 0, (void *)&(struct sockaddr){.sa_family = 99}, sizeof(struct sockaddr)));
    TRY("one byte", sendto(c, "x", 1, 0, (void *)&a, 1)), TRY("no length", sendto(c, "x", 1, 0, (void *)&a, 0));
    TRY("too long", sendto(c, "x", 1, 0, (void *)b, 129)), TRY("pointer", sendto(c, "x", 1, 0, (void *)8, 16));
    TRY("recv", recv(s, b, 9, MSG_DONTWAIT));
    TRY("oob", recv(s, b, 1, MSG_OOB));
    TRY("shut", shutdown(c, SHUT_WR));
    usleep(1000), events("half", s), TRY("end", recv(s, b, 1, 0)), TRY("end", recv(s, b, 1, 0));
    SHOW("state %d\n", state(s));
    TRY("still", send(s, "back", 4, 0)), TRY("back", recv(c, b, 9, 0));
    signal(SIGPIPE, SIG_IGN), TRY("pipe", send(c, "x", 1, 0));
    close(s), usleep(1000), events("closed", c), SHOW("state %d\n", state(c));
    TRY("end", recv(c, b, 1, 0));
    c = socket(AF_INET, SOCK_STREAM, 0), connect(c, (void *)&a, sizeof a), s = accept(l, 0, 0);
    struct linger hard = {1, 0};
    setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), close(s), usleep(1000);
    events("reset", c);
    TRY("reset", recv(c, b, 1, 0)), TRY("then", recv(c, b, 1, 0)), TRY("write", send(c, b, 1, 0));
    c = socket(AF_INET, SOCK_STREAM, 0), connect(c, (void *)&a, sizeof a), s = accept(l, 0, 0);
    send(c, "unread", 6, 0), usleep(1000), close(s), usleep(1000);
    TRY("unread data resets", recv(c, b, 1, 0));
    c = socket(AF_INET, SOCK_STREAM, 0), connect(c, (void *)&a, sizeof a), s = accept(l, 0, 0), close(s);
    size_t much = 64 << 20;
    char *plenty = calloc(1, much);
    SHOW("much to nobody %d\n", (size_t)write(c, plenty, much) < much), TRY("then", write(c, plenty, much));
    free(plenty);
    int e = 9;
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY("nonblocking", connect(c, (void *)&a, sizeof a)), usleep(1000);
    events("connected", c), getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &(socklen_t){4}), SHOW("error %d\n", e);
    struct sockaddr_in gone = loopback(port_of(l));
    close(l);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY("nobody", connect(c, (void *)&gone, sizeof gone)), usleep(1000), events("refused", c);
    getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &(socklen_t){4}), SHOW("error %d\n", e);
    TRY("unspec", connect(c, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
}

static void datagrams(void) {
    char b[64];
    int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = loopback(0), from = {0};
    socklen_t n = sizeof from;
    TRY("bind", bind(r, (void *)&a, sizeof a));
    a = loopback(port_of(r));
    TRY("nowhere", send(w, "x", 1, 0));
    TRY("sendto", sendto(w, "hello", 5, 0, (void *)&a, sizeof a));
    SHOW("autobound %d\n", port_of(w) != 0);
    TRY("recvfrom", recvfrom(r, b, 3, MSG_TRUNC, (void *)&from, &n));
    SHOW("%d %s %d\n", n, inet_ntoa(from.sin_addr), ntohs(from.sin_port) == port_of(w));
    TRY("rest is gone", recv(r, b, 9, MSG_DONTWAIT));
    TRY("empty", sendto(w, "", 0, 0, (void *)&a, sizeof a)), TRY("empty", recv(r, b, 9, 0));
    TRY("port 0", sendto(w, "x", 1, 0, (void *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof a));
    char *big = calloc(1, 70000);
    TRY("too big", sendto(w, big, 66000, 0, (void *)&a, sizeof a));
    TRY("big", sendto(w, big, 65507, 0, (void *)&a, sizeof a)), TRY("big", recv(r, big, 70000, 0));
    TRY("connect", connect(w, (void *)&a, sizeof a)), TRY("send", send(w, "x", 1, 0)), TRY("recv", recv(r, b, 1, 0));
    close(r), TRY("nobody", send(w, "x", 1, 0)), usleep(1000);
    events("refused", w), TRY("refused", send(w, "x", 1, 0)), TRY("once", recv(w, b, 1, MSG_DONTWAIT) < 0);
    TRY("unspec", connect(w, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
    TRY("listen", listen(w, 1)), TRY("accept", accept(w, 0, 0));
    a.sin_addr.s_addr = INADDR_BROADCAST, TRY("broadcast", sendto(w, "x", 1, 0, (void *)&a, sizeof a));
}

static void sixes(void) {
    char text[64], b[8];
    int l = OPEN("v6", socket(AF_INET6, SOCK_STREAM, 0));
    struct sockaddr_in6 a = {.sin6_family = AF_INET6}, peer;
    socklen_t n = sizeof peer;
    TRY("any", bind(l, (void *)&a, sizeof a)), listen(l, 5);
    struct sockaddr_in four = loopback(port_of(l));
    int c = socket(AF_INET, SOCK_STREAM, 0);
    TRY("v4 to v6", connect(c, (void *)&four, sizeof four));
    int s = accept(l, (void *)&peer, &n);
    SHOW("%d %s\n", n, inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text));
    TRY("send", send(c, "x", 1, 0)), TRY("recv", recv(s, b, 8, 0));
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    TRY("mapped", connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&mapped, sizeof mapped));
    c = socket(AF_INET6, SOCK_STREAM, 0);
    int one = 1;
    TRY("v6only", setsockopt(c, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    TRY("mapped", connect(c, (void *)&mapped, sizeof mapped));
    inet_pton(AF_INET6, "::1", &mapped.sin6_addr);
    TRY("loopback", connect(c, (void *)&mapped, sizeof mapped));
    TRY("v6only late", setsockopt(c, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    TRY("short", bind(socket(AF_INET6, SOCK_STREAM, 0), (void *)&four, sizeof four));
    inet_pton(AF_INET6, "2001:db8::1", &mapped.sin6_addr);
    TRY("not here", bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&mapped, sizeof mapped));
}

static int s;

static void option(const char *what, int level, int name) {
    int v = -1;
    socklen_t n = sizeof v;
    errno = 0;
    int result = getsockopt(s, level, name, &v, &n);
    SHOW("%s %d/%d value %d length %d\n", what, result, errno, v, n);
}
#define SET(level, name, value) TRY("set " #name, setsockopt(s, level, name, &(int){value}, sizeof(int))), option(#name, level, name)

static void options(void) {
    s = socket(AF_INET, SOCK_STREAM, 0);
    option("type", SOL_SOCKET, SO_TYPE), option("domain", SOL_SOCKET, SO_DOMAIN),
        option("protocol", SOL_SOCKET, SO_PROTOCOL);
    option("listening", SOL_SOCKET, SO_ACCEPTCONN), option("error", SOL_SOCKET, SO_ERROR),
        option("none", SOL_SOCKET, 9999);
    option("no tcp", IPPROTO_TCP, 999), option("no level", 99, 1);
    SET(SOL_SOCKET, SO_REUSEADDR, 5), SET(SOL_SOCKET, SO_REUSEPORT, 1), SET(SOL_SOCKET, SO_KEEPALIVE, 1),
        SET(SOL_SOCKET, SO_BROADCAST, 1);
    SET(SOL_SOCKET, SO_OOBINLINE, 1), SET(SOL_SOCKET, SO_RCVLOWAT, 3), SET(SOL_SOCKET, SO_SNDBUF, 20000),
        SET(SOL_SOCKET, SO_RCVBUF, 1);
    SET(SOL_SOCKET, SO_PRIORITY, 3), SET(SOL_SOCKET, SO_DONTROUTE, 1), SET(SOL_SOCKET, SO_TIMESTAMP, 1);
    SET(IPPROTO_TCP, TCP_NODELAY, 7), SET(IPPROTO_TCP, TCP_CORK, 1), SET(IPPROTO_TCP, TCP_KEEPIDLE, 10),
        SET(IPPROTO_TCP, TCP_KEEPIDLE, 0);
    SET(IPPROTO_TCP, TCP_KEEPINTVL, 5), SET(IPPROTO_TCP, TCP_KEEPCNT, 3), SET(IPPROTO_TCP, TCP_SYNCNT, 4),
        SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 99);
    SET(IPPROTO_TCP, TCP_DEFER_ACCEPT, 0), SET(IPPROTO_TCP, TCP_QUICKACK, 1), SET(IPPROTO_TCP, TCP_MAXSEG, 1000);
    SET(IPPROTO_IP, IP_TTL, 33), SET(IPPROTO_IP, IP_TTL, 999), SET(IPPROTO_IP, IP_TOS, 16),
        SET(IPPROTO_IP, IP_MTU_DISCOVER, 1);
    SET(IPPROTO_IP, IP_RECVERR, 1), SET(IPPROTO_IP, IP_PKTINFO, 1), SET(IPPROTO_IP, IP_FREEBIND, 1),
        SET(IPPROTO_IP, IP_TRANSPARENT, 0);
    TRY("byte", setsockopt(s, IPPROTO_IP, IP_TTL, &(char){44}, 1)), option("ttl", IPPROTO_IP, IP_TTL);
    TRY("negative", setsockopt(s, IPPROTO_IP, IP_TTL, &(int){4}, -1)),
        TRY("pointer", setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
    TRY("v6 of v4", setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, 4));
    char name[32] = {0};
    TRY("congestion", getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &(socklen_t){sizeof name})),
        SHOW("%d\n", name[0] != 0);
    s = socket(AF_INET, SOCK_DGRAM, 0);
    option("type", SOL_SOCKET, SO_TYPE), option("protocol", SOL_SOCKET, SO_PROTOCOL),
        option("tcp of udp", IPPROTO_TCP, TCP_NODELAY);
    struct sockaddr_in a = loopback(0);
    int one = 1, two[2];
    for (int i = 0; i < 2; i++) {
        two[i] = socket(AF_INET, SOCK_STREAM, 0), setsockopt(two[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
        TRY("reuseport", bind(two[i], (void *)&a, sizeof a)), TRY("listen", listen(two[i], 1));
        a = loopback(port_of(two[0]));
    }
    int hits = 0;
    for (int i = 0; i < 40; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        connect(c, (void *)&a, sizeof a);
        struct pollfd p[2] = {{two[0], POLLIN, 0}, {two[1], POLLIN, 0}};
        poll(p, 2, 1000);
        for (int j = 0; j < 2; j++)
            if (p[j].revents) hits |= 1 << j, close(accept(two[j], 0, 0));
        close(c);
    }
    SHOW("both %d\n", hits);
    int l = listener();
    a = loopback(port_of(l));
    TRY("no reuse", bind(two[0] = socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a));
    setsockopt(two[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one),
        TRY("listening", bind(two[0], (void *)&a, sizeof a));
    if (!fork()) {
        setresuid(1000, 1000, 1000);
        TRY("low port", bind(socket(AF_INET, SOCK_STREAM, 0),
            (void *)&(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80)}, sizeof a));
        TRY("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
        _exit(0);
    }
    wait(0);
}

static long counter(const char *name) {
    char path[96], text[32] = {0};
    snprintf(path, sizeof path, "/sys/class/net/lo/statistics/%s", name);
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1), close(fd);
    return atol(text);
}

/* What went over lo, by /proc/net/dev. */
static void line_of_lo(long *bytes, long *packets) {
    char line[256];
    FILE *f = fopen("/proc/net/dev", "r");
    while (fgets(line, sizeof line, f)) sscanf(line, " lo: %ld %ld", bytes, packets);
    fclose(f);
}

static void counters(void) {
    char b[100] = {0};
    int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = loopback(0);
    bind(r, (void *)&a, sizeof a), a = loopback(port_of(r));
    long packets = counter("tx_packets"), bytes = counter("tx_bytes"), all_bytes = 0, all_packets = 0;
    for (int i = 0; i < 3; i++) sendto(w, b, sizeof b, 0, (void *)&a, sizeof a);
    SHOW("datagrams: %ld packets, %ld bytes\n", counter("tx_packets") - packets, counter("tx_bytes") - bytes);
    SHOW("received as many %d\n", counter("rx_packets") == counter("tx_packets"));
    line_of_lo(&all_bytes, &all_packets);
    SHOW("in proc %d %d\n", all_packets == counter("rx_packets"), all_bytes == counter("rx_bytes"));
    int l = listener(), c = socket(AF_INET, SOCK_STREAM, 0);
    a = loopback(port_of(l)), packets = counter("tx_packets");
    connect(c, (void *)&a, sizeof a), usleep(1000);
    SHOW("handshake %ld\n", counter("tx_packets") - packets);
    bytes = counter("tx_bytes"), send(c, b, sizeof b, 0), usleep(1000);
    SHOW("stream %d\n", counter("tx_bytes") - bytes >= (long)sizeof b);
}

static int urgencies;

static void on_urgent(int signal) {
    (void)signal, urgencies++;
}

static void urgent(void) {
    int l = listener(), c = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(port_of(l));
    connect(c, (void *)&a, sizeof a);
    int s = accept(l, 0, 0);
    signal(SIGURG, on_urgent), signal(SIGIO, on_urgent);
    send(c, "a", 1, MSG_OOB), usleep(20000), SHOW("nobody's %d\n", urgencies);
    fcntl(s, F_SETOWN, getpid());
    send(c, "b", 1, 0), usleep(20000), SHOW("ordinary %d\n", urgencies);
    send(c, "c", 1, MSG_OOB), usleep(20000), SHOW("urgent %d\n", urgencies);
    fcntl(s, F_SETSIG, SIGRTMIN);
    send(c, "d", 1, MSG_OOB), usleep(20000), SHOW("whatever F_SETSIG says %d\n", urgencies);
}

int main(void) {
    PART(streams), PART(datagrams), PART(sixes), PART(options), PART(counters), PART(urgent);
    return 0;
}
