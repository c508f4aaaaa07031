"""Moving values without changing them: transposes of three element sizes.

Sizes are (width, height) of the output.
"""

import halide as hl
import numpy as np

from ._kernel import image, inp, kernel, lanes, out

x, y = hl.vars("x y")


def shapes(type_name, pad=0):
    return lambda w, h: [inp("input", type_name, (h, w), pad=pad), out(type_name, (w, h))]


def transpose(target, type_name, side):
    """Tiles of side x side: rows are loaded as vectors, columns are stored as vectors."""
    src = image("input", type_name, 2)
    block, output = hl.Func("block"), hl.Func("output")
    block[x, y] = src[x, y]
    output[x, y] = block[y, x]

    xi, yi = hl.vars("xi yi")
    output.tile(x, y, xi, yi, side, side, hl.TailStrategy.ShiftInwards)
    output.vectorize(xi).unroll(yi).parallel(y)
    block.compute_at(output, x).vectorize(x).unroll(y)
    return output, [src]


@kernel(sizes=[(1024, 1024), (301, 203), (67, 35)], reference=lambda a: a.T, shapes=shapes("u8"))
def transpose_u8(target):
    """Transpose of u8 in tiles of 16x16, held in registers and interleaved."""
    return transpose(target, "u8", 16)


@kernel(sizes=[(1024, 768), (301, 203), (67, 35)], reference=lambda a: a.T,
        shapes=shapes("u16", pad=5))
def transpose_u16(target):
    """Transpose of u16 in tiles of 8x8; input rows are padded and so not aligned."""
    return transpose(target, "u16", 8)


@kernel(sizes=[(768, 512), (301, 203), (67, 35)], reference=lambda a: a.T, shapes=shapes("f32"))
def transpose_f32(target):
    """Transpose of f32 in tiles of 4x4."""
    return transpose(target, "f32", 4)
