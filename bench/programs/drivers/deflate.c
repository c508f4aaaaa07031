// libdeflate: zlib streams both ways, and the two checksums.
#include "driver.h"
#include <libdeflate.h>

enum { SIZE = 1 << 20 };
static uint8_t *text, *packed, *unpacked;
static size_t packed_size, room;
static struct libdeflate_compressor *compressor;
static struct libdeflate_decompressor *decompressor;

static size_t pack(void) {
  size_t size = libdeflate_zlib_compress(compressor, text, SIZE, packed, room);
  if (size == 0) fail("libdeflate_zlib_compress");
  return size;
}

static uint64_t compress(void) { return checksum(0, packed, pack()); }

static uint64_t decompress(void) {
  if (libdeflate_zlib_decompress(decompressor, packed, packed_size, unpacked, SIZE, NULL) !=
      LIBDEFLATE_SUCCESS)
    fail("libdeflate_zlib_decompress");
  return checksum(0, unpacked + SIZE / 2, 4096);
}

static uint64_t adler(void) { return libdeflate_adler32(1, text, SIZE); }
static uint64_t crc(void) { return libdeflate_crc32(0, text, SIZE); }

int main(int argc, char **argv) {
  text = make_text(SIZE);
  unpacked = checked(malloc(SIZE));
  compressor = checked(libdeflate_alloc_compressor(6));
  decompressor = checked(libdeflate_alloc_decompressor());
  room = libdeflate_zlib_compress_bound(compressor, SIZE);
  packed = checked(malloc(room));
  if (wants(argc, argv, "decompress")) packed_size = pack();
  return !(drive(argc, argv, "compress", compress) || drive(argc, argv, "decompress", decompress) ||
           drive(argc, argv, "adler32", adler) || drive(argc, argv, "crc32", crc));
}
