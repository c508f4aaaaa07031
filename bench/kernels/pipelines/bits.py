"""Comparisons, masks, shifts and bit counts: integer operations that are not arithmetic."""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out, param, scalar

x, y = hl.vars("x y")


def chroma_key_reference(a, b, key, low):
    inside = (a != key) & (a != 255) & (a >= low)
    return np.where(inside, a, b)


@kernel(sizes=[(2048, 1024), (1111, 63), (203, 17)], reference=chroma_key_reference,
        shapes=lambda w, h: [inp("a", "u8", (w, h)), inp("b", "u8", (w, h)),
                             scalar("key", "u8", 90), scalar("low", "u8", 30),
                             out("u8", (w, h))])
def chroma_key_u8(target):
    """One image where it is neither the key, nor white, nor dark; the other elsewhere."""
    a, b = image("a", "u8", 2), image("b", "u8", 2)
    key, low = param("key", "u8"), param("low", "u8")
    output = hl.Func("output")
    v = a[x, y]
    output[x, y] = hl.select((v != key) & (v != hl.u8(255)) & (v >= low), v, b[x, y])

    output.vectorize(x, lanes(target, "u8")).parallel(y, 32, hl.TailStrategy.GuardWithIf)
    return output, [a, b, key, low]


def rotate_xor_reference(a, amount):
    s = (amount & 31).astype(np.uint64)
    wide = a.astype(np.uint64)
    rotated = ((wide << s) | (wide >> (32 - s))) & 0xFFFFFFFF
    return (rotated ^ (wide >> (s >> np.uint64(1)))).astype(np.uint32)


@kernel(sizes=[(131_072,), (5_003,), (77,)], reference=rotate_xor_reference,
        shapes=lambda n: [inp("a", "u32", (n,)), inp("amount", "u8", (n,)), out("u32", (n,))])
def rotate_xor_u32(target):
    """Each value rotated by its own amount, mixed with a shift by half of that."""
    a, amount = image("a", "u32", 1), image("amount", "u8", 1)
    output = hl.Func("output")
    s = hl.u32(amount[x]) & hl.u32(31)
    rotated = (a[x] << s) | (a[x] >> ((hl.u32(32) - s) & hl.u32(31)))
    output[x] = rotated ^ (a[x] >> (s >> hl.u32(1)))

    output.vectorize(x, lanes(target, "u32"), hl.TailStrategy.ShiftInwards)
    return output, [a, amount]


def hamming_reference(rows, query):
    return np.unpackbits(rows ^ query, axis=1).sum(axis=1).astype(np.uint32)


@kernel(sizes=[(256, 4096), (128, 333), (64, 5)], reference=hamming_reference,
        shapes=lambda w, h: [inp("rows", "u8", (w, h)), inp("query", "u8", (w,)),
                             out("u32", (h,))])
def hamming_rows_u8(target):
    """Bits in which each row differs from a query. Rows must be a multiple of 64 bytes."""
    rows, query = image("rows", "u8", 2), image("query", "u8", 1)
    n = lanes(target, "u8")
    query.dim(0).set_min(0)
    query.dim(0).set_extent((query.dim(0).extent() // 64) * 64)
    output = hl.Func("output")
    r = hl.RDom([(0, query.dim(0).extent())])
    output[y] += hl.u32(hl.popcount(rows[r.x, y] ^ query[r.x]))
    ro, ri, u = hl.RVar("ro"), hl.RVar("ri"), hl.Var("u")
    output.update().split(r.x, ro, ri, n)
    partial = output.update().rfactor(ri, u)

    partial.compute_at(output, y).vectorize(u)
    partial.update().reorder(u, ro).vectorize(u)
    return output, [rows, query]


@kernel(sizes=[(2048, 512), (301, 77), (67, 9)],
        reference=lambda a: a.argmax(axis=0).astype(np.int32),
        shapes=lambda w, h: [inp("input", "f32", (w, h), fill=(-8.0, 8.0)), out("i32", (w,))])
def argmax_columns_f32(target):
    """Row of each column's first maximum: a value and an index carried together."""
    src = image("input", "f32", 2)
    n = lanes(target, "f32")
    best, output = hl.Func("best"), hl.Func("output")
    r = hl.RDom([(1, src.dim(1).extent() - 1)])
    best[x] = (src[x, 0], hl.i32(0))
    better = src[x, r.x] > best[x][0]
    best[x] = (hl.select(better, src[x, r.x], best[x][0]), hl.select(better, r.x, best[x][1]))
    output[x] = best[x][1]

    xo, xi = hl.vars("xo xi")
    output.split(x, xo, xi, 4 * n, hl.TailStrategy.ShiftInwards)
    output.vectorize(xi, n).unroll(xi).parallel(xo)
    best.compute_at(output, xo).vectorize(x, n).unroll(x)
    best.update().reorder(x, r.x).vectorize(x, n).unroll(x)
    return output, [src]
