"""Operators that adapt to their neighbourhood: bilateral filter, equalisation, tone mapping.

Sizes are (width, height).
"""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out, param, scalar

x, y, c = hl.vars("x y c")

TILE = 32
SPATIAL = [0.1353, 0.6065, 1.0, 0.6065, 0.1353]


def bilateral_reference(a, k):
    padded = np.pad(a, 2, mode="edge").astype(np.float64)
    h, w = a.shape
    total, weights = 0.0, 0.0
    for dy in range(5):
        for dx in range(5):
            v = padded[dy:dy + h, dx:dx + w]
            weight = SPATIAL[dy] * SPATIAL[dx] * np.exp(-float(k) * (v - a) ** 2)
            total, weights = total + weight * v, weights + weight
    return (total / weights).astype(np.float32)


@kernel(sizes=[(192, 128), (131, 33), (67, 9)], reference=bilateral_reference, tol=(1e-5, 2e-4),
        shapes=lambda w, h: [inp("input", "f32", (w, h)), scalar("k", "f32", 8.0),
                             out("f32", (w, h))])
def bilateral_f32(target):
    """5x5 bilateral filter: 25 vectorised exponentials a value, edges repeated."""
    src, k = image("input", "f32", 2), param("k", "f32")
    n = lanes(target, "f32")
    edge = hl.BoundaryConditions.repeat_edge(src)
    spatial, sums, output = hl.Func("spatial"), hl.Func("sums"), hl.Func("output")
    spatial[x] = hl.mux(x + 2, [hl.f32(v) for v in SPATIAL])
    r = hl.RDom([(-2, 5), (-2, 5)])
    value = edge[x + r.x, y + r.y]
    difference = value - edge[x, y]
    weight = spatial[r.x] * spatial[r.y] * hl.exp(-k * difference * difference)
    sums[x, y] = (hl.f32(0), hl.f32(0))
    sums[x, y] = (sums[x, y][0] + weight * value, sums[x, y][1] + weight)
    output[x, y] = sums[x, y][0] / sums[x, y][1]

    output.vectorize(x, n).parallel(y, 4, hl.TailStrategy.GuardWithIf)
    sums.compute_at(output, x).vectorize(x, n)
    sums.update().reorder(x, r.x, r.y).vectorize(x, n).unroll(r.x)
    spatial.compute_root().bound(x, -2, 5).unroll(x)
    return output, [src, k]


def equalize_reference(a):
    result = np.empty_like(a)
    h, w = a.shape
    padded = np.pad(a, ((0, -h % TILE), (0, -w % TILE)), mode="edge")
    for ty in range(0, h, TILE):
        for tx in range(0, w, TILE):
            tile = padded[ty:ty + TILE, tx:tx + TILE]
            total = np.cumsum(np.bincount(tile.ravel(), minlength=256))
            table = (total * 255 + TILE * TILE // 2) // (TILE * TILE)
            result[ty:ty + TILE, tx:tx + TILE] = table[a[ty:ty + TILE, tx:tx + TILE]]
    return result


@kernel(sizes=[(512, 256), (301, 77), (65, 33)], reference=equalize_reference,
        shapes=lambda w, h: [inp("input", "u8", (w, h)), out("u8", (w, h))])
def local_equalize_u8(target):
    """Histogram equalisation of each 32x32 tile: histogram, running sum, table, gathers."""
    src = image("input", "u8", 2)
    edge = hl.BoundaryConditions.repeat_edge(src)
    b, tx, ty = hl.vars("b tx ty")
    histogram, total, table = hl.Func("histogram"), hl.Func("total"), hl.Func("table")
    output = hl.Func("output")
    r = hl.RDom([(0, TILE), (0, TILE)])
    bins = hl.RDom([(1, 255)])
    histogram[b, tx, ty] = hl.u32(0)
    histogram[hl.i32(edge[tx * TILE + r.x, ty * TILE + r.y]), tx, ty] += hl.u32(1)
    total[b, tx, ty] = histogram[b, tx, ty]
    total[bins, tx, ty] += total[bins - 1, tx, ty]
    area = TILE * TILE
    table[b, tx, ty] = hl.u8((total[b, tx, ty] * hl.u32(255) + hl.u32(area // 2))
                             / hl.u32(area))
    output[x, y] = table[hl.i32(src[x, y]), x // TILE, y // TILE]

    n = lanes(target, "u32")
    output.vectorize(x, lanes(target, "u8")).parallel(y, TILE, hl.TailStrategy.GuardWithIf)
    table.compute_root().bound(b, 0, 256).parallel(ty).vectorize(b, lanes(target, "u8"))
    total.compute_at(table, tx).vectorize(b, n)
    histogram.compute_at(table, tx).vectorize(b, n)
    total.update().unscheduled()
    histogram.update().unscheduled()
    return output, [src]


def tonemap_reference(rgb, strength):
    rgb = rgb.astype(np.float64)
    luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    h, w = luma.shape
    padded = np.pad(luma, 4, mode="edge")
    mean = sum(padded[dy:dy + h, dx:dx + w] for dy in range(9) for dx in range(9)) / 81.0
    gain = ((luma + 0.05) / (mean + 0.05)) ** (float(strength) - 1.0)
    return np.minimum(rgb * gain, 1.0).astype(np.float32)


@kernel(sizes=[(256, 192), (131, 33), (67, 9)], reference=tonemap_reference, tol=(1e-4, 1e-3),
        shapes=lambda w, h: [inp("input", "f32", (w, h, 3)), scalar("strength", "f32", 0.6),
                             out("f32", (w, h, 3))])
def tonemap_f32(target):
    """Local tone mapping in three parallel stages, each its own closure, with log and exp."""
    src, strength = image("input", "f32", 3), param("strength", "f32")
    n = lanes(target, "f32")
    edge = hl.BoundaryConditions.repeat_edge(src)
    luma, rows, mean, gain = hl.Func("luma"), hl.Func("rows"), hl.Func("mean"), hl.Func("gain")
    output = hl.Func("output")
    r = hl.RDom([(-4, 9)])
    luma[x, y] = (hl.f32(0.299) * edge[x, y, 0] + hl.f32(0.587) * edge[x, y, 1]
                  + hl.f32(0.114) * edge[x, y, 2])
    rows[x, y] += luma[x + r, y]
    mean[x, y] += rows[x, y + r]
    ratio = (luma[x, y] + hl.f32(0.05)) / (mean[x, y] * hl.f32(1 / 81) + hl.f32(0.05))
    gain[x, y] = hl.exp(hl.log(ratio) * (strength - 1.0))
    output[x, y, c] = hl.min(src[x, y, c] * gain[x, y], 1.0)

    fused = hl.Var("fused")
    output.fuse(y, c, fused).parallel(fused).vectorize(x, n)
    gain.compute_root().parallel(y, 4, hl.TailStrategy.GuardWithIf).vectorize(x, n)
    mean.compute_at(gain, y).vectorize(x, n)
    mean.update().reorder(x, r, y).vectorize(x, n).unroll(r)
    rows.compute_root().parallel(y).vectorize(x, n)
    rows.update().reorder(r, x, y).parallel(y).vectorize(x, n).unroll(r)
    luma.compute_root().parallel(y).vectorize(x, n)
    return output, [src, strength]
