// Zstandard: compression of a text at levels 3 and 9, and decompression.
#include "driver.h"
#include <zstd.h>

enum { SIZE = 1 << 20 };
static uint8_t *text, *packed, *unpacked;
static size_t packed_size, room;

static size_t compress(int level) {
  size_t size = ZSTD_compress(packed, room, text, SIZE, level);
  if (ZSTD_isError(size)) fail("ZSTD_compress");
  return size;
}

static uint64_t level3(void) { return checksum(0, packed, compress(3)); }
static uint64_t level9(void) { return checksum(0, packed, compress(9)); }

static uint64_t decompress(void) {
  if (ZSTD_decompress(unpacked, SIZE, packed, packed_size) != SIZE) fail("ZSTD_decompress");
  return checksum(0, unpacked + SIZE / 2, 4096);
}

int main(int argc, char **argv) {
  text = make_text(SIZE);
  unpacked = checked(malloc(SIZE));
  room = ZSTD_compressBound(SIZE);
  packed = checked(malloc(room));
  if (wants(argc, argv, "decompress")) packed_size = compress(3);
  return !(drive(argc, argv, "compress-3", level3) || drive(argc, argv, "compress-9", level9) ||
           drive(argc, argv, "decompress", decompress));
}
