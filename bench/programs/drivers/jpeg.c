// MozJPEG with the fast profile of libjpeg-turbo: baseline encoding, and decoding.
#include "driver.h"
#include <jpeglib.h>

static uint8_t *picture, *row, *file;
static unsigned long file_size;

static unsigned long compress(uint8_t **out) {
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  unsigned long size = 0;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_c_set_int_param(&jpeg, JINT_COMPRESS_PROFILE, JCP_FASTEST);
  *out = NULL;
  jpeg_mem_dest(&jpeg, out, &size);
  jpeg.image_width = WIDTH;
  jpeg.image_height = HEIGHT;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 80, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < HEIGHT) {
    JSAMPROW at = picture + jpeg.next_scanline * WIDTH * 3;
    jpeg_write_scanlines(&jpeg, &at, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  return size;
}

static uint64_t encode(void) {
  uint8_t *made;
  unsigned long size = compress(&made);
  uint64_t sum = checksum(size, made, size);
  free(made);
  return sum;
}

static uint64_t decode(void) {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  uint64_t sum = 0;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, file, file_size);
  jpeg_read_header(&jpeg, TRUE);
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    jpeg_read_scanlines(&jpeg, &row, 1);
    sum = checksum(sum, row + 99, 96);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return sum;
}

int main(int argc, char **argv) {
  picture = make_picture();
  row = checked(malloc(WIDTH * 3));
  if (wants(argc, argv, "decode")) file_size = compress(&file);
  return !(drive(argc, argv, "encode", encode) || drive(argc, argv, "decode", decode));
}
