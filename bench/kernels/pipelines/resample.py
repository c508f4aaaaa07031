"""Images at another size or position: halving, doubling, resizing, warping.

Sizes are (width, height) of the output.
"""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out, param, scalar

x, y = hl.vars("x y")


def downsample_reference(a):
    a = a.astype(int)
    total = a[0::2, 0::2] + a[0::2, 1::2] + a[1::2, 0::2] + a[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)


@kernel(sizes=[(2048, 1024), (611, 63), (101, 17)], reference=downsample_reference,
        shapes=lambda w, h: [inp("input", "u8", (2 * w, 2 * h)), out("u8", (w, h))])
def downsample2x_u8(target):
    """Half size by the rounded mean of 2x2 values: loads with stride 2."""
    src = image("input", "u8", 2)
    output = hl.Func("output")
    wide = lambda dx, dy: hl.u16(src[2 * x + dx, 2 * y + dy])
    output[x, y] = hl.u8((wide(0, 0) + wide(1, 0) + wide(0, 1) + wide(1, 1) + 2) >> 2)

    output.vectorize(x, lanes(target, "u8")).parallel(y, 16, hl.TailStrategy.GuardWithIf)
    return output, [src]


def upsample_axis(a, axis, count):
    i = np.arange(count)
    near = i // 2
    far = near - 1 + 2 * (i % 2)
    pick = lambda index: np.take(a, np.clip(index, 0, a.shape[axis] - 1), axis)
    return 3 * pick(near) + pick(far)


def upsample_reference(a):
    columns = upsample_axis(a.astype(int), 0, 2 * a.shape[0])
    return ((upsample_axis(columns, 1, 2 * a.shape[1]) + 8) >> 4).astype(np.uint8)


@kernel(sizes=[(1536, 768), (1222, 62), (202, 18)], reference=upsample_reference,
        shapes=lambda w, h: [inp("input", "u8", (w // 2, h // 2)), out("u8", (w, h))])
def upsample2x_u8(target):
    """Double size by bilinear 9:3:3:1 weights, edges repeated: even and odd lanes interleave."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    edge = hl.BoundaryConditions.repeat_edge(src)
    columns, output = hl.Func("columns"), hl.Func("output")
    far = lambda v: v // 2 - 1 + 2 * (v % 2)
    columns[x, y] = 3 * hl.u16(edge[x, y // 2]) + hl.u16(edge[x, far(y)])
    output[x, y] = hl.u8((3 * columns[x // 2, y] + columns[far(x), y] + 8) >> 4)

    output.align_bounds(x, 2).align_bounds(y, 2)
    yi = hl.Var("yi")
    output.split(y, y, yi, 2).parallel(y).vectorize(x, 2 * n, hl.TailStrategy.GuardWithIf)
    columns.compute_at(output, yi).vectorize(x, n)
    return output, [src]


def warp_reference(a, *matrix):
    a00, a01, b0, a10, a11, b1 = (int(v) for v in matrix)
    h, w = a.shape
    yy, xx = np.mgrid[0:h, 0:w].astype(np.int64)
    sx, sy = a00 * xx + a01 * yy + b0, a10 * xx + a11 * yy + b1
    ix, iy, fx, fy = sx >> 16, sy >> 16, (sx >> 8) & 255, (sy >> 8) & 255
    at = lambda dx, dy: a[np.clip(iy + dy, 0, h - 1), np.clip(ix + dx, 0, w - 1)].astype(np.int64)
    top = at(0, 0) * (256 - fx) + at(1, 0) * fx
    bottom = at(0, 1) * (256 - fx) + at(1, 1) * fx
    return ((top * (256 - fy) + bottom * fy + (1 << 15)) >> 16).astype(np.uint8)


@kernel(sizes=[(512, 256), (333, 61), (77, 13)], reference=warp_reference,
        shapes=lambda w, h: [
            inp("input", "u8", (w, h)),
            scalar("a00", "i32", 63000), scalar("a01", "i32", -9000), scalar("b0", "i32", 200000),
            scalar("a10", "i32", 9000), scalar("a11", "i32", 63000), scalar("b1", "i32", -150000),
            out("u8", (w, h))])
def warp_affine_u8(target):
    """Affine warp in Q16 coordinates, bilinear: four clamped gathers a value."""
    src = image("input", "u8", 2)
    names = ("a00", "a01", "b0", "a10", "a11", "b1")
    matrix = [param(name, "i32") for name in names]
    a00, a01, b0, a10, a11, b1 = matrix
    edge = hl.BoundaryConditions.repeat_edge(src)
    output = hl.Func("output")
    sx, sy = a00 * x + a01 * y + b0, a10 * x + a11 * y + b1
    ix, iy, fx, fy = sx >> 16, sy >> 16, (sx >> 8) & 255, (sy >> 8) & 255
    at = lambda dx, dy: hl.i32(edge[ix + dx, iy + dy])
    top = at(0, 0) * (256 - fx) + at(1, 0) * fx
    bottom = at(0, 1) * (256 - fx) + at(1, 1) * fx
    output[x, y] = hl.u8((top * (256 - fy) + bottom * fy + (1 << 15)) >> 16)

    xi, yi = hl.vars("xi yi")
    output.tile(x, y, xi, yi, 64, 16, hl.TailStrategy.GuardWithIf)
    output.vectorize(xi, lanes(target, "i32")).parallel(y)
    return output, [src, *matrix]


def resize_reference(a, sx, sy, w, h):
    one = np.float32(1)

    def taps(count, scale, limit):
        position = (np.arange(int(count), dtype=np.float32) + np.float32(0.5)) * scale
        position = position - np.float32(0.5)
        base = np.floor(position)
        clip = lambda v: np.clip(v.astype(int), 0, limit - 1)
        return clip(base), clip(base + 1), (position - base).astype(np.float32)

    x0, x1, fx = taps(w, sx, a.shape[1])
    y0, y1, fy = taps(h, sy, a.shape[0])
    columns = a[y0] * (one - fy)[:, None] + a[y1] * fy[:, None]
    return columns[:, x0] * (one - fx) + columns[:, x1] * fx


@kernel(sizes=[(800, 450), (333, 61), (77, 13)], reference=resize_reference, tol=(2e-4, 1e-3),
        shapes=lambda w, h: [
            inp("input", "f32", (w * 3 // 4, h * 2 // 3)),
            scalar("scale_x", "f32", 0.75), scalar("scale_y", "f32", 0.6875),
            scalar("width", "i32", w), scalar("height", "i32", h), out("f32", (w, h))])
def resize_bilinear_f32(target):
    """Bilinear resize to any size: positions tabulated once, columns first, gathers along x."""
    src = image("input", "f32", 2)
    scale_x, scale_y = param("scale_x", "f32"), param("scale_y", "f32")
    width, height = param("width", "i32"), param("height", "i32")
    n = lanes(target, "f32")
    base_x, frac_x, columns = hl.Func("base_x"), hl.Func("frac_x"), hl.Func("columns")
    output = hl.Func("output")

    position = lambda v, scale: (hl.f32(v) + 0.5) * scale - 0.5
    at_x = position(x, scale_x)
    base_x[x] = hl.i32(hl.floor(at_x))
    frac_x[x] = at_x - hl.floor(at_x)
    at_y = position(y, scale_y)
    base_y, frac_y = hl.i32(hl.floor(at_y)), at_y - hl.floor(at_y)
    row = lambda v: hl.clamp(v, 0, src.dim(1).extent() - 1)
    column = lambda v: hl.clamp(v, 0, src.dim(0).extent() - 1)
    columns[x, y] = src[x, row(base_y)] * (1 - frac_y) + src[x, row(base_y + 1)] * frac_y
    output[x, y] = (columns[column(base_x[x]), y] * (1 - frac_x[x])
                    + columns[column(base_x[x] + 1), y] * frac_x[x])

    output.bound(x, 0, width).bound(y, 0, height)
    output.vectorize(x, n).parallel(y, 8, hl.TailStrategy.GuardWithIf)
    columns.compute_at(output, y).vectorize(x, n)
    base_x.compute_root().vectorize(x, n)
    frac_x.compute_root().vectorize(x, n)
    return output, [src, scale_x, scale_y, width, height]
