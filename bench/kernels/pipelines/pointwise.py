"""Arithmetic on single values: differences, saturation, blending, tables, wide integers, halves.

Sizes are (width, height), or a single length.
"""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out, param, scalar

x, y = hl.vars("x y")
SIZES = [(2048, 1024), (1111, 63), (203, 17)]


def alpha_blend_reference(a, b, alpha):
    a, b, alpha = (v.astype(np.int64) for v in (a, b, alpha))
    total = a * alpha + b * (255 - alpha) + 127
    return (total // 255).astype(np.uint8)


@kernel(sizes=SIZES, reference=alpha_blend_reference,
        shapes=lambda w, h: [inp("over", "u8", (w, h)), inp("under", "u8", (w, h)),
                             inp("alpha", "u8", (w, h)), out("u8", (w, h))])
def alpha_blend_u8(target):
    """Blend of two images by a mask: u16 products, exact rounding division by 255."""
    over, under, alpha = (image(name, "u8", 2) for name in ("over", "under", "alpha"))
    output = hl.Func("output")
    mask = hl.u16(alpha[x, y])
    total = hl.u16(over[x, y]) * mask + hl.u16(under[x, y]) * (hl.u16(255) - mask)
    output[x, y] = hl.u8((total + hl.u16(127)) / hl.u16(255))

    output.vectorize(x, lanes(target, "u8")).parallel(y, 32, hl.TailStrategy.GuardWithIf)
    return output, [over, under, alpha]


@kernel(sizes=SIZES,
        reference=lambda a, b, t: np.where(
            np.abs(a.astype(int) - b) > t, np.abs(a.astype(int) - b), 0).astype(np.uint8),
        shapes=lambda w, h: [inp("a", "u8", (w, h)), inp("b", "u8", (w, h)),
                             scalar("threshold", "u8", 40), out("u8", (w, h))])
def absdiff_u8(target):
    """Absolute difference, kept where above a threshold."""
    a, b, threshold = image("a", "u8", 2), image("b", "u8", 2), param("threshold", "u8")
    output = hl.Func("output")
    difference = hl.absd(a[x, y], b[x, y])
    output[x, y] = hl.select(difference > threshold, difference, hl.u8(0))

    xi = hl.Var("xi")
    output.split(x, x, xi, 2 * lanes(target, "u8"), hl.TailStrategy.ShiftInwards)
    output.vectorize(xi, lanes(target, "u8")).unroll(xi)
    return output, [a, b, threshold]


def satmix_u8_reference(a, b, gain):
    a, b = a.astype(int), b.astype(int)
    lifted = np.minimum(a + gain, 255)
    floor = np.maximum(b - gain, 0)
    mixed = np.minimum(lifted, 255 - floor) + floor
    average = (np.minimum(mixed, 255) + a + 1) >> 1
    return np.maximum(average - (np.minimum(a, b) >> 2), 0).astype(np.uint8)


@kernel(sizes=SIZES, reference=satmix_u8_reference,
        shapes=lambda w, h: [inp("a", "u8", (w, h)), inp("b", "u8", (w, h)),
                             scalar("gain", "u8", 25), out("u8", (w, h))])
def satmix_u8(target):
    """Chains of saturating u8 additions and subtractions with a rounding average."""
    a, b, gain = image("a", "u8", 2), image("b", "u8", 2), param("gain", "u8")
    output = hl.Func("output")
    lifted = hl.saturating_add(a[x, y], gain)
    floor = hl.saturating_sub(b[x, y], gain)
    mixed = hl.saturating_add(lifted, floor)
    average = hl.rounding_halving_add(mixed, a[x, y])
    output[x, y] = hl.saturating_sub(average, hl.min(a[x, y], b[x, y]) >> hl.u8(2))

    output.vectorize(x, lanes(target, "u8")).parallel(y, 64, hl.TailStrategy.GuardWithIf)
    return output, [a, b, gain]


def satmix_i16_reference(a, b):
    a, b = a.astype(int), b.astype(int)
    clip = lambda v: np.clip(v, -32768, 32767)
    doubled = clip(clip(a + b) + clip(a - b))
    scaled = clip((a * b + (1 << 14)) >> 15)
    return clip(doubled - scaled).astype(np.int16)


@kernel(sizes=[(1024, 1024), (1111, 63), (203, 17)], reference=satmix_i16_reference,
        shapes=lambda w, h: [inp("a", "i16", (w, h)), inp("b", "i16", (w, h)),
                             out("i16", (w, h))])
def satmix_i16(target):
    """Saturating i16 sums and differences with a Q15 rounding multiply."""
    a, b = image("a", "i16", 2), image("b", "i16", 2)
    output = hl.Func("output")
    p, q = a[x, y], b[x, y]
    doubled = hl.saturating_add(hl.saturating_add(p, q), hl.saturating_sub(p, q))
    scaled = hl.rounding_mul_shift_right(p, q, hl.u16(15))
    output[x, y] = hl.saturating_sub(doubled, scaled)

    output.vectorize(x, lanes(target, "i16")).unroll(x, 2, hl.TailStrategy.GuardWithIf)
    return output, [a, b]


@kernel(sizes=[(1024, 512), (1111, 63), (203, 17)],
        reference=lambda a, table: table[a],
        shapes=lambda w, h: [inp("input", "u8", (w, h)), inp("table", "u16", (256,)),
                             out("u16", (w, h))])
def lut_u8(target):
    """A table of 256 u16 values, looked up for every u8: gathers without any arithmetic."""
    src, table = image("input", "u8", 2), image("table", "u16", 1)
    table.dim(0).set_bounds(0, 256)
    output = hl.Func("output")
    output[x, y] = table[hl.i32(src[x, y])]

    output.vectorize(x, lanes(target, "u16")).parallel(y, 16, hl.TailStrategy.GuardWithIf)
    return output, [src, table]


def fixed_mul_reference(a, b):
    exact = (a.astype(object) * b.astype(object) + (1 << 19)) >> 20
    return np.array(exact % (1 << 64), np.uint64).view(np.int64)


@kernel(sizes=[(200_000,), (4_099,), (77,)], reference=fixed_mul_reference,
        shapes=lambda n: [inp("a", "i64", (n,), fill=(-(1 << 40), 1 << 40)),
                          inp("b", "i64", (n,), fill=(-(1 << 22), 1 << 22)), out("i64", (n,))])
def fixed_mul_i64(target):
    """Q20 fixed point products of 64-bit integers, rounded: i64x2 multiply and shift."""
    a, b = image("a", "i64", 1), image("b", "i64", 1)
    output = hl.Func("output")
    output[x] = (a[x] * b[x] + hl.i64(1 << 19)) >> hl.i64(20)

    output.vectorize(x, lanes(target, "i64")).unroll(x, 4, hl.TailStrategy.GuardWithIf)
    return output, [a, b]


def half_axpy_reference(a, b, scale):
    p, q = a.view(np.float16).astype(np.float32), b.view(np.float16).astype(np.float32)
    return (p * np.float32(scale) + q).astype(np.float16).view(np.uint16)


@kernel(sizes=[(262_144,), (5_003,), (99,)], reference=half_axpy_reference,
        shapes=lambda n: [inp("a", "u16", (n,), fill=(0x3000, 0x4bff)),
                          inp("b", "u16", (n,), fill=(0xb000, 0xcbff)),
                          scalar("scale", "f32", 1.5), out("u16", (n,))])
def half_axpy(target):
    """f16 vectors as bit patterns, a * scale + b in f32: conversions emulated with integers."""
    a, b, scale = image("a", "u16", 1), image("b", "u16", 1), param("scale", "f32")
    output = hl.Func("output")
    half = lambda v: hl.f32(hl.reinterpret(hl.Float(16), v))
    total = half(a[x]) * scale + half(b[x])
    output[x] = hl.reinterpret(hl.UInt(16), hl.cast(hl.Float(16), total))

    output.vectorize(x, lanes(target, "u16"), hl.TailStrategy.GuardWithIf)
    return output, [a, b, scale]


def sad_reference(a, b):
    difference = np.abs(a.astype(int) - b)
    h, w = (d // 8 for d in a.shape)
    return difference.reshape(h, 8, w, 8).sum(axis=(1, 3)).astype(np.uint16)


@kernel(sizes=[(160, 90), (131, 17), (67, 5)], reference=sad_reference,
        shapes=lambda w, h: [inp("a", "u8", (8 * w, 8 * h)), inp("b", "u8", (8 * w, 8 * h)),
                             out("u16", (w, h))])
def sad8x8_u8(target):
    """Sum of absolute differences of 8x8 blocks: strided u8 loads, widening sums."""
    a, b = image("a", "u8", 2), image("b", "u8", 2)
    n = lanes(target, "u16")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(0, 8), (0, 8)])
    total[x, y] += hl.u16(hl.absd(a[8 * x + r.x, 8 * y + r.y], b[8 * x + r.x, 8 * y + r.y]))
    output[x, y] = total[x, y]

    output.vectorize(x, n).parallel(y)
    total.compute_at(output, x).vectorize(x, n)
    total.update().reorder(x, r.x, r.y).vectorize(x, n).unroll(r.x)
    return output, [a, b]


def row_sad_reference(a, b):
    return np.abs(a.astype(int) - b).sum(axis=1).astype(np.uint32)


@kernel(sizes=[(2048, 512), (640, 33), (64, 5)], reference=row_sad_reference,
        shapes=lambda w, h: [inp("a", "u8", (w, h)), inp("b", "u8", (w, h)), out("u32", (h,))])
def sad_rows_u8(target):
    """Sum of absolute differences a row: u8 differences reduced across lanes to u32.

    Rows must be a multiple of 64 values.
    """
    a, b = image("a", "u8", 2), image("b", "u8", 2)
    n = lanes(target, "u8")
    a.dim(0).set_min(0)
    a.dim(0).set_extent((a.dim(0).extent() // 64) * 64)
    output = hl.Func("output")
    r = hl.RDom([(0, a.dim(0).extent())])
    output[y] += hl.u32(hl.absd(a[r, y], b[r, y]))
    ro, ri, u = hl.RVar("ro"), hl.RVar("ri"), hl.Var("u")
    # One sum for each lane, added up after the row.
    partial = output.update().split(r, ro, ri, n).rfactor(ri, u)

    partial.compute_at(output, y).vectorize(u)
    partial.update().vectorize(u)
    return output, [a, b]
