"""Complex arithmetic on interleaved values: the radix-4 stage of a Fourier transform, products."""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, kernel, lanes, out

c, x, leg, batch = hl.vars("c x leg batch")


def to_complex(a):
    return a[..., 0].astype(np.float64) + 1j * a[..., 1]


def from_complex(a):
    return np.stack([a.real, a.imag], axis=-1).astype(np.float32)


def butterfly_reference(values, twiddles):
    v = to_complex(values)
    t = to_complex(twiddles)
    a, rest = v[:, 0], [v[:, i] * t[i - 1] for i in (1, 2, 3)]
    b, d, e = rest
    legs = [a + b + d + e, a - 1j * b - d + 1j * e, a - b + d - e, a + 1j * b - d - 1j * e]
    return from_complex(np.stack(legs, axis=1))


@kernel(sizes=[(256, 192), (33, 17), (16, 5)], reference=butterfly_reference, tol=FLOAT_TOL,
        shapes=lambda n, batches: [
            inp("input", "f32", (2, n, 4, batches), fill=(-1.0, 1.0)),
            inp("twiddles", "f32", (2, n, 3), fill=(-1.0, 1.0)),
            out("f32", (2, n, 4, batches))])
def fft_radix4_f32(target):
    """Radix-4 butterfly with twiddles on interleaved complex floats: split and merged lanes."""
    src, twiddles = image("input", "f32", 4), image("twiddles", "f32", 3)
    output, butterfly = hl.Func("output"), hl.Func("butterfly")
    n = lanes(target, "f32")
    src.dim(0).set_bounds(0, 2)
    src.dim(1).set_stride(2)
    twiddles.dim(0).set_bounds(0, 2)
    twiddles.dim(1).set_stride(2)

    def turned(i):
        re, im = src[0, x, i, batch], src[1, x, i, batch]
        if i == 0:
            return re, im
        tr, ti = twiddles[0, x, i - 1], twiddles[1, x, i - 1]
        return re * tr - im * ti, re * ti + im * tr

    (ar, ai), (br, bi), (dr, di), (er, ei) = (turned(i) for i in range(4))
    butterfly[x, batch] = (
        ar + br + dr + er, ai + bi + di + ei, ar + bi - dr - ei, ai - br - di + er,
        ar - br + dr - er, ai - bi + di - ei, ar - bi - dr + ei, ai + br - di - er)
    values = butterfly[x, batch]
    output[c, x, leg, batch] = hl.mux(2 * leg + c, [values[i] for i in range(8)])

    xi = hl.Var("xi")
    interleave = output.output_buffer()
    interleave.dim(0).set_bounds(0, 2)
    interleave.dim(1).set_stride(2)
    output.bound(c, 0, 2).bound(leg, 0, 4)
    output.split(x, x, xi, n, hl.TailStrategy.ShiftInwards).reorder(c, xi, leg, x, batch)
    output.unroll(c).vectorize(xi).unroll(leg).parallel(batch)
    butterfly.compute_at(output, x).vectorize(x, n)
    return output, [src, twiddles]


@kernel(sizes=[(400_000,), (5_003,), (67,)], tol=FLOAT_TOL,
        reference=lambda a, b: from_complex(to_complex(a) * np.conj(to_complex(b))),
        shapes=lambda n: [inp("a", "f32", (2, n), fill=(-1.0, 1.0)),
                          inp("b", "f32", (2, n), fill=(-1.0, 1.0)), out("f32", (2, n))])
def complex_multiply_f32(target):
    """Products with the conjugate, real and imaginary parts interleaved."""
    a, b = image("a", "f32", 2), image("b", "f32", 2)
    output = hl.Func("output")
    output[c, x] = hl.mux(c, [a[0, x] * b[0, x] + a[1, x] * b[1, x],
                              a[1, x] * b[0, x] - a[0, x] * b[1, x]])

    for buffer in (a, b, output.output_buffer()):
        buffer.dim(0).set_bounds(0, 2)
        buffer.dim(1).set_stride(2)
    output.bound(c, 0, 2).unroll(c).vectorize(x, lanes(target, "f32"))
    return output, [a, b]
