// libwebp: lossy and lossless encoding of a picture, and decoding of both.
#include "driver.h"
#include <webp/decode.h>
#include <webp/encode.h>

static uint8_t *picture, *lossy, *lossless;
static size_t lossy_size, lossless_size;
static int method = 4;

static size_t compress(int is_lossless, int width, int height, uint8_t **out) {
  WebPConfig config;
  WebPPicture source;
  WebPMemoryWriter writer;
  if (!WebPConfigInit(&config) || !WebPPictureInit(&source)) fail("WebPConfigInit");
  config.lossless = is_lossless;
  config.method = is_lossless ? 2 : method;
  source.use_argb = is_lossless;
  source.width = width;
  source.height = height;
  WebPMemoryWriterInit(&writer);
  source.writer = WebPMemoryWrite;
  source.custom_ptr = &writer;
  if (!WebPPictureImportRGB(&source, picture, WIDTH * 3)) fail("WebPPictureImportRGB");
  if (!WebPEncode(&config, &source)) fail("WebPEncode");
  WebPPictureFree(&source);
  *out = writer.mem;
  return writer.size;
}

static uint64_t encode(int is_lossless, int width, int height) {
  uint8_t *made;
  size_t size = compress(is_lossless, width, height, &made);
  uint64_t sum = checksum(size, made, size);
  WebPFree(made);
  return sum;
}

static uint64_t decode(const uint8_t *data, size_t size) {
  int width, height;
  uint8_t *made = WebPDecodeRGBA(data, size, &width, &height);
  if (!made) fail("WebPDecodeRGBA");
  uint64_t sum = checksum(0, made + 4 * 1000, 4096);
  WebPFree(made);
  return sum;
}

static uint64_t encode_lossy(void) { return encode(0, WIDTH, HEIGHT); }
static uint64_t encode_lossless(void) { return encode(1, 256, 192); }
static uint64_t decode_lossy(void) { return decode(lossy, lossy_size); }
static uint64_t decode_lossless(void) { return decode(lossless, lossless_size); }

int main(int argc, char **argv) {
  picture = make_picture();
  if (wants(argc, argv, "decode")) {
    // What is only prepared is encoded in haste.
    method = 0;
    lossy_size = compress(0, WIDTH, HEIGHT, &lossy);
  }
  if (wants(argc, argv, "decode-lossless")) lossless_size = compress(1, 256, 192, &lossless);
  return !(drive(argc, argv, "encode", encode_lossy) || drive(argc, argv, "decode", decode_lossy) ||
           drive(argc, argv, "encode-lossless", encode_lossless) ||
           drive(argc, argv, "decode-lossless", decode_lossless));
}
