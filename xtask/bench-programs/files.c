/* File data in bulk, and a large directory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define MIB (1L << 20)
/* What programs usually move at once, and what moves much at once. */
#define SMALL (64L << 10)
#define LARGE MIB
#define FILE_MIB 16
#define ENTRIES 2000
#define FILE_NAME "bench-data"
#define DIRECTORY "bench-directory"

static int file;
static char piece[LARGE];

/* Every page of the file is there before anything is measured. */
static void make_data(void) {
    file = open(FILE_NAME, O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    memset(piece, 'x', LARGE);
    for (long at = 0; at < FILE_MIB * MIB; at += SMALL)
        CHECK(write(file, piece, SMALL) == SMALL);
}

static void remove_data(void) {
    close(file);
    CHECK(unlink(FILE_NAME) == 0);
}

static void move(long mib, long len, ssize_t (*call)(int, char *, long, long)) {
    for (long done = 0; done < mib; done++)
        for (long at = 0; at < MIB; at += len)
            CHECK(call(file, piece, len, done % FILE_MIB * MIB + at) == len);
}

static ssize_t write_piece(int to, char *from, long len, long at) {
    return pwrite(to, from, len, at);
}

static ssize_t read_piece(int from, char *to, long len, long at) {
    return pread(from, to, len, at);
}

static void small_writes(long count) {
    move(count, SMALL, write_piece);
}

static void small_reads(long count) {
    move(count, SMALL, read_piece);
}

static void large_writes(long count) {
    move(count, LARGE, write_piece);
}

static void large_reads(long count) {
    move(count, LARGE, read_piece);
}

static const char *entry(int number) {
    static char name[64];
    snprintf(name, sizeof name, DIRECTORY "/entry-%d", number);
    return name;
}

static void make_directory(void) {
    CHECK(mkdir(DIRECTORY, 0700) == 0);
    for (int number = 0; number < ENTRIES; number++) {
        int made = open(entry(number), O_WRONLY | O_CREAT, 0600);
        CHECK(made >= 0);
        close(made);
    }
}

static void list(long count) {
    while (count--) {
        DIR *directory = opendir(DIRECTORY);
        CHECK(directory);
        int found = 0;
        while (readdir(directory))
            found++;
        closedir(directory);
        CHECK(found == ENTRIES + 2);
    }
}

static void remove_directory(void) {
    for (int number = 0; number < ENTRIES; number++)
        CHECK(unlink(entry(number)) == 0);
    CHECK(rmdir(DIRECTORY) == 0);
}

const struct benchmark files[] = {
    {"write 1 MiB", make_data, small_writes, remove_data},
    {"read 1 MiB", make_data, small_reads, remove_data},
    {"write 1 MiB, one call", make_data, large_writes, remove_data},
    {"read 1 MiB, one call", make_data, large_reads, remove_data},
    {"list 2000 entries", make_directory, list, remove_directory},
    {NULL, NULL, NULL, NULL},
};
