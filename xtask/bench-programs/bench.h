/* One benchmark: `run` does an operation `count` times; `begin` and `end` may be null. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

struct benchmark {
    const char *name;
    void (*begin)(void);
    void (*run)(long count);
    void (*end)(void);
};

/* Ends the program, loudly: a benchmark that does not do its work must not print a number. */
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
            perror(#condition); \
            exit(1); \
        } \
    } while (0)

/* Lists that end with a benchmark without a name. */
extern const struct benchmark calls[], switches[], processes[], memory[], files[];

/* This program's path. */
extern const char *self;
/* Whether it may run on one processor only. */
extern int on_one_cpu;

void pin_to(int cpu);

/* Prints one line. */
void measure(const struct benchmark *what);
/* The cost of a bare notification, by two processes. */
void measure_notification(void);
