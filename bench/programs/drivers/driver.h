// What the drivers share: an input that is the same everywhere, a checksum, and the command line
// `PROGRAM MODE TURNS`. With 0 turns a program only prepares its work, so that a measurement can
// take the start off.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 480 };

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "driver: %s failed\n", what);
  exit(1);
}

static void *checked(void *memory) {
  if (!memory) fail("allocation");
  return memory;
}

// FNV-1a, continued from `sum`.
static uint64_t checksum(uint64_t sum, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < size; i++) sum = (sum ^ at[i]) * 0x100000001b3u;
  return sum;
}

// RGB, `WIDTH` by `HEIGHT`: gradients, rings with sharp edges, and a little noise.
static inline uint8_t *make_picture(void) {
  uint8_t *picture = checked(malloc(WIDTH * HEIGHT * 3)), *at = picture;
  for (int y = 0; y < HEIGHT; y++) {
    for (int x = 0; x < WIDTH; x++) {
      int dx = x - WIDTH / 2, dy = y - HEIGHT / 3, ring = (dx * dx + dy * dy) >> 12;
      int noise = next_random() & 7;
      *at++ = (uint8_t)((x >> 2) / 2 + noise + (ring & 1 ? 60 : 0));
      *at++ = (uint8_t)((y * 200 / HEIGHT) + noise);
      *at++ = (uint8_t)(((x + y) >> 3) / 2 + (ring & 3) * 20 + noise);
    }
  }
  return picture;
}

// Words of a small vocabulary with numbers between them, as a log or a source text has.
static inline uint8_t *make_text(size_t size) {
  static const char *const words[] = {"vector", "load", "store", "lane", "shuffle", "widen", "narrow",
                                      "the", "of", "a", "loop", "turns", "over", "memory", "\n", ", "};
  uint8_t *text = checked(malloc(size));
  for (size_t at = 0; at < size;) {
    char word[16];
    uint32_t random = next_random();
    int length = random & 0x700 ? snprintf(word, sizeof word, "%s ", words[random & 15])
                                : snprintf(word, sizeof word, "%u ", (unsigned)(random >> 16));
    size_t room = size - at, some = (size_t)length < room ? (size_t)length : room;
    memcpy(text + at, word, some);
    at += some;
  }
  return text;
}

// Whether the command line asks for this mode.
static int wants(int argc, char **argv, const char *mode) {
  if (argc != 3) fail("reading the command line (MODE TURNS)");
  return strcmp(argv[1], mode) == 0;
}

// Calls `turn` as often as the command line says and prints a checksum of what it made.
static int drive(int argc, char **argv, const char *mode, uint64_t (*turn)(void)) {
  if (!wants(argc, argv, mode)) return 0;
  uint64_t sum = 0xcbf29ce484222325u;
  for (int left = atoi(argv[2]); left > 0; left--) {
    uint64_t made = turn();
    sum = checksum(sum, &made, sizeof made);
  }
  printf("%s %s turns: %016llx\n", mode, argv[2], (unsigned long long)sum);
  return 1;
}
