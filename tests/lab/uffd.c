// A page fault handler for restored guests, as others write them for Firecracker: uffd SOCKET FILE.
//
// Takes one connection at SOCKET, with the descriptor of the faults and JSON of the regions, and fills each page that
// is touched from FILE. Ends when the other end of the connection goes.

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096ull
#define REGIONS 4

struct region {
    uint64_t base, size, offset;
};

static int check(const char *what, int result) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static int accepted(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    int fd = check("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    check("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
    check("listen", listen(fd, 1));
    return check("accept", accept(fd, NULL, NULL));
}

static int receive(int peer, char *text, size_t len) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {text, len - 1};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    text[check("recvmsg", recvmsg(peer, &message, 0))] = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS) {
        fprintf(stderr, "no descriptor came\n");
        exit(1);
    }
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

static uint64_t number(const char *text, const char *key) {
    const char *found = strstr(text, key);
    if (!found) {
        fprintf(stderr, "no %s in %s\n", key, text);
        exit(1);
    }
    return strtoull(found + strlen(key), NULL, 10);
}

static int regions(const char *text, struct region *all) {
    int count = 0;
    for (; count < REGIONS && (text = strstr(text, "{")); text++, count++) {
        all[count].base = number(text, "\"base_host_virt_addr\":");
        all[count].size = number(text, "\"size\":");
        all[count].offset = number(text, "\"offset\":");
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    int file = check("open", open(argv[2], O_RDONLY));
    struct stat status;
    check("stat", fstat(file, &status));
    char *memory = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    static char text[4096];
    struct region all[REGIONS];
    int peer = accepted(argv[1]), faults = receive(peer, text, sizeof(text)), count = regions(text, all);
    for (uint64_t filled = 0;;) {
        struct pollfd fds[2] = {{faults, POLLIN, 0}, {peer, POLLIN, 0}};
        check("poll", poll(fds, 2, -1));
        struct uffd_msg message;
        if (!(fds[0].revents & POLLIN) || read(faults, &message, sizeof(message)) != sizeof(message)) {
            if (fds[1].revents) {
                printf("filled %lu pages\n", filled);
                return 0;
            }
            continue;
        }
        if (message.event != UFFD_EVENT_PAGEFAULT) {
            continue;
        }
        uint64_t address = message.arg.pagefault.address & ~(PAGE - 1);
        for (int i = 0; i < count; i++) {
            if (address - all[i].base < all[i].size) {
                uint64_t source = (uint64_t)memory + all[i].offset + address - all[i].base;
                struct uffdio_copy copy = {.dst = address, .src = source, .len = PAGE};
                // Two processors may have touched the same page.
                filled += ioctl(faults, UFFDIO_COPY, &copy) == 0;
            }
        }
    }
}
