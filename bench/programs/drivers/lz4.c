// LZ4: fast and high compression of a text, and decompression.
#include "driver.h"
#include <lz4.h>
#include <lz4hc.h>

enum { SIZE = 1 << 20 };
static char *text, *packed, *unpacked;
static int packed_size, room;

static int pack(int level) {
  int size = level ? LZ4_compress_HC(text, packed, SIZE, room, level)
                   : LZ4_compress_default(text, packed, SIZE, room);
  if (size <= 0) fail("LZ4_compress");
  return size;
}

static uint64_t fast(void) { return checksum(0, packed, (size_t)pack(0)); }
static uint64_t high(void) { return checksum(0, packed, (size_t)pack(6)); }

static uint64_t decompress(void) {
  if (LZ4_decompress_safe(packed, unpacked, packed_size, SIZE) != SIZE) fail("LZ4_decompress_safe");
  return checksum(0, unpacked + SIZE / 2, 4096);
}

int main(int argc, char **argv) {
  text = (char *)make_text(SIZE);
  unpacked = checked(malloc(SIZE));
  room = LZ4_compressBound(SIZE);
  packed = checked(malloc((size_t)room));
  if (wants(argc, argv, "decompress")) packed_size = pack(0);
  return !(drive(argc, argv, "compress", fast) || drive(argc, argv, "compress-high", high) ||
           drive(argc, argv, "decompress", decompress));
}
