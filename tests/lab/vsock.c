// Sockets between a guest and its host, seen from the guest.
//
// vsock echo PORT: listens, and sends back what each connection says until it ends.
// vsock connect PORT: copies standard input to a port of the host, then what comes back to standard output.

#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int check(const char *what, int result) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void copy(int from, int to) {
    static char buffer[65536];
    ssize_t got;
    while ((got = check("read", read(from, buffer, sizeof(buffer)))) > 0) {
        for (ssize_t done = 0; done < got;) {
            done += check("write", write(to, buffer + done, got - done));
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    int fd = check("socket", socket(AF_VSOCK, SOCK_STREAM, 0));
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = atoi(argv[2])};
    if (strcmp(argv[1], "connect") == 0) {
        address.svm_cid = VMADDR_CID_HOST;
        check("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
        copy(0, fd);
        check("shutdown", shutdown(fd, SHUT_WR));
        copy(fd, 1);
        return 0;
    }
    address.svm_cid = VMADDR_CID_ANY;
    check("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
    check("listen", listen(fd, 8));
    for (;;) {
        int peer = check("accept", accept(fd, NULL, NULL));
        copy(peer, peer);
        close(peer);
    }
}
