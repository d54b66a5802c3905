/* Sockets that see headers: raw(7), icmp(7), packet(7), over loopback. Prints the same on every Linux. */
#include "show.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* linux/icmp.h, which does not go with the other headers. */
#define ICMP_FILTER 1

static struct sockaddr_in lo(int port) {
    return (struct sockaddr_in){AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
}

static struct sockaddr_in6 lo6(int port) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return a;
}

static unsigned short sum(const void *data, int len) {
    const unsigned char *p = data;
    unsigned long s = 0;
    for (int i = 0; i < len; i++) s += p[i] << (i % 2 ? 0 : 8);
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return htons(~s & 0xffff);
}

static void echo(struct icmphdr *h, int id, int seq, int len) {
    *h = (struct icmphdr){.type = ICMP_ECHO};
    h->un.echo.id = htons(id), h->un.echo.sequence = htons(seq);
    h->checksum = sum(h, len);
}

/* What a socket of version 4 has received, until nothing more comes. */
static void heard(const char *what, int fd) {
    unsigned char b[2048];
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    struct pollfd p = {fd, POLLIN, 0};
    while (poll(&p, 1, 200) > 0) {
        memset(&from, 0, sizeof from);
        long len = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, (void *)&from, &n);
        if (len < 20) { SHOW("%s %ld/%d\n", what, len, errno); continue; }
        struct iphdr *ip = (void *)b;
        unsigned char *d = b + ip->ihl * 4;
        SHOW("%s %ld from %s port %d: v%d len %d protocol %d ttl %d sound %d, %d/%d\n", what, len,
            inet_ntoa(from.sin_addr), ntohs(from.sin_port), ip->version, ntohs(ip->tot_len), ip->protocol, ip->ttl,
            !sum(ip, ip->ihl * 4), d[0], d[1]);
    }
}

static void who_may(void) {
    TRY("no protocol", socket(AF_INET, SOCK_RAW, 0));
    TRY("too many", socket(AF_INET, SOCK_RAW, 300));
    TRY("negative", socket(AF_INET6, SOCK_RAW, -1));
    TRY("stream", socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP));
    TRY("frames in order", socket(AF_PACKET, SOCK_SEQPACKET, htons(ETH_P_ALL)));
    TRY("user", setresuid(1000, 1000, 1000));
    TRY("no protocol", socket(AF_INET, SOCK_RAW, 0));
    TRY("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    TRY("raw 6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    TRY("frames", socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    OPEN("ping", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    TRY("ping 6 of 4", socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP));
}

static void echoes(void) {
    int fd = OPEN("socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    struct sockaddr_in to = lo(0), name;
    socklen_t n = sizeof name;
    char b[64] = {0};
    memset(b + 8, 'x', 56), echo((void *)b, 77, 1, 64);
    TRY("no address", send(fd, b, 64, 0));
    TRY("send", sendto(fd, b, 64, 0, (void *)&to, sizeof to));
    heard("raw", fd);
    b[2] ^= 1;
    TRY("damaged", sendto(fd, b, 64, 0, (void *)&to, sizeof to));
    heard("raw", fd);
    TRY("name", getsockname(fd, (void *)&name, &n)), SHOW("%s %d\n", inet_ntoa(name.sin_addr), ntohs(name.sin_port));
    TRY("no peer", getpeername(fd, (void *)&name, &n));
    unsigned mask = 1 << ICMP_ECHO;
    TRY("filter", setsockopt(fd, SOL_RAW, ICMP_FILTER, &mask, sizeof mask));
    unsigned got = 0;
    n = sizeof got;
    TRY("which", getsockopt(fd, SOL_RAW, ICMP_FILTER, &got, &n)), SHOW("%x %d\n", got, n);
    int ttl = 7;
    TRY("ttl", setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl));
    TRY("connect", connect(fd, (void *)&to, sizeof to));
    echo((void *)b, 77, 2, 64);
    TRY("again", send(fd, b, 64, 0));
    TRY("waiting", ioctl(fd, FIONREAD, &ttl)), SHOW("%d\n", ttl);
    heard("filtered", fd);
    TRY("oob", send(fd, b, 64, MSG_OOB));
    TRY("option", setsockopt(fd, IPPROTO_TCP, 1, &ttl, sizeof ttl));
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    TRY("filter of tcp", setsockopt(tcp, SOL_RAW, ICMP_FILTER, &mask, sizeof mask));
    TRY("header of tcp", setsockopt(tcp, IPPROTO_IP, IP_HDRINCL, &ttl, sizeof ttl));
}

static void pings(void) {
    int fd = OPEN("socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)), other = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    struct sockaddr_in to = lo(0), name, own = lo(4711);
    socklen_t n = sizeof name;
    char b[64] = {0}, r[64];
    echo((void *)b, 1, 9, 64);
    TRY("bind", bind(fd, (void *)&own, sizeof own)), TRY("again", bind(fd, (void *)&own, sizeof own));
    int reuse = 0;
    n = sizeof reuse;
    TRY("reuse", getsockopt(other, SOL_SOCKET, SO_REUSEADDR, &reuse, &n)), SHOW("%d\n", reuse);
    reuse = 0, n = sizeof name;
    TRY("no reuse", setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse));
    TRY("taken", bind(other, (void *)&own, sizeof own));
    TRY("name", getsockname(fd, (void *)&name, &n)), SHOW("%d\n", ntohs(name.sin_port));
    TRY("send", sendto(fd, b, 64, 0, (void *)&to, sizeof to));
    TRY("short", sendto(fd, b, 7, 0, (void *)&to, sizeof to));
    b[0] = ICMP_ECHOREPLY;
    TRY("reply", sendto(fd, b, 64, 0, (void *)&to, sizeof to));
    struct icmphdr *h = (void *)r;
    TRY("receive", recvfrom(fd, r, sizeof r, 0, (void *)&name, &n));
    SHOW("%d/%d id %d seq %d from %s sound %d\n", h->type, h->code, ntohs(h->un.echo.id), ntohs(h->un.echo.sequence),
        inet_ntoa(name.sin_addr), !sum(r, 64));
    TRY("no more", recv(fd, r, sizeof r, MSG_DONTWAIT));
    TRY("not its own", recv(other, r, sizeof r, MSG_DONTWAIT));
    int six = OPEN("socket", socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
    struct sockaddr_in6 to6 = lo6(0);
    struct icmp6_hdr *h6 = (void *)b;
    memset(b, 0, 8), h6->icmp6_type = ICMP6_ECHO_REQUEST, h6->icmp6_seq = htons(3);
    TRY("send", sendto(six, b, 16, 0, (void *)&to6, sizeof to6));
    TRY("receive", recv(six, r, sizeof r, 0)), SHOW("%d seq %d\n", r[0] & 255, ntohs(((struct icmp6_hdr *)r)->icmp6_seq));
}

static void sixes(void) {
    int fd = OPEN("socket", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    struct sockaddr_in6 to = lo6(0), bad = lo6(9), from;
    socklen_t n = sizeof from;
    unsigned char b[16] = {ICMP6_ECHO_REQUEST}, r[64];
    TRY("port", sendto(fd, b, 16, 0, (void *)&bad, sizeof bad));
    TRY("send", sendto(fd, b, 16, 0, (void *)&to, sizeof to));
    for (int i = 0; i < 2; i++)
        TRY("receive", recvfrom(fd, r, sizeof r, 0, (void *)&from, &n)), SHOW("%d loopback %d port %d\n", r[0],
            IN6_IS_ADDR_LOOPBACK(&from.sin6_addr), ntohs(from.sin6_port));
    struct icmp6_filter f;
    ICMP6_FILTER_SETBLOCKALL(&f);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
    TRY("filter", setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof f));
    TRY("send", sendto(fd, b, 16, 0, (void *)&to, sizeof to));
    TRY("receive", recv(fd, r, sizeof r, 0)), SHOW("%d\n", r[0]);
    TRY("no more", recv(fd, r, sizeof r, MSG_DONTWAIT));
    int at = 2;
    TRY("checksum", setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof at));
    int own = OPEN("own", socket(AF_INET6, SOCK_RAW, 200));
    TRY("checksum", setsockopt(own, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof at));
    TRY("send", sendto(own, b, 16, 0, (void *)&to, sizeof to));
    TRY("receive", recv(own, r, sizeof r, 0)), SHOW("%02x%02x\n", r[2], r[3]);
}

static void headers(void) {
    int fd = OPEN("socket", socket(AF_INET, SOCK_RAW, IPPROTO_RAW)), see = socket(AF_INET, SOCK_RAW, 200);
    int udp = socket(AF_INET, SOCK_DGRAM, 0), seen = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    struct sockaddr_in to = lo(0), at = lo(4712);
    int on = 0;
    socklen_t n = sizeof on;
    TRY("included", getsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, &n)), SHOW("%d\n", on);
    unsigned char b[64] = {0};
    struct iphdr *ip = (void *)b;
    *ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 9, .protocol = 200, .daddr = to.sin_addr.s_addr};
    TRY("short", sendto(fd, b, 19, 0, (void *)&to, sizeof to));
    TRY("send", sendto(fd, b, 30, 0, (void *)&to, sizeof to));
    heard("see", see);
    TRY("bind", bind(udp, (void *)&at, sizeof at));
    struct udphdr *u = (void *)(b + 20);
    *u = (struct udphdr){.source = htons(5), .dest = htons(4712), .len = htons(12)};
    memcpy(b + 28, "data", 4), ip->protocol = IPPROTO_UDP;
    TRY("datagram", sendto(fd, b, 32, 0, (void *)&to, sizeof to));
    char r[16] = {0};
    TRY("receive", recvfrom(udp, r, sizeof r, 0, (void *)&at, &n)), SHOW("%s\n", r);
    heard("seen", seen);
    int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), nobody = socket(AF_INET, SOCK_DGRAM, 0);
    at = lo(4713);
    TRY("nobody", sendto(nobody, "x", 1, 0, (void *)&at, sizeof at));
    heard("icmp", icmp);
    ip->protocol = 201;
    TRY("no protocol", sendto(fd, b, 32, 0, (void *)&to, sizeof to));
    heard("icmp", icmp);
}

static void frame(const char *what, int fd) {
    unsigned char b[2048];
    struct sockaddr_ll a;
    struct pollfd p = {fd, POLLIN, 0};
    while (poll(&p, 1, 200) > 0) {
        socklen_t n = sizeof a;
        memset(&a, 0, sizeof a);
        long len = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, (void *)&a, &n);
        SHOW("%s %ld: %d protocol %04x index %d type %d way %d address %d begins %02x\n", what, len, a.sll_family,
            ntohs(a.sll_protocol), a.sll_ifindex, a.sll_hatype, a.sll_pkttype, a.sll_halen, b[0]);
    }
}

static void frames(void) {
    int all = OPEN("all", socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    int ip = OPEN("ip", socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
    int none = OPEN("none", socket(AF_PACKET, SOCK_DGRAM, 0));
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1}, name;
    socklen_t n = sizeof name;
    TRY("name", getsockname(all, (void *)&name, &n)), SHOW("%d %04x %d\n", n, ntohs(name.sll_protocol), name.sll_ifindex);
    TRY("bind", bind(none, (void *)&a, 12)), TRY("bind", bind(none, (void *)&a, sizeof a));
    n = sizeof name;
    TRY("name", getsockname(none, (void *)&name, &n)), SHOW("%d %04x %d %d\n", n, ntohs(name.sll_protocol),
        name.sll_ifindex, name.sll_hatype);
    a.sll_ifindex = 999;
    TRY("no interface", bind(none, (void *)&a, sizeof a));
    TRY("connect", connect(none, (void *)&a, sizeof a)), TRY("peer", getpeername(none, (void *)&a, &n));
    TRY("listen", listen(none, 1));
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = lo(4714);
    TRY("own", bind(udp, (void *)&at, sizeof at)), TRY("send", sendto(udp, "data", 4, 0, (void *)&at, sizeof at));
    frame("all", all), frame("ip", ip), frame("none", none);
    unsigned char b[64] = {0};
    struct iphdr *h = (void *)(b + 14);
    b[12] = 8;
    *h = (struct iphdr){.version = 4, .ihl = 5, .ttl = 9, .protocol = 17, .tot_len = htons(32),
        .saddr = at.sin_addr.s_addr, .daddr = at.sin_addr.s_addr};
    h->check = sum(h, 20);
    *(struct udphdr *)(b + 34) = (struct udphdr){.source = htons(5), .dest = htons(4714), .len = htons(12)};
    memcpy(b + 42, "fram", 4);
    TRY("nowhere", send(all, b, 46, 0));
    a.sll_family = 0, a.sll_ifindex = 1, a.sll_halen = 6;
    TRY("frame", sendto(all, b, 46, 0, (void *)&a, sizeof a));
    char r[16] = {0};
    TRY("first", recv(udp, r, sizeof r, 0)), SHOW("%s\n", r);
    TRY("martian", recv(udp, r, sizeof r, MSG_DONTWAIT));
    frame("all", all), frame("ip", ip);
    a.sll_family = AF_PACKET, a.sll_protocol = htons(0x1234);
    TRY("other", sendto(ip, "other", 5, 0, (void *)&a, sizeof a));
    frame("all", all), frame("ip", ip);
    struct tpacket_stats s;
    n = sizeof s;
    TRY("statistics", getsockopt(ip, SOL_PACKET, PACKET_STATISTICS, &s, &n)), SHOW("%d %d\n", s.tp_packets, s.tp_drops);
    TRY("again", getsockopt(ip, SOL_PACKET, PACKET_STATISTICS, &s, &n)), SHOW("%d %d\n", s.tp_packets, s.tp_drops);
    int on = 1;
    TRY("ignore", setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on));
    TRY("send", sendto(udp, "data", 4, 0, (void *)&at, sizeof at));
    frame("all", all);
    struct packet_mreq m = {.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC};
    TRY("all of it", setsockopt(all, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
    TRY("no more", setsockopt(all, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof m));
}

int main(void) {
    PART(who_may), PART(echoes), PART(pings), PART(sixes), PART(headers), PART(frames);
    return 0;
}
