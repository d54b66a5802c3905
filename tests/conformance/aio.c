/* Asynchronous input and output (io_setup and its like). Prints the same on every Linux. */
#include "show.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <time.h>

static aio_context_t context;
static struct io_event events[8];

static long submit(long count, struct iocb **requests) {
    return syscall(SYS_io_submit, context, count, requests);
}

static void show(const char *what, long least, long most) {
    struct timespec now = {0, 0};
    long n = syscall(SYS_io_getevents, context, least, most, events, &now);
    SHOW("%s %ld:", what, n < 0 ? -errno : n);
    for (long i = 0; i < n; i++) SHOW(" data %d result %d", (int)events[i].data, (int)events[i].res);
    SHOW("\n");
}

static struct iocb request(int operation, int fd, void *buffer, uint64_t bytes, int64_t offset, uint64_t data) {
    return (struct iocb){.aio_data = data, .aio_lio_opcode = operation, .aio_fildes = fd, .aio_buf = (uintptr_t)buffer,
        .aio_nbytes = bytes, .aio_offset = offset};
}

int main(void) {
    aio_context_t other = 0;
    TRY("none", syscall(SYS_io_setup, 0, &other)), TRY("pointer", syscall(SYS_io_setup, 5, 8)),
        TRY("setup", syscall(SYS_io_setup, 5, &context)), TRY("again", syscall(SYS_io_setup, 5, &context)),
        TRY("many", syscall(SYS_io_setup, 4194304, &other)), TRY("too many", syscall(SYS_io_setup, 4194305, &other));
    char b[16] = {0}, text[] = "0123456789";
    int fd = open("f", O_CREAT | O_RDWR, 0600), counter = eventfd(0, EFD_NONBLOCK);
    struct iocb w = request(IOCB_CMD_PWRITE, fd, text, 10, 0, 1), r = request(IOCB_CMD_PREAD, fd, b, 4, 3, 2),
        s = request(IOCB_CMD_FSYNC, fd, 0, 0, 0, 3);
    struct iocb *all[3] = {&w, &r, &s};
    TRY("one", submit(1, all)), show("written", 1, 8), TRY("more", submit(1, all + 1)), show("read", 1, 8),
        SHOW("%s\n", b);
    TRY("nothing", submit(0, all)), TRY("count", submit(-1, all)), show("empty", 0, 8);
    struct iovec v[2] = {{b, 2}, {b + 8, 3}};
    struct iocb scattered = request(IOCB_CMD_PREADV, fd, v, 2, 5, 4), *one = &scattered;
    TRY("vectors", submit(1, &one)), show("vectors", 1, 8), SHOW("%.2s %.3s\n", b, b + 8);
    scattered.aio_flags = IOCB_FLAG_RESFD, scattered.aio_resfd = counter;
    TRY("eventfd", submit(1, &one)), show("eventfd", 1, 8);
    uint64_t value = 0;
    TRY("told", read(counter, &value, 8)), SHOW("%d\n", (int)value);
    scattered.aio_resfd = fd, TRY("no eventfd", submit(1, &one)), scattered.aio_flags = 9,
        TRY("flags", submit(1, &one));
    struct iocb bad = request(IOCB_CMD_PREAD, 99, b, 4, 0, 5);
    one = &bad, TRY("descriptor", submit(1, &one)), bad.aio_fildes = fd, bad.aio_lio_opcode = 77,
        TRY("operation", submit(1, &one));
    bad.aio_lio_opcode = IOCB_CMD_PREAD, bad.aio_offset = -1, TRY("offset", submit(1, &one)), bad.aio_offset = 0,
        bad.aio_reserved2 = 1, TRY("reserved", submit(1, &one));
    bad.aio_reserved2 = 0, bad.aio_buf = 8, TRY("buffer", submit(1, &one)), show("buffer", 0, 8);
    bad.aio_fildes = open("f", O_WRONLY), TRY("write only", submit(1, &one));
    struct iocb *mixed[2] = {&w, &bad};
    TRY("first goes", submit(2, mixed)), show("first", 1, 8), one = (void *)8, TRY("pointer", submit(1, &one)),
        TRY("pointers", submit(1, (void *)8));
    TRY("order", syscall(SYS_io_getevents, context, 3, 2, events, 0)),
        TRY("negative", syscall(SYS_io_getevents, context, -1, 2, events, 0));
    struct timespec soon = {0, 10000000};
    TRY("timeout", syscall(SYS_io_getevents, context, 1, 2, events, &soon)),
        TRY("pgetevents", syscall(SYS_io_pgetevents, context, 1, 2, events, &soon, 0));
    TRY("cancel", syscall(SYS_io_cancel, context, &w, events)), TRY("no context", syscall(SYS_io_submit, 1, 1, all)),
        TRY("no context", syscall(SYS_io_getevents, 1, 0, 1, events, 0));
    if (!fork()) {
        TRY("child has none", syscall(SYS_io_getevents, context, 0, 1, events, &soon));
        _exit(0);
    }
    wait(0);
    TRY("destroy", syscall(SYS_io_destroy, context)), TRY("again", syscall(SYS_io_destroy, context));
    return 0;
}
