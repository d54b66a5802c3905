/* Groups of version 4 on the loopback interface (ip(7)): who joins them, and whom datagrams reach. */
#include "show.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in at(const char *ip, int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

static void member(int s, int option, const char *group, const char *address, int number) {
    struct ip_mreqn request = {{inet_addr(group)}, {inet_addr(address)}, number};
    char what[64];
    snprintf(what, sizeof what, "%d %s %s %d", option, group, address, number);
    TRY(what, setsockopt(s, IPPROTO_IP, option, &request, sizeof request));
}

static void joining(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    member(s, IP_ADD_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0), member(s, IP_ADD_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0);
    member(s, IP_ADD_MEMBERSHIP, "224.5.5.6", "0.0.0.0", 1), member(s, IP_ADD_MEMBERSHIP, "224.5.5.7", "0.0.0.0", 9);
    member(s, IP_ADD_MEMBERSHIP, "224.5.5.8", "0.0.0.0", 0), member(s, IP_ADD_MEMBERSHIP, "224.5.5.8", "10.0.0.1", 0);
    member(s, IP_ADD_MEMBERSHIP, "10.0.0.1", "127.0.0.1", 0), member(s, IP_ADD_MEMBERSHIP, "240.0.0.1", "127.0.0.1", 0);
    struct ip_mreq request = {{inet_addr("239.1.1.1")}, {inet_addr("127.0.0.1")}};
    TRY("short", setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request));
    TRY("too short", setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, 4));
    member(s, IP_DROP_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0), member(s, IP_DROP_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0);
    member(s, IP_DROP_MEMBERSHIP, "224.5.5.6", "0.0.0.0", 1), member(s, IP_DROP_MEMBERSHIP, "10.0.0.1", "127.0.0.1", 0);
    for (int i = 1; i < 21; i++) request.imr_multiaddr.s_addr = htonl(0xe0060000 + i),
        setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
    member(s, IP_ADD_MEMBERSHIP, "224.7.0.1", "127.0.0.1", 0);
    member(socket(AF_INET, SOCK_STREAM, 0), IP_ADD_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0);
    member(socket(AF_INET, SOCK_STREAM, 0), IP_MULTICAST_IF, "0.0.0.0", "127.0.0.1", 0);
}

static void interface(int s, const char *ip) {
    struct in_addr address = {inet_addr(ip)}, found = {0};
    TRY(ip, setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof address));
    TRY("get", getsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &found, &(socklen_t){sizeof found}));
    SHOW("%s\n", inet_ntoa(found));
}

static void read_all(const char *name, int s) {
    char b[16];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    for (long n; (n = recvfrom(s, b, sizeof b, MSG_DONTWAIT, (void *)&from, &len)) >= 0;)
        SHOW("%s: %.*s from %s\n", name, (int)n, b, inet_ntoa(from.sin_addr));
}

static void sending(void) {
    int out = socket(AF_INET, SOCK_DGRAM, 0), one = 1, in[5];
    struct sockaddr_in group = at("224.5.5.5", 9000), other = at("224.9.9.9", 9000), hosts = at("224.0.0.1", 9000);
    const char *own[] = {"0.0.0.0", "224.5.5.5", "0.0.0.0", "127.0.0.1", "0.0.0.0"};
    for (int i = 0; i < 5; i++) {
        struct sockaddr_in a = at(own[i], 9000);
        in[i] = socket(AF_INET, SOCK_DGRAM, 0), setsockopt(in[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        TRY("bind", bind(in[i], (void *)&a, sizeof a));
    }
    TRY("stream", bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&group, sizeof group));
    TRY("no way", sendto(out, "a", 1, 0, (void *)&group, sizeof group));
    interface(out, "10.0.0.1"), interface(out, "127.0.0.1");
    TRY("nobody", sendto(out, "b", 1, 0, (void *)&group, sizeof group));
    member(in[0], IP_ADD_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0);
    setsockopt(in[4], IPPROTO_IP, IP_MULTICAST_ALL, &(int){0}, sizeof(int));
    TRY("group", sendto(out, "c", 1, 0, (void *)&group, sizeof group));
    TRY("other", sendto(out, "d", 1, 0, (void *)&other, sizeof other));
    TRY("hosts", sendto(out, "e", 1, 0, (void *)&hosts, sizeof hosts));
    TRY("loop off", setsockopt(out, IPPROTO_IP, IP_MULTICAST_LOOP, &(int){0}, sizeof(int)));
    TRY("group", sendto(out, "f", 1, 0, (void *)&group, sizeof group));
    for (int i = 0; i < 5; i++) read_all(own[i], in[i]);
    TRY("from a group", sendto(in[1], "g", 1, 0, (void *)&group, sizeof group));
    TRY("from loopback", sendto(in[3], "h", 1, 0, (void *)&group, sizeof group));
    TRY("connect", connect(out, (void *)&group, sizeof group)), TRY("send", send(out, "i", 1, 0));
    member(in[0], IP_DROP_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0), TRY("send", send(out, "j", 1, 0));
    member(in[2], IP_ADD_MEMBERSHIP, "224.5.5.5", "127.0.0.1", 0), TRY("send", send(out, "k", 1, 0));
    close(in[2]), TRY("send", send(out, "l", 1, 0));
    read_all("first", in[0]), read_all("group", in[1]), read_all("last", in[4]);
    interface(out, "0.0.0.0"), out = socket(AF_INET, SOCK_DGRAM, 0);
    TRY("device", setsockopt(out, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
    TRY("by device", sendto(out, "m", 1, 0, (void *)&hosts, sizeof hosts)), read_all("device", in[0]);
    TRY("tcp", connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&group, sizeof group));
}

int main(void) {
    PART(joining), PART(sending);
    return 0;
}
