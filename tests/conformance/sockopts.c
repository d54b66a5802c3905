/* Options of sockets (socket(7), tcp(7), udp(7), ip(7), ipv6(7)): what each is at first, and what it takes. */
#include "show.h"
#include <arpa/inet.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int s;

static void value(const char *name, int level, int option) {
    char bytes[512] = {0};
    socklen_t len = sizeof bytes;
    int result = getsockopt(s, level, option, bytes, &len);
    SHOW("%s %d/%d len %d", name, result, result ? errno : 0, result ? -1 : (int)len);
    if (!result && len == 4) SHOW(" %d", *(int *)bytes);
    SHOW("\n");
}

static void change(const char *name, int level, int option, int to) {
    TRY(name, setsockopt(s, level, option, &to, sizeof to)), value(name, level, option);
}

#define GET(level, option) value(#option, level, option)
#define SET(level, option, to) change(#option " " #to, level, option, to)

static void device(const char *name, int len) {
    TRY(name, setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, len)), GET(SOL_SOCKET, SO_BINDTODEVICE);
}

static void interface(void) {
    char name[16] = {0};
    s = socket(AF_INET, SOCK_STREAM, 0);
    GET(SOL_SOCKET, SO_BINDTODEVICE), GET(SOL_SOCKET, SO_BINDTOIFINDEX);
    device("nosuch", 7), device("lo", 3), device("lo", 2), GET(SOL_SOCKET, SO_BINDTOIFINDEX);
    TRY("short", getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &(socklen_t){8}));
    TRY("name", getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &(socklen_t){16})), SHOW("%s\n", name);
    device("", 0), SET(SOL_SOCKET, SO_BINDTOIFINDEX, 1), SET(SOL_SOCKET, SO_BINDTOIFINDEX, -1);
    SET(SOL_SOCKET, SO_BINDTOIFINDEX, 0), device("lo", 3);
    TRY("user", setresuid(1000, 1000, 1000)), device("", 0), device("lo", 3);
    s = socket(AF_INET, SOCK_DGRAM, 0), device("lo", 3), device("", 0);
}

static void common(void) {
    int kinds[][2] = {{AF_INET, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_NETLINK, SOCK_RAW}};
    for (int i = 0; i < 4; i++) {
        SHOW("- family %d\n", kinds[i][0]), s = socket(kinds[i][0], kinds[i][1], 0);
        SET(SOL_SOCKET, SO_BSDCOMPAT, 1), SET(SOL_SOCKET, SO_SNDLOWAT, 2), SET(SOL_SOCKET, SO_WIFI_STATUS, 1);
        SET(SOL_SOCKET, SO_NOFCS, 1), SET(SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1), GET(SOL_SOCKET, SO_BPF_EXTENSIONS);
        SET(SOL_SOCKET, SO_INCOMING_NAPI_ID, 1), SET(SOL_SOCKET, SO_COOKIE, 1), SET(SOL_SOCKET, SO_MEMINFO, 1);
        SET(SOL_SOCKET, SO_DETACH_FILTER, 1), SET(SOL_SOCKET, SO_MAX_PACING_RATE, 1000);
        uint64_t rate = 0, cookies[3] = {0};
        getsockopt(s, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &(socklen_t){8}), SHOW("rate %lu\n", (long)rate);
        TRY("no limit", setsockopt(s, SOL_SOCKET, SO_MAX_PACING_RATE, &(int){-1}, 4));
        getsockopt(s, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &(socklen_t){8}), SHOW("rate %lx\n", (long)rate);
        TRY("short", getsockopt(s, SOL_SOCKET, SO_COOKIE, cookies, &(socklen_t){4}));
        for (int j = 0; j < 3; j++)
            getsockopt(j == 2 ? socket(AF_INET, SOCK_DGRAM, 0) : s, SOL_SOCKET, SO_COOKIE, &cookies[j],
                &(socklen_t){8});
        SHOW("cookies %d %d\n", cookies[0] == cookies[1], cookies[0] == cookies[2]);
    }
}

static void name_of(int option, const char *name) {
    char found[32] = {0};
    TRY(name, setsockopt(s, IPPROTO_TCP, option, name, strlen(name)));
    TRY("get", getsockopt(s, IPPROTO_TCP, option, found, &(socklen_t){sizeof found}));
    SHOW("%s\n", option == TCP_CONGESTION && strcmp(found, "reno") ? "other" : found);
}

static void tcp(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, (void *)&a, sizeof a), listen(l, 2), getsockname(l, (void *)&a, &len);
    for (int connected = 0; connected < 2; connected++) {
        SHOW("- connected %d\n", connected), s = socket(AF_INET, SOCK_STREAM, 0);
        if (connected) TRY("connect", connect(s, (void *)&a, sizeof a));
        SET(IPPROTO_TCP, TCP_MAXSEG, 1), SET(IPPROTO_TCP, TCP_MAXSEG, 1000), SET(IPPROTO_TCP, TCP_MAXSEG, 40000);
        SET(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1), SET(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 2);
        SET(IPPROTO_TCP, TCP_THIN_DUPACK, 1), SET(IPPROTO_TCP, TCP_THIN_DUPACK, 2), SET(IPPROTO_TCP, TCP_SAVE_SYN, 1);
        SET(IPPROTO_TCP, TCP_SAVE_SYN, 3), GET(IPPROTO_TCP, TCP_SAVED_SYN), GET(IPPROTO_TCP, TCP_ULP);
        name_of(TCP_CONGESTION, "reno"), name_of(TCP_CONGESTION, "nosuch"), name_of(TCP_ULP, "nosuch");
        TRY("empty", setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "", 0));
        GET(IPPROTO_TCP, TCP_CC_INFO), GET(IPPROTO_IP, IP_MTU), GET(IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
    }
    s = socket(AF_INET, SOCK_STREAM, 0);
    SET(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), SET(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
    SET(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 2), SET(IPPROTO_TCP, TCP_WINDOW_CLAMP, 1);
}

static void internet(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s = socket(AF_INET, SOCK_DGRAM, 0);
    GET(IPPROTO_IP, IP_OPTIONS), SET(IPPROTO_IP, IP_RECVOPTS, 1), SET(IPPROTO_IP, IP_RETOPTS, 1);
    SET(IPPROTO_IP, IP_PASSSEC, 1), SET(IPPROTO_IP, IP_MINTTL, 5), SET(IPPROTO_IP, IP_MINTTL, 256);
    SET(IPPROTO_IP, IP_RECVFRAGSIZE, 1), SET(IPPROTO_IP, IP_RECVERR_RFC4884, 1), SET(IPPROTO_IP, IP_MULTICAST_ALL, 0);
    GET(IPPROTO_IP, IP_MTU), TRY("connect", connect(s, (void *)&a, sizeof a)), GET(IPPROTO_IP, IP_MTU);
    SET(IPPROTO_UDP, UDP_NO_CHECK6_TX, 1), SET(IPPROTO_UDP, UDP_NO_CHECK6_RX, 1), SET(IPPROTO_UDP, UDP_GRO, 1);
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    s = socket(AF_INET6, SOCK_DGRAM, 0);
    SET(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0), SET(IPPROTO_IPV6, IPV6_ROUTER_ALERT_ISOLATE, 1);
    SET(IPPROTO_IPV6, IPV6_RECVERR_RFC4884, 1), SET(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1);
    SET(IPPROTO_IPV6, IPV6_RECVHOPOPTS, 1), SET(IPPROTO_IPV6, IPV6_RECVRTHDR, 1);
    SET(IPPROTO_IPV6, IPV6_RECVDSTOPTS, 1), SET(IPPROTO_IPV6, IPV6_RECVPATHMTU, 1);
    SET(IPPROTO_IPV6, IPV6_DONTFRAG, 1), SET(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
    SET(IPPROTO_IPV6, IPV6_MINHOPCOUNT, 5), SET(IPPROTO_IPV6, IPV6_MINHOPCOUNT, 256);
    SET(IPPROTO_IPV6, IPV6_FREEBIND, 1), SET(IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
    SET(IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1), GET(IPPROTO_IPV6, IPV6_MTU);
    TRY("connect", connect(s, (void *)&b, sizeof b)), GET(IPPROTO_IPV6, IPV6_MTU);
}

int main(void) {
    PART(interface), PART(common), PART(tcp), PART(internet);
    return 0;
}
