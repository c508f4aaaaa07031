"""Recurrences: sums along rows and columns, in whole or in blocks; one-pole filters."""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out

x, y, b = hl.vars("x y b")
BLOCK = 32


@kernel(sizes=[(100_000,), (5_003,), (131,)],
        reference=lambda a: np.cumsum(a.astype(np.uint32), dtype=np.uint32),
        shapes=lambda n: [inp("input", "u16", (n,)), out("u32", (n,))])
def prefix_scan_u32(target):
    """Running sum of u16 in three steps: block totals, their scan, scans within blocks."""
    src = image("input", "u16", 1)
    n = lanes(target, "u32")
    padded = hl.BoundaryConditions.constant_exterior(src, hl.u16(0))
    local, carry, output = hl.Func("local"), hl.Func("carry"), hl.Func("output")
    r, blocks = hl.RDom([(1, BLOCK - 1)]), hl.RDom([(1, (src.dim(0).extent() - 1) // BLOCK)])
    # Vectors run across blocks: lane i scans block i, with loads of stride BLOCK.
    local[x, b] = hl.u32(padded[b * BLOCK + x])
    local[r, b] += local[r - 1, b]
    carry[b] = hl.u32(0)
    carry[blocks.x] = carry[blocks.x - 1] + local[BLOCK - 1, blocks.x - 1]
    output[x] = local[x % BLOCK, x // BLOCK] + carry[x // BLOCK]

    output.vectorize(x, n)
    carry.compute_root().update().unscheduled()
    local.compute_root().bound(x, 0, BLOCK).reorder_storage(b, x).reorder(b, x)
    local.vectorize(b, n)
    local.update().reorder(b, r).vectorize(b, n)
    return output, [src]


@kernel(sizes=[(768, 512), (301, 77), (67, 9)],
        reference=lambda a: a.astype(np.uint32).cumsum(0, np.uint32).cumsum(1, np.uint32),
        shapes=lambda w, h: [inp("input", "u8", (w, h)), out("u32", (w, h))])
def integral_u8(target):
    """Integral image, in place: serial sums along rows, then vector sums down columns."""
    src = image("input", "u8", 2)
    n = lanes(target, "u32")
    output = hl.Func("output")
    width, height = src.dim(0).extent(), src.dim(1).extent()
    r, s = hl.RDom([(1, width - 1)]), hl.RDom([(1, height - 1)])
    output[x, y] = hl.u32(src[x, y])
    output[r.x, y] += output[r.x - 1, y]
    output[x, s.x] += output[x, s.x - 1]

    guard = hl.TailStrategy.GuardWithIf
    output.bound(x, 0, width).bound(y, 0, height)
    output.vectorize(x, n, guard)
    output.update(0).reorder(r.x, y).parallel(y, 8, guard)
    output.update(1).reorder(x, s.x).vectorize(x, n, guard)
    return output, [src]


def smooth_reference(a):
    a = a.astype(np.float64)
    result = a.copy()
    for i in range(1, a.shape[0]):
        result[i] = 0.75 * result[i - 1] + 0.25 * a[i]
    for i in range(a.shape[0] - 2, -1, -1):
        result[i] = 0.75 * result[i + 1] + 0.25 * result[i]
    return result.astype(np.float32)


@kernel(sizes=[(512, 256), (301, 77), (67, 9)], reference=smooth_reference, tol=(1e-5, 1e-4),
        shapes=lambda w, h: [inp("input", "f32", (w, h)), out("f32", (w, h))])
def recursive_smooth_f32(target):
    """One-pole smoothing down and up each column: a chain of dependent vector operations."""
    src = image("input", "f32", 2)
    n = lanes(target, "f32")
    height = src.dim(1).extent()
    column, output = hl.Func("column"), hl.Func("output")
    r = hl.RDom([(1, height - 1)])
    column[x, y] = src[x, y]
    column[x, r] = 0.75 * column[x, r - 1] + 0.25 * src[x, r]
    up = height - 1 - r
    column[x, up] = 0.75 * column[x, up + 1] + 0.25 * column[x, up]
    output[x, y] = column[x, y]

    xo, xi = hl.vars("xo xi")
    output.bound(y, 0, height)
    output.split(x, xo, xi, 2 * n, hl.TailStrategy.ShiftInwards).reorder(xi, y, xo)
    output.vectorize(xi, n).unroll(xi).parallel(xo)
    column.compute_at(output, xo).vectorize(x, n).unroll(x)
    for stage in range(2):
        column.update(stage).reorder(x, r).vectorize(x, n).unroll(x)
    return output, [src]
