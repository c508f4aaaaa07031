"""Small linear filters: 3x3 and 5x5, on integers and floats, separable and full.

Sizes are (width, height) of the output; inputs carry the border that the filter reads.
"""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, kernel, lanes, out

x, y = hl.vars("x y")
SIZES = [(1536, 768), (1000, 131), (203, 37)]


def bordered(type_name, radius, fill=None):
    """Shapes of a filter that reads `radius` values beyond each side, from a negative min."""
    border = 2 * radius
    return lambda w, h: [
        inp("input", type_name, (w + border, h + border), mins=(-radius, -radius), fill=fill),
        out(type_name, (w, h)),
    ]


def window(array, dx, dy, radius):
    """The part of a bordered array that the output sees through the offset (dx, dy)."""
    h, w = array.shape[0] - 2 * radius, array.shape[1] - 2 * radius
    return array[radius + dy:radius + dy + h, radius + dx:radius + dx + w]


def binomial(array, taps, radius):
    """Separable filter in exact integers."""
    total = 0
    for dy, a in zip(range(-radius, radius + 1), taps):
        for dx, b in zip(range(-radius, radius + 1), taps):
            total = total + a * b * window(array, dx, dy, radius).astype(np.int64)
    return total


@kernel(sizes=SIZES, shapes=bordered("u8", 1),
        reference=lambda a: ((binomial(a, (1, 2, 1), 1) + 8) >> 4).astype(np.uint8))
def blur3x3_u8(target):
    """Binomial 3x3 blur, 16-bit sums, rounding shift; rows in parallel strips."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    rows, output = hl.Func("rows"), hl.Func("output")
    wide = lambda dx, dy: hl.u16(src[x + dx, y + dy])
    rows[x, y] = wide(-1, 0) + 2 * wide(0, 0) + wide(1, 0)
    output[x, y] = hl.u8((rows[x, y - 1] + 2 * rows[x, y] + rows[x, y + 1] + 8) >> 4)

    yo, yi = hl.vars("yo yi")
    output.split(y, yo, yi, 32, hl.TailStrategy.GuardWithIf).parallel(yo).vectorize(x, n)
    rows.store_at(output, yo).compute_at(output, yi).vectorize(x, n)
    return output, [src]


@kernel(sizes=SIZES, shapes=bordered("u16", 2),
        reference=lambda a: ((binomial(a, (1, 4, 6, 4, 1), 2) + 128) >> 8).astype(np.uint16))
def blur5x5_u16(target):
    """Binomial 5x5 blur with 32-bit sums: columns summed once a row, then along the row."""
    src = image("input", "u16", 2)
    n = lanes(target, "u16")
    cols, output = hl.Func("cols"), hl.Func("output")
    wide = lambda dy: hl.u32(src[x, y + dy])
    cols[x, y] = wide(-2) + wide(2) + 4 * (wide(-1) + wide(1)) + 6 * wide(0)
    total = (cols[x - 2, y] + cols[x + 2, y] + 4 * (cols[x - 1, y] + cols[x + 1, y])
             + 6 * cols[x, y])
    output[x, y] = hl.u16((total + 128) >> 8)

    yi = hl.Var("yi")
    output.split(y, y, yi, 8, hl.TailStrategy.GuardWithIf).vectorize(x, n)
    cols.compute_at(output, yi).vectorize(x, n)
    return output, [src]


SHARPEN = [[-1, -2, -3, -2, -1], [-2, 5, 9, 5, -2], [-3, 9, 34, 9, -3],
           [-2, 5, 9, 5, -2], [-1, -2, -3, -2, -1]]


def filter5x5_i16_reference(a):
    total = sum(SHARPEN[dy + 2][dx + 2] * window(a, dx, dy, 2).astype(np.int64)
                for dy in range(-2, 3) for dx in range(-2, 3))
    return np.clip((total + 32) >> 6, -32768, 32767).astype(np.int16)


@kernel(sizes=SIZES, shapes=bordered("i16", 2), reference=filter5x5_i16_reference)
def filter5x5_i16(target):
    """Full 5x5 filter with constant signed weights, 32-bit sums, saturating narrow."""
    src = image("input", "i16", 2)
    n = lanes(target, "i16")
    output = hl.Func("output")
    total = hl.i32(0)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            total += hl.i32(src[x + dx, y + dy]) * SHARPEN[dy + 2][dx + 2]
    output[x, y] = hl.i16_sat((total + 32) >> 6)

    yi = hl.Var("yi")
    output.split(y, y, yi, 2, hl.TailStrategy.GuardWithIf).reorder(yi, x, y).unroll(yi)
    output.vectorize(x, n).parallel(y)
    return output, [src]


def filter3x3_i16_reference(a, weights):
    total = sum(int(weights[dy + 1, dx + 1]) * window(a, dx, dy, 1).astype(np.int64)
                for dy in range(-1, 2) for dx in range(-1, 2))
    return np.clip(total >> 8, -32768, 32767).astype(np.int16)


@kernel(sizes=SIZES, reference=filter3x3_i16_reference,
        shapes=lambda w, h: [
            inp("input", "i16", (w + 2, h + 2), mins=(-1, -1)),
            inp("weights", "i16", (3, 3), mins=(-1, -1), fill=(-600, 600)),
            out("i16", (w, h))])
def filter3x3_i16(target):
    """3x3 filter with weights from a buffer: nine accumulating products in 32 bits."""
    src, weights = image("input", "i16", 2), image("weights", "i16", 2)
    n = lanes(target, "i16")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(-1, 3), (-1, 3)])
    total[x, y] = hl.i32(0)
    total[x, y] += hl.i32(src[x + r.x, y + r.y]) * weights[r.x, r.y]
    output[x, y] = hl.i16_sat(total[x, y] >> 8)

    output.vectorize(x, n)
    total.compute_at(output, x).vectorize(x, n)
    total.update().unroll(r.x).unroll(r.y).vectorize(x, n)
    return output, [src, weights]


def stencil5x5_f32_reference(a, weights):
    return sum(weights[dy + 2, dx + 2] * window(a, dx, dy, 2)
               for dy in range(-2, 3) for dx in range(-2, 3))


@kernel(sizes=[(640, 360), (301, 77), (64, 9)], reference=stencil5x5_f32_reference, tol=FLOAT_TOL,
        shapes=lambda w, h: [
            inp("input", "f32", (w + 4, h + 4), mins=(-2, -2), fill=(-1.0, 1.0)),
            inp("weights", "f32", (5, 5), mins=(-2, -2), fill=(-0.2, 0.2)),
            out("f32", (w, h), pad=3)])
def stencil5x5_f32(target):
    """Full 5x5 convolution in f32, weights from a buffer, register tile of 2 x 2 vectors."""
    src, weights = image("input", "f32", 2), image("weights", "f32", 2)
    n = lanes(target, "f32")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(-2, 5), (-2, 5)])
    total[x, y] += src[x + r.x, y + r.y] * weights[r.x, r.y]
    output[x, y] = total[x, y]

    xi, yi = hl.vars("xi yi")
    output.tile(x, y, xi, yi, 2 * n, 2, hl.TailStrategy.ShiftInwards).vectorize(xi, n)
    output.unroll(yi).parallel(y)
    total.compute_at(output, x).vectorize(x, n).unroll(x).unroll(y)
    total.update().reorder(x, y, r.x, r.y).vectorize(x, n).unroll(x).unroll(y).unroll(r.x)
    return output, [src, weights]


def box_reference(radius):
    side = 2 * radius + 1
    area = side * side

    def reference(a):
        total = sum(window(a, dx, dy, radius).astype(np.int64)
                    for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1))
        return ((total + area // 2) // area).astype(a.dtype)

    return reference


@kernel(sizes=SIZES, shapes=bordered("u8", 1), reference=box_reference(1))
def box3x3_u8(target):
    """3x3 box with rounding: u16 division by the constant 9."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    rows, output = hl.Func("rows"), hl.Func("output")
    wide = lambda dx: hl.u16(src[x + dx, y])
    rows[x, y] = wide(-1) + wide(0) + wide(1)
    output[x, y] = hl.u8((rows[x, y - 1] + rows[x, y] + rows[x, y + 1] + hl.u16(4)) / hl.u16(9))

    yi = hl.Var("yi")
    output.split(y, y, yi, 16, hl.TailStrategy.GuardWithIf).parallel(y).vectorize(x, n)
    rows.store_at(output, y).compute_at(output, yi).vectorize(x, n)
    return output, [src]


@kernel(sizes=SIZES, shapes=bordered("u16", 2), reference=box_reference(2))
def box5x5_u16(target):
    """5x5 box with rounding: u32 division by the constant 25, two rows at a time."""
    src = image("input", "u16", 2)
    n = lanes(target, "u16")
    cols, output = hl.Func("cols"), hl.Func("output")
    cols[x, y] = sum((hl.u32(src[x, y + d]) for d in range(-1, 3)), hl.u32(src[x, y - 2]))
    total = sum((cols[x + d, y] for d in range(-1, 3)), cols[x - 2, y])
    output[x, y] = hl.u16((total + hl.u32(12)) / hl.u32(25))

    yi = hl.Var("yi")
    output.split(y, y, yi, 2, hl.TailStrategy.GuardWithIf).reorder(yi, x, y).unroll(yi)
    output.vectorize(x, n)
    cols.compute_at(output, y).vectorize(x, n)
    return output, [src]


def unsharp_u8_reference(a):
    centre = window(a, 0, 0, 1).astype(np.int64)
    blurred = (binomial(a, (1, 2, 1), 1) + 8) >> 4
    return np.clip(centre + ((centre - blurred) * 3 >> 1), 0, 255).astype(np.uint8)


@kernel(sizes=SIZES, shapes=bordered("u8", 1), reference=unsharp_u8_reference)
def unsharp_u8(target):
    """Unsharp mask in i16: original plus 1.5 times its difference from a blur, saturated."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    rows, blurred, output = hl.Func("rows"), hl.Func("blurred"), hl.Func("output")
    wide = lambda dx: hl.i16(src[x + dx, y])
    rows[x, y] = wide(-1) + 2 * wide(0) + wide(1)
    blurred[x, y] = (rows[x, y - 1] + 2 * rows[x, y] + rows[x, y + 1] + 8) >> 4
    centre = hl.i16(src[x, y])
    output[x, y] = hl.u8_sat(centre + (((centre - blurred[x, y]) * 3) >> 1))

    yi = hl.Var("yi")
    output.split(y, y, yi, 32, hl.TailStrategy.GuardWithIf).parallel(y).vectorize(x, n)
    rows.store_at(output, y).compute_at(output, yi).vectorize(x, n)
    return output, [src]
