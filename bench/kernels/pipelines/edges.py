"""Neighbourhood operators that are not linear: gradients, order statistics, morphology.

Sizes are (width, height) of the output; inputs carry the border that the operator reads.
"""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out

x, y = hl.vars("x y")
SIZES = [(1536, 768), (1000, 131), (203, 37)]


def bordered(type_name, radius):
    """Shapes of an operator that reads `radius` values beyond the output's right and bottom."""
    return lambda w, h: [inp("input", type_name, (w + 2 * radius, h + 2 * radius)),
                         out(type_name, (w, h))]


def windows(array, radius):
    """All shifted views of an array with a border, row by row."""
    h, w = array.shape[0] - 2 * radius, array.shape[1] - 2 * radius
    side = range(2 * radius + 1)
    return [array[dy:dy + h, dx:dx + w] for dy in side for dx in side]


def sobel_reference(a):
    nw, n, ne, w, _, e, sw, s, se = [v.astype(np.int64) for v in windows(a, 1)]
    gx, gy = ne + 2 * e + se - nw - 2 * w - sw, sw + 2 * s + se - nw - 2 * n - ne
    return np.minimum(np.abs(gx) + np.abs(gy), 255).astype(np.uint8)


@kernel(sizes=SIZES, shapes=bordered("u8", 1), reference=sobel_reference)
def sobel_u8(target):
    """Sobel gradient magnitude |gx| + |gy| in i16, saturated to u8."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    wide, gx, gy, output = hl.Func("wide"), hl.Func("gx"), hl.Func("gy"), hl.Func("output")
    wide[x, y] = hl.i16(src[x, y])
    gx[x, y] = (wide[x + 2, y] - wide[x, y] + 2 * (wide[x + 2, y + 1] - wide[x, y + 1])
                + wide[x + 2, y + 2] - wide[x, y + 2])
    gy[x, y] = (wide[x, y + 2] - wide[x, y] + 2 * (wide[x + 1, y + 2] - wide[x + 1, y])
                + wide[x + 2, y + 2] - wide[x + 2, y])
    output[x, y] = hl.u8_sat(hl.abs(gx[x, y]) + hl.abs(gy[x, y]))

    yi = hl.Var("yi")
    output.split(y, y, yi, 2, hl.TailStrategy.ShiftInwards).reorder(yi, x, y)
    output.vectorize(x, n).unroll(yi).parallel(y)
    return output, [src]


@kernel(sizes=SIZES, shapes=bordered("u8", 1),
        reference=lambda a: np.median(np.stack(windows(a, 1)), axis=0).astype(np.uint8))
def median3x3_u8(target):
    """Exact 3x3 median: columns sorted once, then a min/max network."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    low, mid, high = hl.Func("low"), hl.Func("mid"), hl.Func("high")
    output = hl.Func("output")
    a, b, c = src[x, y], src[x, y + 1], src[x, y + 2]
    middle = lambda p, q, r: hl.max(hl.min(p, q), hl.min(hl.max(p, q), r))
    low[x, y] = hl.min(a, hl.min(b, c))
    high[x, y] = hl.max(a, hl.max(b, c))
    mid[x, y] = middle(a, b, c)
    output[x, y] = middle(
        hl.max(low[x, y], hl.max(low[x + 1, y], low[x + 2, y])),
        middle(mid[x, y], mid[x + 1, y], mid[x + 2, y]),
        hl.min(high[x, y], hl.min(high[x + 1, y], high[x + 2, y])))

    yi = hl.Var("yi")
    output.split(y, y, yi, 8, hl.TailStrategy.GuardWithIf).parallel(y).vectorize(x, n)
    for part in (low, mid, high):
        part.compute_at(output, yi).vectorize(x, n)
    return output, [src]


def median3x3_f32_reference(a):
    return np.median(np.stack(windows(a, 1)), axis=0).astype(np.float32)


@kernel(sizes=[(640, 360), (500, 61), (77, 19)], reference=median3x3_f32_reference,
        shapes=lambda w, h: [inp("input", "f32", (w + 2, h + 2), fill=(-8.0, 8.0)),
                             out("f32", (w, h))])
def median3x3_f32(target):
    """3x3 median of floats: f32 min and max, whose wasm semantics are costly on x86."""
    src = image("input", "f32", 2)
    output = hl.Func("output")
    values = [src[x + dx, y + dy] for dy in range(3) for dx in range(3)]

    def sort(i, j):
        low, high = hl.min(values[i], values[j]), hl.max(values[i], values[j])
        values[i], values[j] = low, high

    # Columns, then rows, then the anti-diagonal: the centre ends up as the median.
    for base in range(3):
        sort(base, base + 3), sort(base + 3, base + 6), sort(base, base + 3)
    for row in range(0, 9, 3):
        sort(row, row + 1), sort(row + 1, row + 2), sort(row, row + 1)
    sort(2, 4), sort(4, 6), sort(2, 4)
    output[x, y] = values[4]

    output.vectorize(x, lanes(target, "f32")).parallel(y, 8)
    return output, [src]


def dilate_reference(a):
    return np.max(np.stack(windows(a, 2)), axis=0)


@kernel(sizes=SIZES, shapes=bordered("u8", 2), reference=dilate_reference)
def dilate5x5_u8(target):
    """5x5 dilation, separable maximum, rows in a folded buffer of a strip."""
    src = image("input", "u8", 2)
    n = lanes(target, "u8")
    rows, output = hl.Func("rows"), hl.Func("output")
    r = hl.RDom([(0, 5)])
    rows[x, y] = hl.maximum(src[x + r, y])
    output[x, y] = hl.maximum(rows[x, y + r])

    yo, yi = hl.vars("yo yi")
    output.split(y, yo, yi, 32, hl.TailStrategy.GuardWithIf).parallel(yo).vectorize(x, n)
    rows.store_at(output, yo).compute_at(output, yi).vectorize(x, n)
    return output, [src]


def opened_reference(a):
    padded = np.pad(a, 2, mode="edge")
    h, w = a.shape
    eroded = np.min(np.stack([padded[dy:dy + h + 2, dx:dx + w + 2]
                              for dy in range(3) for dx in range(3)]), axis=0)
    return np.max(np.stack(windows(eroded, 1)), axis=0)


@kernel(sizes=SIZES, reference=opened_reference,
        shapes=lambda w, h: [inp("input", "i16", (w, h)), out("i16", (w, h))])
def open3x3_i16(target):
    """Morphological opening (3x3 erosion, then dilation) with edges repeated."""
    src = image("input", "i16", 2)
    n = lanes(target, "i16")
    edge = hl.BoundaryConditions.repeat_edge(src)
    eroded, output = hl.Func("eroded"), hl.Func("output")
    r, s = hl.RDom([(-1, 3), (-1, 3)]), hl.RDom([(-1, 3), (-1, 3)])
    eroded[x, y] = hl.minimum(edge[x + r.x, y + r.y])
    output[x, y] = hl.maximum(eroded[x + s.x, y + s.y])

    yi = hl.Var("yi")
    output.split(y, y, yi, 16, hl.TailStrategy.GuardWithIf).parallel(y).vectorize(x, n)
    edge.store_at(output, y).compute_at(output, yi).vectorize(edge.args()[0], n)
    eroded.store_at(output, y).compute_at(output, yi).vectorize(x, n)
    return output, [src]
