/* A program beside an attacked one: asks for its parent and sends a byte around, as fast as it can for a tenth of each
   fifth of a second, and says every second how that went: rounds, the 99th of 100 times, the longest, all in
   microseconds, and how often the answer was wrong. */
#include "attack.h"

enum { MOST = 100000 };
static double times[MOST];

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int round_is_right(int *out, int *back, unsigned char byte) {
    unsigned char answer = 0;
    if (getppid() != 0 || write(out[1], &byte, 1) != 1 || read(back[0], &answer, 1) != 1) return 0;
    return answer == (unsigned char)(byte + 1);
}

int main(void) {
    int out[2], back[2];
    if (pipe(out) < 0 || pipe(back) < 0) return 1;
    if (fork() == 0) {
        for (unsigned char byte; read(out[0], &byte, 1) == 1;) { byte++; if (write(back[1], &byte, 1) != 1) break; }
        return 0;
    }
    for (;;) {
        int count = 0, wrong = 0;
        for (double second = now(); now() - second < 1;) {
            for (double part = now(); now() - part < 0.02 && count < MOST;) {
                double start = now();
                wrong += !round_is_right(out, back, count);
                times[count++] = now() - start;
            }
            usleep(80000);
        }
        qsort(times, count, sizeof *times, by_size);
        printf("%d %.0f %.0f %d\n", count, times[count - 1 - count / 100] * 1e6, times[count - 1] * 1e6, wrong);
        fflush(stdout);
    }
}
