"""Matrix products: floats in register tiles, integers as dot products of adjacent values.

Sizes are (columns, rows, depth) of the product, n x m x k.
"""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, kernel, lanes, out

x, y = hl.vars("x y")


@kernel(sizes=[(256, 192, 192), (131, 33, 47), (70, 9, 17)], tol=FLOAT_TOL,
        reference=lambda a, b: a.astype(np.float64) @ b,
        shapes=lambda n, m, k: [inp("a", "f32", (k, m), fill=(-1.0, 1.0)),
                                inp("b", "f32", (n, k), fill=(-1.0, 1.0)), out("f32", (n, m))])
def matmul_f32(target):
    """f32 product with a register tile of 4 rows by 2 vectors, broadcasts of a."""
    a, b = image("a", "f32", 2), image("b", "f32", 2)
    n = lanes(target, "f32")
    product, output = hl.Func("product"), hl.Func("output")
    r = hl.RDom([(0, a.dim(0).extent())])
    product[x, y] += a[r, y] * b[x, r]
    output[x, y] = product[x, y]

    xi, yi = hl.vars("xi yi")
    output.tile(x, y, xi, yi, 2 * n, 4, hl.TailStrategy.ShiftInwards)
    output.vectorize(xi, n).unroll(xi).unroll(yi).parallel(y)
    product.compute_at(output, x).vectorize(x, n).unroll(x).unroll(y)
    product.update().reorder(x, y, r).vectorize(x, n).unroll(x).unroll(y)
    return output, [a, b]


def packed_rows(b):
    """A matrix packed as (k inner, n, k outer) back to k x n."""
    outer, n, inner = b.shape
    return b.transpose(0, 2, 1).reshape(outer * inner, n).astype(np.int64)


def dot_matmul(target, a_type, b_type, inner, rows):
    """Integer product whose depth is taken `inner` values at a time.

    `b` is packed as (k inner, n, k outer): the values that one lane of i32 needs are adjacent.
    """
    a, b = image("a", a_type, 2), image("b", b_type, 3)
    n = lanes(target, "i32")
    b.dim(0).set_bounds(0, inner)
    b.dim(1).set_stride(inner)
    product, output = hl.Func("product"), hl.Func("output")
    r = hl.RDom([(0, inner), (0, b.dim(2).extent())])
    wide = hl.i16 if inner == 4 else hl.i32
    product[x, y] += hl.i32(wide(a[inner * r.y + r.x, y]) * wide(b[r.x, x, r.y]))
    output[x, y] = product[x, y]

    xi, yi = hl.vars("xi yi")
    output.tile(x, y, xi, yi, 2 * n, rows, hl.TailStrategy.ShiftInwards)
    output.vectorize(xi, n).unroll(xi).unroll(yi).parallel(y)
    product.compute_at(output, x).vectorize(x, n).unroll(x).unroll(y)
    product.update().reorder(r.x, x, y, r.y).atomic().vectorize(r.x).vectorize(x, n)
    product.update().unroll(x).unroll(y)
    return output, [a, b]


@kernel(sizes=[(256, 192, 192), (131, 33, 48), (70, 9, 20)],
        reference=lambda a, b: (a.astype(np.int64) @ packed_rows(b)).astype(np.int32),
        shapes=lambda n, m, k: [inp("a", "u8", (k, m)), inp("b", "i8", (4, n, k // 4)),
                                out("i32", (n, m))])
def matmul_u8i8_i32(target):
    """Product of u8 activations and i8 weights: dot products of four, 4 rows by 2 vectors.

    Products fit i16, their sums do not: each is widened before it is added.
    """
    return dot_matmul(target, "u8", "i8", 4, 4)


@kernel(sizes=[(256, 192, 192), (131, 33, 46), (70, 9, 18)],
        reference=lambda a, b: (a.astype(np.int64) @ packed_rows(b)).astype(np.int32),
        shapes=lambda n, m, k: [inp("a", "i16", (k, m), fill=(-2000, 2000)),
                                inp("b", "i16", (2, n, k // 2), fill=(-2000, 2000)),
                                out("i32", (n, m))])
def matmul_i16_i32(target):
    """i16 product: dot products of two, as pmaddwd and i32x4.dot_i16x8_s compute them."""
    return dot_matmul(target, "i16", "i16", 2, 4)


@kernel(sizes=[(0, 512, 2048), (0, 33, 320), (0, 5, 64)],
        reference=lambda a, v: (a.astype(np.int64) @ v.astype(np.int64)).astype(np.int32),
        shapes=lambda _, m, k: [inp("a", "i8", (k, m)), inp("v", "i8", (k,)), out("i32", (m,))])
def matvec_i8_i32(target):
    """i8 matrix times vector: long dot products, reduced across lanes. Depth: multiples of 64."""
    a, v = image("a", "i8", 2), image("v", "i8", 1)
    n = lanes(target, "i8")
    v.dim(0).set_min(0)
    v.dim(0).set_extent((v.dim(0).extent() // 64) * 64)
    output = hl.Func("output")
    r = hl.RDom([(0, v.dim(0).extent())])
    output[y] += hl.i32(hl.i16(a[r, y]) * hl.i16(v[r]))
    ro, ri, u = hl.RVar("ro"), hl.RVar("ri"), hl.Var("u")
    # Lanes of i32: each adds the dot products of four adjacent values.
    rl, rk = hl.RVar("rl"), hl.RVar("rk")
    output.update().split(r, ro, ri, n).split(ri, rl, rk, 4)
    partial = output.update().rfactor(rl, u)

    partial.compute_at(output, y).vectorize(u)
    partial.update().reorder(rk, u, ro).atomic().vectorize(rk).vectorize(u)
    return output, [a, v]
