/* Mappings and page faults. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

#define PAGE 4096L
#define MAPPED_PAGES 4
#define REGION_PAGES 4096

static char *region;

static char *map(long pages) {
    char *address = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(address != MAP_FAILED);
    return address;
}

static void touch(volatile char *address, long pages) {
    for (long page = 0; page < pages; page++)
        address[page * PAGE] = 1;
}

static void maps(long count) {
    while (count--) {
        char *address = map(MAPPED_PAGES);
        touch(address, MAPPED_PAGES);
        CHECK(munmap(address, MAPPED_PAGES * PAGE) == 0);
    }
}

static void begin_faults(void) {
    region = map(REGION_PAGES);
    CHECK(madvise(region, REGION_PAGES * PAGE, MADV_NOHUGEPAGE) == 0);
    touch(region, REGION_PAGES);
}

/* All pages of the region are given back at once, and touched again. */
static void faults(long count) {
    while (count > 0) {
        long pages = count < REGION_PAGES ? count : REGION_PAGES;
        CHECK(madvise(region, pages * PAGE, MADV_DONTNEED) == 0);
        touch(region, pages);
        count -= pages;
    }
}

static void end_faults(void) {
    CHECK(munmap(region, REGION_PAGES * PAGE) == 0);
}

const struct benchmark memory[] = {
    {"mmap+touch+munmap", NULL, maps, NULL},
    {"page fault", begin_faults, faults, end_faults},
    {NULL, NULL, NULL, NULL},
};
