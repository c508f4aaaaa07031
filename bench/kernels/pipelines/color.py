"""Colour in fixed point: RGB to YUV and back, demosaicing, conversion to and from floats.

Sizes are (width, height) in pixels.
"""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, interleaved, kernel, lanes, out, param, scalar

x, y, c = hl.vars("x y c")


def packed(w, h, channels=3):
    """Extents and strides of an image whose channels are innermost in memory."""
    return (w, h, channels), [channels, channels * w, 1]


def rgb_to_yuv_reference(rgb):
    r, g, b = rgb.astype(int)
    return np.stack([((66 * r + 129 * g + 25 * b + 128) >> 8) + 16,
                     ((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128,
                     ((112 * r - 94 * g - 18 * b + 128) >> 8) + 128]).astype(np.uint8)


def rgb_to_yuv_shapes(w, h):
    extents, strides = packed(w, h)
    return [inp("rgb", "u8", extents, strides=strides), out("u8", (w, h, 3))]


@kernel(sizes=[(1024, 512), (611, 61), (101, 17)], reference=rgb_to_yuv_reference,
        shapes=rgb_to_yuv_shapes)
def rgb_to_yuv_u8(target):
    """Interleaved RGB to planar BT.601 YUV in 16 bits: loads with stride 3."""
    src = image("rgb", "u8", 3)
    interleaved(src, 3)
    output = hl.Func("output")
    r, g, b = (hl.u16(src[x, y, i]) for i in range(3))
    luma = ((66 * r + 129 * g + 25 * b + 128) >> 8) + 16
    r, g, b = (hl.i16(v) for v in (r, g, b))
    u = ((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128
    v = ((112 * r - 94 * g - 18 * b + 128) >> 8) + 128
    output[x, y, c] = hl.mux(c, [hl.u8(luma), hl.u8(u), hl.u8(v)])

    output.bound(c, 0, 3).reorder(c, x, y).unroll(c)
    output.vectorize(x, lanes(target, "u8")).parallel(y, 8, hl.TailStrategy.GuardWithIf)
    return output, [src]


def yuv_to_rgb_reference(luma, chroma):
    h, w = luma.shape
    u, v = (np.repeat(np.repeat(chroma[i], 2, 0), 2, 1)[:h, :w].astype(int) - 128
            for i in range(2))
    base = 298 * (luma.astype(int) - 16) + 128
    rgb = [base + 409 * v, base - 100 * u - 208 * v, base + 516 * u]
    return np.stack([np.clip(p >> 8, 0, 255) for p in rgb]).astype(np.uint8)


def yuv_to_rgb_shapes(w, h):
    chroma_extents, chroma_strides = packed(w // 2, h // 2, 2)
    extents, strides = packed(w, h)
    return [inp("luma", "u8", (w, h)),
            inp("chroma", "u8", chroma_extents, strides=chroma_strides),
            out("u8", extents, strides=strides)]


@kernel(sizes=[(768, 512), (622, 62), (102, 18)], reference=yuv_to_rgb_reference,
        shapes=yuv_to_rgb_shapes)
def yuv_to_rgb_u8(target):
    """NV12 to interleaved RGB in 32-bit fixed point: stride 2 loads, stride 3 stores."""
    luma, chroma = image("luma", "u8", 2), image("chroma", "u8", 3)
    interleaved(chroma, 2)
    output = hl.Func("output")
    base = 298 * (hl.i32(luma[x, y]) - 16) + 128
    u, v = (hl.i32(chroma[x // 2, y // 2, i]) - 128 for i in range(2))
    rgb = [base + 409 * v, base - 100 * u - 208 * v, base + 516 * u]
    output[x, y, c] = hl.mux(c, [hl.u8_sat(p >> 8) for p in rgb])

    interleaved(output.output_buffer(), 3)
    output.bound(c, 0, 3).reorder(c, x, y).unroll(c)
    output.vectorize(x, lanes(target, "u8"), hl.TailStrategy.ShiftInwards)
    output.parallel(y, 8, hl.TailStrategy.GuardWithIf)
    return output, [luma, chroma]


def demosaic_reference(raw):
    raw = raw.astype(int)
    h, w = raw.shape[0] - 2, raw.shape[1] - 2
    at = lambda dx, dy: raw[1 + dy:1 + dy + h, 1 + dx:1 + dx + w]
    sides = (at(-1, 0) + at(1, 0) + 1) >> 1
    ends = (at(0, -1) + at(0, 1) + 1) >> 1
    cross = (at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1) + 2) >> 2
    corners = (at(-1, -1) + at(1, -1) + at(-1, 1) + at(1, 1) + 2) >> 2
    yy, xx = np.mgrid[0:h, 0:w] % 2
    pick = lambda red, green_r, green_b, blue: np.select(
        [(yy == 0) & (xx == 0), (yy == 0) & (xx == 1), (yy == 1) & (xx == 0)],
        [red, green_r, green_b], blue)
    return np.stack([pick(at(0, 0), sides, ends, corners),
                     pick(cross, at(0, 0), at(0, 0), cross),
                     pick(corners, ends, sides, at(0, 0))]).astype(np.uint16)


@kernel(sizes=[(1024, 640), (402, 46), (130, 18)], reference=demosaic_reference,
        shapes=lambda w, h: [inp("raw", "u16", (w + 2, h + 2), mins=(-1, -1), fill=(0, 4095)),
                             out("u16", (w, h, 3))])
def demosaic_u16(target):
    """Bilinear demosaic of an RGGB mosaic: the parity of x and y selects, lanes interleave."""
    raw = image("raw", "u16", 2)
    n = lanes(target, "u16")
    output = hl.Func("output")
    at = lambda dx, dy: raw[x + dx, y + dy]
    sides = (at(-1, 0) + at(1, 0) + 1) >> 1
    ends = (at(0, -1) + at(0, 1) + 1) >> 1
    cross = (at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1) + 2) >> 2
    corners = (at(-1, -1) + at(1, -1) + at(-1, 1) + at(1, 1) + 2) >> 2
    pick = lambda red, green_r, green_b, blue: hl.select(
        y % 2 == 0, hl.select(x % 2 == 0, red, green_r), hl.select(x % 2 == 0, green_b, blue))
    output[x, y, c] = hl.mux(c, [pick(at(0, 0), sides, ends, corners),
                                 pick(cross, at(0, 0), at(0, 0), cross),
                                 pick(corners, ends, sides, at(0, 0))])

    xi, yi = hl.vars("xi yi")
    output.bound(c, 0, 3).align_bounds(x, 2).align_bounds(y, 2)
    output.tile(x, y, xi, yi, 2 * n, 2).reorder(xi, yi, c, x, y)
    output.unroll(c).unroll(yi).vectorize(xi).parallel(y)
    return output, [raw]


def normalize_reference(a, mean, scale):
    return (a.astype(np.float32) - mean[:, None, None]) * scale[:, None, None]


def normalize_shapes(w, h):
    extents, strides = packed(w, h)
    return [inp("input", "u8", extents, strides=strides),
            inp("mean", "f32", (3,), fill=(100.0, 150.0)),
            inp("scale", "f32", (3,), fill=(0.01, 0.02)), out("f32", (w, h, 3))]


@kernel(sizes=[(768, 512), (333, 61), (77, 13)], reference=normalize_reference, tol=FLOAT_TOL,
        shapes=normalize_shapes)
def normalize_u8_f32(target):
    """Interleaved u8 pixels to planar floats, minus a mean, times a scale."""
    src, mean, scale = image("input", "u8", 3), image("mean", "f32", 1), image("scale", "f32", 1)
    interleaved(src, 3)
    output = hl.Func("output")
    output[x, y, c] = (hl.f32(src[x, y, c]) - mean[c]) * scale[c]

    output.bound(c, 0, 3).reorder(c, x, y).unroll(c)
    output.vectorize(x, lanes(target, "f32")).parallel(y, 16, hl.TailStrategy.GuardWithIf)
    return output, [src, mean, scale]


def quantize_reference(a, scale, zero):
    return np.clip(np.rint(a * scale).astype(int) + zero, 0, 255).astype(np.uint8)


@kernel(sizes=[(1_048_576,), (5_003,), (99,)], reference=quantize_reference,
        shapes=lambda n: [inp("input", "f32", (n,), fill=(-4.0, 4.0)),
                          scalar("scale", "f32", 37.5), scalar("zero", "i32", 121),
                          out("u8", (n,))])
def quantize_f32_u8(target):
    """Floats to u8 with scale and zero point: round to even, truncate, saturate, narrow."""
    src, scale, zero = image("input", "f32", 1), param("scale", "f32"), param("zero", "i32")
    output = hl.Func("output")
    output[x] = hl.u8_sat(hl.i32(hl.round(src[x] * scale)) + zero)

    output.vectorize(x, lanes(target, "u8"))
    return output, [src, scale, zero]
