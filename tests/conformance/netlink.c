/* Netlink as programs use it: links, addresses, routes. Prints the same on every Linux. */
#include "show.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void dump(int fd, int type) {
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
    } q = {{NLMSG_LENGTH(sizeof q.g), type, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
    TRY("send", send(fd, &q, q.h.nlmsg_len, 0) > 0);
    char b[16384] __attribute__((aligned(8)));
    for (int done = 0; !done;) {
        long n = recv(fd, b, sizeof b, 0);
        if (n <= 0) break;
        for (struct nlmsghdr *h = (void *)b; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            done |= h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
            if (h->nlmsg_type == RTM_NEWLINK) {
                struct ifinfomsg *i = NLMSG_DATA(h);
                if (i->ifi_flags & IFF_LOOPBACK) SHOW("link type %d up %d seq %d multi %d\n", i->ifi_type,
                    !!(i->ifi_flags & IFF_UP), h->nlmsg_seq, !!(h->nlmsg_flags & NLM_F_MULTI));
            } else if (h->nlmsg_type == RTM_NEWADDR) {
                struct ifaddrmsg *i = NLMSG_DATA(h);
                if (i->ifa_index == 1) SHOW("address family %d prefix %d scope %d\n", i->ifa_family, i->ifa_prefixlen,
                    i->ifa_scope);
            } else if (h->nlmsg_type == NLMSG_DONE) {
                SHOW("done seq %d\n", h->nlmsg_seq);
            } else if (h->nlmsg_type == NLMSG_ERROR) {
                SHOW("error %d\n", ((struct nlmsgerr *)NLMSG_DATA(h))->error);
            }
        }
    }
}

static void links(void) {
    TRY("type", socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    TRY("protocol", socket(AF_NETLINK, SOCK_RAW, 999));
    int fd = OPEN("socket", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    struct sockaddr_nl a = {.nl_family = AF_NETLINK};
    socklen_t n = sizeof a;
    TRY("bind", bind(fd, (void *)&a, sizeof a));
    TRY("name", getsockname(fd, (void *)&a, &n)), SHOW("%d %d\n", n, a.nl_pid == (unsigned)getpid());
    dump(fd, RTM_GETLINK), dump(fd, RTM_GETADDR), dump(fd, RTM_GETROUTE);
    struct nlmsghdr bad = {NLMSG_LENGTH(0), 999, NLM_F_REQUEST | NLM_F_ACK, 8, 0};
    TRY("unknown", send(fd, &bad, sizeof bad, 0));
    char b[256] __attribute__((aligned(8)));
    TRY("answer", recv(fd, b, sizeof b, 0) > 0), SHOW("%d %d\n", ((struct nlmsghdr *)b)->nlmsg_type,
        ((struct nlmsgerr *)NLMSG_DATA(b))->error);
    TRY("nothing", recv(fd, b, sizeof b, MSG_DONTWAIT));
}

static void interfaces(void) {
    struct ifaddrs *all, *i;
    TRY("getifaddrs", getifaddrs(&all));
    int found = 0;
    for (i = all; i; i = i->ifa_next)
        if (!strcmp(i->ifa_name, "lo") && i->ifa_addr && i->ifa_addr->sa_family == AF_INET) found++;
    SHOW("loopback %d\n", found);
    SHOW("index %d none %d\n", if_nametoindex("lo"), if_nametoindex("none0"));
    char name[IF_NAMESIZE];
    SHOW("name %s\n", if_indextoname(1, name));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r = {0};
    strcpy(r.ifr_name, "lo");
    TRY("flags", ioctl(fd, SIOCGIFFLAGS, &r)), SHOW("%x\n", r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
    TRY("mtu", ioctl(fd, SIOCGIFMTU, &r)), SHOW("%d\n", r.ifr_mtu);
    TRY("address", ioctl(fd, SIOCGIFADDR, &r)), SHOW("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
    TRY("netmask", ioctl(fd, SIOCGIFNETMASK, &r)), SHOW("%s\n",
        inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
    strcpy(r.ifr_name, "none0"), TRY("none", ioctl(fd, SIOCGIFFLAGS, &r));
}

int main(void) {
    PART(links), PART(interfaces);
    return 0;
}
