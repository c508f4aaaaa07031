// A WASI program with loops of several kinds: sorting, hashing, text, and floating point.
//
// Built by Debian's clang-19, lld-19, wasi-libc and libclang-rt-19-dev-wasm32:
//   clang-19 --target=wasm32-wasi --sysroot=/usr -O2 -msimd128 -Wl,--strip-debug
//     program.c -o program.wasm

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 12345;

static uint32_t draw(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t hash(const uint8_t *bytes, size_t count) {
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < count; i++) {
        sum = (sum ^ bytes[i]) * 16777619u;
    }
    return sum;
}

static size_t primes(uint8_t *composite, size_t limit) {
    size_t count = 0;
    memset(composite, 0, limit);
    for (size_t i = 2; i < limit; i++) {
        if (composite[i]) {
            continue;
        }
        count++;
        for (size_t j = i * i; j < limit; j += i) {
            composite[j] = 1;
        }
    }
    return count;
}

static void multiply(const float *a, const float *b, float *c, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int k = 0; k < n; k++) {
                sum += a[i * n + k] * b[k * n + j];
            }
            c[i * n + j] = sum;
        }
    }
}

static void brighten(const uint8_t *in, uint8_t *out, int count, int by) {
    for (int i = 0; i < count; i++) {
        int value = in[i] + by;
        out[i] = value > 255 ? 255 : value;
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    enum { COUNT = 20000, SIDE = 64 };
    uint32_t *numbers = malloc(COUNT * sizeof *numbers);
    uint8_t *bytes = malloc(COUNT), *brighter = malloc(COUNT);
    float *a = malloc(SIDE * SIDE * sizeof *a), *b = malloc(SIDE * SIDE * sizeof *b);
    float *c = malloc(SIDE * SIDE * sizeof *c);
    if (rounds < 1 || !numbers || !bytes || !brighter || !a || !b || !c) {
        fprintf(stderr, "usage: program [ROUNDS]\n");
        return 2;
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNT; i++) {
            numbers[i] = draw();
            bytes[i] = (uint8_t)numbers[i];
        }
        for (int i = 0; i < SIDE * SIDE; i++) {
            a[i] = (float)(draw() % 1000) / 8.0f;
            b[i] = (float)(draw() % 1000) / 16.0f;
        }
        qsort(numbers, COUNT, sizeof *numbers, ascending);
        multiply(a, b, c, SIDE);
        brighten(bytes, brighter, COUNT, 40 + round % 20);
        char text[64];
        snprintf(text, sizeof text, "%.3f %08x", c[SIDE + 1], hash(brighter, COUNT));
        if (round == rounds - 1) {
            printf("%u %zu %s\n", numbers[COUNT / 2], primes(bytes, COUNT), text);
        }
    }
    return 0;
}
