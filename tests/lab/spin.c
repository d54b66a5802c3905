// Runs ten million instructions, of which a quarter are such as take an emulator long, and prints the microseconds that
// passed.

#include <stdio.h>
#include <time.h>

static long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(void) {
    long begin = now_us();
    long left = 2500000;
    __asm__ volatile("1: xor %%eax, %%eax; cpuid; dec %0; jnz 1b" : "+r"(left) : : "rax", "rbx", "rcx", "rdx", "cc");
    printf("%ld\n", now_us() - begin);
    return 0;
}
