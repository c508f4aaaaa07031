"""Image pyramids: several stages of different sizes, each computed whole before the next.

Sizes are (width, height).
"""

import halide as hl
import numpy as np

from ._kernel import FLOAT_TOL, image, inp, kernel, lanes, out

x, y = hl.vars("x y")
LEVELS = 3
# How far beyond the image the reference repeats edges; three levels read about 30 values.
REACH = 64


def down(f, name):
    """Half size, weights 1 3 3 1 in both directions: the two Funcs, x first."""
    halved, result = hl.Func(name + "_x"), hl.Func(name)
    halved[x, y] = (f[2 * x - 1, y] + 3.0 * (f[2 * x, y] + f[2 * x + 1, y])
                    + f[2 * x + 2, y]) * 0.125
    result[x, y] = (halved[x, 2 * y - 1] + 3.0 * (halved[x, 2 * y] + halved[x, 2 * y + 1])
                    + halved[x, 2 * y + 2]) * 0.125
    return halved, result


def up(f, name):
    """Double size, bilinear 3:1 in both directions: the two Funcs, x first."""
    far = lambda v: v // 2 - 1 + 2 * (v % 2)
    doubled, result = hl.Func(name + "_x"), hl.Func(name)
    doubled[x, y] = 0.25 * f[far(x), y] + 0.75 * f[x // 2, y]
    result[x, y] = 0.25 * doubled[x, far(y)] + 0.75 * doubled[x, y // 2]
    return doubled, result


class Plane:
    """A numpy image over signed coordinates, as Halide's unbounded domain is.

    Invariant: the value at coordinate (x, y) is `values[y + origin, x + origin]`.
    """

    def __init__(self, values, origin):
        self.values, self.origin = values, origin

    @staticmethod
    def repeat_edge(a):
        after = [REACH + -extent % REACH for extent in a.shape]
        padded = np.pad(a.astype(np.float64), [(REACH, n) for n in after], mode="edge")
        return Plane(padded, REACH)

    def down(self):
        start = 2 + self.origin % 2  # output 0 must stand on an even coordinate
        v = self.values
        for axis in (1, 0):
            v = np.moveaxis(v, axis, 0)
            count = (v.shape[0] - start - 1) // 2
            at = lambda d: v[start + d:start + d + 2 * count:2]
            v = np.moveaxis((at(-1) + 3 * (at(0) + at(1)) + at(2)[:count]) / 8, 0, axis)
        return Plane(v, (self.origin - start) // 2)

    def up(self):
        v = self.values
        for axis in (1, 0):
            v = np.moveaxis(v, axis, 0)
            pairs = np.stack([(v[:-2] + 3 * v[1:-1]) / 4, (v[2:] + 3 * v[1:-1]) / 4], axis=1)
            v = np.moveaxis(pairs.reshape(-1, *pairs.shape[2:]), 0, axis)
        return Plane(v, 2 * (self.origin - 1))

    def combine(self, other, operation):
        origin = min(self.origin, other.origin)
        a, b = (p.values[p.origin - origin:, p.origin - origin:] for p in (self, other))
        h, w = (min(sizes) for sizes in zip(a.shape, b.shape))
        return Plane(operation(a[:h, :w], b[:h, :w]), origin)

    def __add__(self, other):
        return self.combine(other, np.add)

    def __sub__(self, other):
        return self.combine(other, np.subtract)

    def __mul__(self, other):
        return self.combine(other, np.multiply)

    def crop(self, shape):
        h, w = shape
        return self.values[self.origin:, self.origin:][:h, :w]


def pyramid_blend_reference(a, b, mask):
    levels = [[Plane.repeat_edge(v)] for v in (a, b, mask)]
    for stack in levels:
        for _ in range(LEVELS):
            stack.append(stack[-1].down())
    over, under, weight = levels
    result = under[LEVELS] + (over[LEVELS] - under[LEVELS]) * weight[LEVELS]
    for i in reversed(range(LEVELS)):
        detail = [stack[i] - stack[i + 1].up() for stack in (over, under)]
        result = result.up() + detail[1] + (detail[0] - detail[1]) * weight[i]
    return result.crop(a.shape).astype(np.float32)


@kernel(sizes=[(512, 320), (203, 61), (67, 35)], reference=pyramid_blend_reference, tol=FLOAT_TOL,
        shapes=lambda w, h: [inp("a", "f32", (w, h)), inp("b", "f32", (w, h)),
                             inp("mask", "f32", (w, h)), out("f32", (w, h))])
def pyramid_blend_f32(target):
    """Laplacian blend of two images by a mask, four levels, about twenty stages."""
    sources = [image(name, "f32", 2) for name in ("a", "b", "mask")]
    n = lanes(target, "f32")
    pyramids, halves = [], []
    for source in sources:
        stack = [hl.Func(source.name() + "_0")]
        stack[0][x, y] = hl.BoundaryConditions.repeat_edge(source)[x, y]
        for level in range(1, LEVELS + 1):
            halved, f = down(stack[-1], f"{source.name()}_{level}")
            halves.append((halved, f))
            stack.append(f)
        pyramids.append(stack)
    over, under, weight = pyramids

    output = hl.Func("output")
    blended = hl.Func("coarsest")
    blended[x, y] = (under[LEVELS][x, y]
                     + (over[LEVELS][x, y] - under[LEVELS][x, y]) * weight[LEVELS][x, y])
    whole = [blended]
    columns = []  # (Func, the stage that reads it row by row)
    for level in reversed(range(LEVELS)):
        f = hl.Func(f"blended_{level}") if level else output
        details = []
        for stack, tag in ((over, "a"), (under, "b")):
            doubled, expanded = up(stack[level + 1], f"detail_{tag}_{level}")
            columns.append((doubled, f))
            details.append(stack[level][x, y] - expanded[x, y])
        doubled, expanded = up(blended, f"expanded_{level}")
        columns.append((doubled, f))
        f[x, y] = (expanded[x, y] + details[1]
                   + (details[0] - details[1]) * weight[level][x, y])
        whole.append(f)
        blended = f

    guard = hl.TailStrategy.GuardWithIf
    for f in whole[:-1] + [f for stack in pyramids for f in stack]:
        f.compute_root().vectorize(x, n).parallel(y, 8, guard)
    output.vectorize(x, n).parallel(y, 8, guard)
    for halved, f in halves:
        halved.compute_at(f, y).vectorize(x, n)
    for doubled, f in columns:
        doubled.compute_at(f, y).vectorize(x, n)
    return output, sources
