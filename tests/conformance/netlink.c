/* Netlink as programs use it: links, addresses, routes. Prints the same on every Linux. */
#include "show.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/taskstats.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define NLA_DATA(a) ((void *)((char *)(a) + NLA_HDRLEN))

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

/* The attribute of a type behind a generic header, or inside another attribute. */
static struct nlattr *attribute(void *from, void *end, int type) {
    for (struct nlattr *a = from; (char *)a + sizeof *a <= (char *)end && a->nla_len;
         a = (void *)((char *)a + NLA_ALIGN(a->nla_len)))
        if ((a->nla_type & NLA_TYPE_MASK) == type) return a;
    return 0;
}

/* Asks a family; the answer lies in b. */
static struct nlmsghdr *ask(int fd, int family, int command, int type, const void *value, int len) {
    static char b[8192] __attribute__((aligned(8)));
    struct {
        struct nlmsghdr h;
        struct genlmsghdr g;
        struct nlattr a;
        char value[64];
    } q = {{NLMSG_LENGTH(sizeof q.g) + NLA_HDRLEN + NLA_ALIGN(len), family, NLM_F_REQUEST, 5, 0}, {command, 1, 0},
        {NLA_HDRLEN + len, type}, {0}};
    memcpy(q.value, value, len);
    TRY("ask", send(fd, &q, q.h.nlmsg_len, 0) == q.h.nlmsg_len);
    TRY("answer", recv(fd, b, sizeof b, 0) > 0);
    struct nlmsghdr *h = (void *)b;
    if (h->nlmsg_type == NLMSG_ERROR) SHOW("error %d\n", ((struct nlmsgerr *)NLMSG_DATA(h))->error);
    return h->nlmsg_type == NLMSG_ERROR ? 0 : h;
}

static void generic(void) {
    TRY("stream", socket(AF_NETLINK, SOCK_STREAM, NETLINK_GENERIC));
    int fd = OPEN("socket", socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)), protocol;
    socklen_t n = sizeof protocol;
    TRY("protocol", getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n)), SHOW("%d\n", protocol);
    struct nlmsghdr *h = ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "nlctrl", 7);
    char *end = (char *)h + h->nlmsg_len, *at = (char *)NLMSG_DATA(h) + GENL_HDRLEN;
    SHOW("%d %s %d\n", h->nlmsg_type, (char *)NLA_DATA(attribute(at, end, CTRL_ATTR_FAMILY_NAME)),
        *(short *)NLA_DATA(attribute(at, end, CTRL_ATTR_FAMILY_ID)));
    ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "nobody", 7);
    ask(fd, GENL_ID_CTRL, 99, CTRL_ATTR_FAMILY_NAME, "nlctrl", 7);
    h = ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "TASKSTATS", 10);
    end = (char *)h + h->nlmsg_len, at = (char *)NLMSG_DATA(h) + GENL_HDRLEN;
    int family = *(short *)NLA_DATA(attribute(at, end, CTRL_ATTR_FAMILY_ID)), pid = getpid(), none = 999999;
    h = ask(fd, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &pid, sizeof pid);
    end = (char *)h + h->nlmsg_len, at = (char *)NLMSG_DATA(h) + GENL_HDRLEN;
    struct nlattr *all = attribute(at, end, TASKSTATS_TYPE_AGGR_PID);
    struct nlattr *who = attribute(NLA_DATA(all), end, TASKSTATS_TYPE_PID);
    struct taskstats *s = NLA_DATA(attribute(NLA_DATA(all), end, TASKSTATS_TYPE_STATS));
    SHOW("pid %d version %d name %s id %d parent %d uid %d nice %d time %d\n",
        *(int *)NLA_DATA(who) == pid, s->version >= 10, s->ac_comm, (int)s->ac_pid == pid, (int)s->ac_ppid == getppid(),
        s->ac_uid, s->ac_nice, s->ac_btime > 1600000000);
    ask(fd, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &none, sizeof none);
    ask(fd, family, TASKSTATS_CMD_GET, 9, &pid, sizeof pid);
    ask(fd, 0x7000, 1, 1, &pid, sizeof pid);
    int events = OPEN("events", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
    TRY("bind", bind(events, (void *)&a, sizeof a));
    TRY("nothing", recv(events, &a, sizeof a, MSG_DONTWAIT));
}

int main(void) {
    PART(links), PART(interfaces), PART(generic);
    return 0;
}
