// A page fault handler for restored guests, as others write them for Firecracker: uffd SOCKET FILE PAGES [LIST].
//
// Takes one connection at SOCKET, with the descriptor of the faults and JSON of the regions, and fills each page that
// is touched from FILE, and with it what is missing of the PAGES around it. Ends when the other end of the connection
// goes. Where there is no LIST, it writes down there which pages were touched; where there is one, it reads these pages
// before it listens, and fills them before any is asked for.

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
#define TOUCHED_MAX 65536

struct region {
    uint64_t base, size, offset;
};

// Neighbours that were touched in a restore before, by their place in the file.
struct run {
    uint64_t offset, len;
    char *bytes;
};

static struct region all[REGIONS];
static int region_count, faults;

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

static void regions(const char *text) {
    for (; region_count < REGIONS && (text = strstr(text, "{")); text++, region_count++) {
        all[region_count].base = number(text, "\"base_host_virt_addr\":");
        all[region_count].size = number(text, "\"size\":");
        all[region_count].offset = number(text, "\"offset\":");
    }
}

static const char *mapped(int file) {
    struct stat status;
    check("stat", fstat(file, &status));
    void *memory = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int read_ahead(int list, int file, struct run *runs) {
    static uint64_t touched[TOUCHED_MAX];
    int len = check("read the list", read(list, touched, sizeof(touched))) / (int)sizeof(*touched), count = 0;
    qsort(touched, len, sizeof(*touched), ascending);
    for (int i = 0, end; i < len; i = end, count++) {
        for (end = i + 1; end < len && touched[end] == touched[end - 1] + PAGE; end++) {
        }
        uint64_t bytes = (end - i) * PAGE;
        runs[count] = (struct run){touched[i], bytes, malloc(bytes)};
        if (!runs[count].bytes || pread(file, runs[count].bytes, bytes, touched[i]) != (ssize_t)bytes) {
            perror("read ahead");
            exit(1);
        }
    }
    return count;
}

// How many pages were filled: up to the first that was there.
static uint64_t copied(uint64_t to, const char *from, uint64_t len) {
    struct uffdio_copy copy = {.dst = to, .src = (uint64_t)from, .len = len};
    ioctl(faults, UFFDIO_COPY, &copy);
    return copy.copy > 0 ? copy.copy / PAGE : 0;
}

static uint64_t filled_ahead(const struct region *region, const struct run *run) {
    uint64_t start = run->offset - region->offset;
    if (start >= region->size) {
        return 0;
    }
    uint64_t left = region->size - start;
    return copied(region->base + start, run->bytes, left < run->len ? left : run->len);
}

// How many pages were filled for one that was touched: none where another processor had touched it before.
static uint64_t filled(const struct region *region, const char *memory, uint64_t touched, uint64_t pages) {
    uint64_t block = pages * PAGE, start = touched - touched % block, left = region->size - start;
    memory += region->offset;
    uint64_t count = copied(region->base + start, memory + start, left < block ? left : block);
    if (start + count * PAGE <= touched) {
        count += copied(region->base + touched, memory + touched, PAGE);
    }
    return count;
}

// Waits for a page to be touched: its address, or 0 when the guest is gone.
static uint64_t next(int peer) {
    for (;;) {
        struct pollfd fds[2] = {{faults, POLLIN, 0}, {peer, POLLIN, 0}};
        check("poll", poll(fds, 2, -1));
        struct uffd_msg message;
        if (fds[0].revents & POLLIN && read(faults, &message, sizeof(message)) == sizeof(message)) {
            if (message.event == UFFD_EVENT_PAGEFAULT) {
                return message.arg.pagefault.address & ~(PAGE - 1);
            }
        } else if (fds[1].revents) {
            return 0;
        }
    }
}

int main(int argc, char **argv) {
    uint64_t pages = argc == 4 || argc == 5 ? strtoull(argv[3], NULL, 10) : 0;
    if (!pages) {
        return 2;
    }
    int file = check("open", open(argv[2], O_RDONLY));
    const char *memory = mapped(file);
    static struct run runs[TOUCHED_MAX];
    int known = argc == 5 ? open(argv[4], O_RDONLY) : -1, run_count = known < 0 ? 0 : read_ahead(known, file, runs);
    int list = argc == 5 && known < 0 ? check("create", open(argv[4], O_CREAT | O_EXCL | O_WRONLY, 0600)) : -1;
    static char text[4096];
    int peer = accepted(argv[1]);
    faults = receive(peer, text, sizeof(text));
    regions(text);
    uint64_t answered = 0, total = 0;
    for (int i = 0; i < region_count * run_count; i++) {
        total += filled_ahead(&all[i % region_count], &runs[i / region_count]);
    }
    for (uint64_t address; (address = next(peer)); answered++) {
        for (int i = 0; i < region_count; i++) {
            uint64_t touched = address - all[i].base, offset = all[i].offset + touched;
            if (touched < all[i].size) {
                total += filled(&all[i], memory, touched, pages);
                if (list >= 0) {
                    check("write the list", write(list, &offset, sizeof(offset)));
                }
            }
        }
    }
    printf("answered %lu faults, filled %lu pages\n", answered, total);
    return 0;
}
