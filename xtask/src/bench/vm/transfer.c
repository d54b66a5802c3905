// Process 1 of a guest that reads and writes its disk and its network card, and marks what it has done:
// `mark NAME MICROSECONDS.`; the pauses are for those who look at the machine meanwhile.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)

static char *buffer;
static long began;

static void fail(const char *what) {
    printf("mark failed at %s: %s 0.\nall done\n", what, strerror(errno));
    fflush(stdout);
    for (;;) pause();
}

static long now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void mark(const char *name, long us) {
    usleep(50000);
    printf("mark %s %ld.\n", name, us);
    fflush(stdout);
    usleep(50000);
}

static void begin(void) {
    mark("begin", 0);
    began = now_us();
}

// All of a file, or as much of it as is asked for, in pieces.
static void pump(ssize_t (*move)(int, void *, size_t), int fd, size_t piece, size_t total, const char *name) {
    begin();
    for (size_t done = 0; done < total;) {
        ssize_t len = move(fd, buffer, piece);
        if (len <= 0) fail(name);
        done += len;
    }
    if (fsync(fd) < 0 && strncmp(name, "disk", 4) == 0) fail("fsync");
    mark(name, now_us() - began);
}

static ssize_t put(int fd, void *data, size_t len) { return write(fd, data, len); }

static void disk(void) {
    int fd = open("/dev/vda", O_RDWR | O_DIRECT);
    if (fd < 0) fail("/dev/vda");
    pump(read, fd, MIB, 64 * MIB, "disk, read by 1 MiB");
    lseek(fd, 0, SEEK_SET);
    pump(put, fd, MIB, 64 * MIB, "disk, written by 1 MiB");
    lseek(fd, 0, SEEK_SET);
    pump(read, fd, 4096, 8 * MIB, "disk, read by 4 KiB");
    close(fd);
}

static struct sockaddr_in address(const char *text, int port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_aton(text, &in.sin_addr);
    return in;
}

static int dial(int port) {
    struct sockaddr_in peer = address("172.16.9.1", port);
    for (int tries = 0; tries < 100; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0) return fd;
        close(fd);
        usleep(100000);
    }
    fail("connect");
    return -1;
}

static void up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = {.ifr_name = "eth0"};
    struct sockaddr_in in = address("172.16.9.2", 0), mask = address("255.255.255.252", 0);
    memcpy(&request.ifr_addr, &in, sizeof in);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0) fail("address");
    memcpy(&request.ifr_netmask, &mask, sizeof mask);
    if (ioctl(fd, SIOCSIFNETMASK, &request) < 0) fail("netmask");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) fail("up");
    close(fd);
}

static void network(void) {
    up();
    int fd = dial(5000);
    begin();
    for (size_t done = 0; done < 64 * MIB;) {
        ssize_t len = write(fd, buffer, MIB);
        if (len <= 0) fail("send");
        done += len;
    }
    shutdown(fd, SHUT_WR);
    // The other end closes when it has read all.
    while (read(fd, buffer, MIB) > 0) {}
    mark("network, sent", now_us() - began);
    close(fd);
    fd = dial(5001);
    begin();
    size_t got = 0;
    for (ssize_t len; (len = read(fd, buffer, MIB)) > 0;) got += len;
    if (got < 64 * MIB) fail("receive");
    mark("network, received", now_us() - began);
    close(fd);
}

int main(void) {
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    if (posix_memalign((void **)&buffer, 4096, MIB)) fail("memory");
    memset(buffer, 7, MIB);
    disk();
    network();
    printf("all done\n");
    fflush(stdout);
    for (;;) pause();
}
