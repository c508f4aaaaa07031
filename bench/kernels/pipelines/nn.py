"""Layers of neural networks: convolutions, pooling, requantisation, softmax.

Channels are the innermost dimension. Sizes are in the order that each kernel's `shapes` names.
"""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, kernel, lanes, out, param, scalar

c, x, y = hl.vars("c x y")


def requantize(total, multiplier, shift, zero):
    """i32 to u8: rounding high multiply, rounding shift, zero point, saturation."""
    high = hl.rounding_mul_shift_right(total, multiplier, hl.u32(31))
    return hl.u8_sat(hl.saturating_add(hl.rounding_shift_right(high, shift), zero))


def requantize_reference(total, multiplier, shift, zero):
    high = (total.astype(np.int64) * multiplier + (1 << 30)) >> 31
    high = np.clip(high, -(1 << 31), (1 << 31) - 1)
    rounded = (high + ((1 << shift) >> 1)) >> shift
    return np.clip(rounded + zero, 0, 255).astype(np.uint8)


@kernel(sizes=[(64, 2048), (51, 131), (70, 9)],
        reference=lambda a, m, zero: requantize_reference(a, m.astype(np.int64), 6, int(zero)),
        shapes=lambda channels, n: [
            inp("input", "i32", (channels, n), fill=(-2_000_000, 2_000_000)),
            inp("multiplier", "i32", (channels,), fill=(1 << 24, 1 << 26)),
            scalar("zero", "i32", 128), out("u8", (channels, n))])
def requantize_u8(target):
    """i32 accumulators to u8, a multiplier each channel: rounding high multiply."""
    src, multiplier = image("input", "i32", 2), image("multiplier", "i32", 1)
    zero = param("zero", "i32")
    output = hl.Func("output")
    output[c, x] = requantize(src[c, x], multiplier[c], hl.u32(6), zero)

    output.vectorize(c, lanes(target, "i16"), hl.TailStrategy.ShiftInwards)
    output.parallel(x, 16, hl.TailStrategy.GuardWithIf)
    return output, [src, multiplier, zero]


def depthwise_reference(a, weights, bias, input_zero, multiplier):
    h, w = a.shape[0] - 2, a.shape[1] - 2
    total = bias.astype(np.int64) + sum(
        (a[dy:dy + h, dx:dx + w].astype(np.int64) - int(input_zero)) * weights[dy, dx]
        for dy in range(3) for dx in range(3))
    return requantize_reference(total, int(multiplier), 8, 120)


@kernel(sizes=[(32, 56, 56), (35, 21, 7), (70, 5, 3)], reference=depthwise_reference,
        shapes=lambda channels, w, h: [
            inp("input", "u8", (channels, w + 2, h + 2)),
            inp("weights", "i8", (channels, 3, 3)),
            inp("bias", "i32", (channels,), fill=(-20_000, 20_000)),
            scalar("input_zero", "u8", 131), scalar("multiplier", "i32", 1_518_500_250),
            out("u8", (channels, w, h))])
def depthwise3x3_u8(target):
    """Quantised depthwise 3x3 convolution: i16 differences, i32 sums, requantised."""
    src, weights = image("input", "u8", 3), image("weights", "i8", 3)
    bias, input_zero = image("bias", "i32", 1), param("input_zero", "u8")
    multiplier = param("multiplier", "i32")
    n = lanes(target, "i16")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(0, 3), (0, 3)])
    difference = hl.i16(src[c, x + r.x, y + r.y]) - hl.i16(input_zero)
    total[c, x, y] = bias[c]
    total[c, x, y] += hl.i32(difference) * hl.i32(hl.i16(weights[c, r.x, r.y]))
    output[c, x, y] = requantize(total[c, x, y], multiplier, hl.u32(8), hl.i32(120))

    output.vectorize(c, n, hl.TailStrategy.ShiftInwards).parallel(y)
    total.compute_at(output, c).vectorize(c, n)
    total.update().reorder(c, r.x, r.y).vectorize(c, n).unroll(r.x).unroll(r.y)
    return output, [src, weights, bias, input_zero, multiplier]


def conv_u8_reference(a, weights, bias, multiplier):
    h, w = a.shape[0] - 2, a.shape[1] - 2
    total = bias.astype(np.int64)
    for dy in range(3):
        for dx in range(3):
            # weights[dy][dx] is (ci outer, co, ci inner)
            outer, channels, inner = weights[dy, dx].shape
            matrix = weights[dy, dx].transpose(0, 2, 1).reshape(outer * inner, channels)
            total = total + a[dy:dy + h, dx:dx + w].astype(np.int64) @ matrix.astype(np.int64)
    return requantize_reference(total, int(multiplier), 10, 10)


@kernel(sizes=[(32, 16, 40, 24), (35, 8, 13, 5), (40, 12, 6, 3)], reference=conv_u8_reference,
        shapes=lambda channels, depth, w, h: [
            inp("input", "u8", (depth, w + 2, h + 2)),
            inp("weights", "i8", (4, channels, depth // 4, 3, 3)),
            inp("bias", "i32", (channels,), fill=(-20_000, 20_000)),
            scalar("multiplier", "i32", 1_518_500_250), out("u8", (channels, w, h))])
def conv3x3_u8(target):
    """Quantised 3x3 convolution over all channels: dot products of four, 4 pixels a tile."""
    src, weights = image("input", "u8", 3), image("weights", "i8", 5)
    bias, multiplier = image("bias", "i32", 1), param("multiplier", "i32")
    weights.dim(0).set_bounds(0, 4)
    weights.dim(1).set_stride(4)
    n = lanes(target, "i32")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(0, 4), (0, weights.dim(2).extent()), (0, 3), (0, 3)])
    value = hl.i16(src[4 * r.y + r.x, x + r.z, y + r.w])
    total[c, x, y] = bias[c]
    total[c, x, y] += hl.i32(value * hl.i16(weights[r.x, c, r.y, r.z, r.w]))
    output[c, x, y] = requantize(total[c, x, y], multiplier, hl.u32(10), hl.i32(10))

    ci, xi = hl.vars("ci xi")
    output.tile(c, x, ci, xi, 2 * n, 4, hl.TailStrategy.ShiftInwards)
    output.vectorize(ci).unroll(xi).parallel(y)
    total.compute_at(output, c).vectorize(c, n).unroll(c).unroll(x)
    total.update().reorder(r.x, c, x, r.y, r.z, r.w).atomic().vectorize(r.x).vectorize(c, n)
    total.update().unroll(c).unroll(x)
    return output, [src, weights, bias, multiplier]


def conv_f32_reference(a, weights, bias):
    h, w = a.shape[0] - 2, a.shape[1] - 2
    total = bias.astype(np.float64)
    for dy in range(3):
        for dx in range(3):
            total = total + a[dy:dy + h, dx:dx + w].astype(np.float64) @ weights[dy, dx]
    return np.maximum(total, 0).astype(np.float32)


@kernel(sizes=[(32, 16, 32, 24), (37, 5, 13, 5), (41, 3, 6, 3)], reference=conv_f32_reference,
        tol=FLOAT_TOL,
        shapes=lambda channels, depth, w, h: [
            inp("input", "f32", (depth, w + 2, h + 2), fill=(-1.0, 1.0)),
            inp("weights", "f32", (channels, depth, 3, 3), fill=(-0.3, 0.3)),
            inp("bias", "f32", (channels,), fill=(-1.0, 1.0)), out("f32", (channels, w, h))])
def conv3x3_f32(target):
    """f32 3x3 convolution over all channels with ReLU, tile of 2 vectors by 4 pixels."""
    src, weights = image("input", "f32", 3), image("weights", "f32", 4)
    bias = image("bias", "f32", 1)
    n = lanes(target, "f32")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(0, weights.dim(1).extent()), (0, 3), (0, 3)])
    total[c, x, y] = bias[c]
    total[c, x, y] += weights[c, r.x, r.y, r.z] * src[r.x, x + r.y, y + r.z]
    output[c, x, y] = hl.max(total[c, x, y], 0.0)

    ci, xi = hl.vars("ci xi")
    output.tile(c, x, ci, xi, 2 * n, 4, hl.TailStrategy.ShiftInwards)
    output.vectorize(ci, n).unroll(ci).unroll(xi).parallel(y)
    total.compute_at(output, c).vectorize(c, n).unroll(c).unroll(x)
    total.update().reorder(c, x, r.x, r.y, r.z).vectorize(c, n).unroll(c).unroll(x)
    return output, [src, weights, bias]


def pool_windows(a, side, stride, h, w):
    return np.stack([a[dy:dy + stride * h:stride, dx:dx + stride * w:stride][:h, :w]
                     for dy in range(side) for dx in range(side)])


@kernel(sizes=[(64, 96, 64), (37, 21, 7), (70, 5, 3)],
        reference=lambda a: pool_windows(
            a, 3, 2, (a.shape[0] - 1) // 2, (a.shape[1] - 1) // 2).max(axis=0),
        shapes=lambda channels, w, h: [inp("input", "u8", (channels, 2 * w + 1, 2 * h + 1)),
                                       out("u8", (channels, w, h))])
def maxpool3x3_u8(target):
    """3x3 maximum with stride 2, vectors along channels, guarded tail."""
    src = image("input", "u8", 3)
    output = hl.Func("output")
    r = hl.RDom([(0, 3), (0, 3)])
    output[c, x, y] = hl.maximum(src[c, 2 * x + r.x, 2 * y + r.y])

    output.vectorize(c, lanes(target, "u8"), hl.TailStrategy.GuardWithIf).parallel(y)
    return output, [src]


@kernel(sizes=[(640, 480), (203, 31), (67, 7)],
        reference=lambda a: pool_windows(a, 2, 2, a.shape[0] // 2, a.shape[1] // 2).max(axis=0),
        shapes=lambda w, h: [inp("input", "f32", (2 * w, 2 * h), fill=(-4.0, 4.0)),
                             out("f32", (w, h))])
def maxpool2x2_f32(target):
    """2x2 maximum of floats along rows: stride 2 loads and f32 max."""
    src = image("input", "f32", 2)
    output = hl.Func("output")
    at = lambda dx, dy: src[2 * x + dx, 2 * y + dy]
    output[x, y] = hl.max(hl.max(at(0, 0), at(1, 0)), hl.max(at(0, 1), at(1, 1)))

    output.vectorize(x, lanes(target, "f32")).unroll(x, 2, hl.TailStrategy.GuardWithIf)
    output.parallel(y, 8, hl.TailStrategy.GuardWithIf)
    return output, [src]


@kernel(sizes=[(64, 64, 48), (37, 21, 7), (70, 5, 3)],
        reference=lambda a: ((pool_windows(a, 3, 1, a.shape[0] - 2, a.shape[1] - 2)
                              .astype(int).sum(axis=0) + 4) // 9).astype(np.uint8),
        shapes=lambda channels, w, h: [inp("input", "u8", (channels, w + 2, h + 2)),
                                       out("u8", (channels, w, h))])
def avgpool3x3_u8(target):
    """3x3 rounded mean along channels: u16 sums, division by 9."""
    src = image("input", "u8", 3)
    n = lanes(target, "u8")
    total, output = hl.Func("total"), hl.Func("output")
    r = hl.RDom([(0, 3), (0, 3)])
    total[c, x, y] += hl.u16(src[c, x + r.x, y + r.y])
    output[c, x, y] = hl.u8((total[c, x, y] + hl.u16(4)) / hl.u16(9))

    output.vectorize(c, n, hl.TailStrategy.GuardWithIf).parallel(y)
    total.compute_at(output, x).vectorize(c, n, hl.TailStrategy.GuardWithIf)
    total.update().reorder(c, r.x, r.y).unroll(r.x).unroll(r.y)
    total.update().vectorize(c, n, hl.TailStrategy.GuardWithIf)
    return output, [src]


def softmax_reference(a):
    e = np.exp(a.astype(np.float64) - a.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


@kernel(sizes=[(512, 128), (131, 17), (64, 3)], reference=softmax_reference, tol=(1e-6, 2e-4),
        shapes=lambda w, h: [inp("input", "f32", (w, h), fill=(-6.0, 6.0)), out("f32", (w, h))])
def softmax_f32(target):
    """Softmax of each row: maximum, vectorised exponential, sum, division."""
    src = image("input", "f32", 2)
    n = lanes(target, "f32")
    peak, power, total, output = (hl.Func(v) for v in ("peak", "power", "total", "output"))
    r = hl.RDom([(0, src.dim(0).extent())])
    peak[y] = hl.f32(-3.4e38)
    peak[y] = hl.max(peak[y], src[r, y])
    power[x, y] = hl.exp(src[x, y] - peak[y])
    total[y] += power[r, y]
    output[x, y] = power[x, y] / total[y]

    output.vectorize(x, n).parallel(y)
    peak.compute_at(output, y)
    power.compute_at(output, y).vectorize(x, n)
    total.compute_at(output, y)
    peak.update().atomic().vectorize(r, n, hl.TailStrategy.GuardWithIf)
    total.update().unscheduled()
    return output, [src]
