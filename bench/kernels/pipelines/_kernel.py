"""What a kernel is: a pipeline, its argument shapes, and the figures of its descriptor.

Knows nothing about compiling or running. Invariant: the arguments that `shapes` returns stand in
the order in which Halide numbers them, inputs and scalars first, the output last.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Callable

import halide as hl

TYPES = {
    "i8": hl.Int(8), "u8": hl.UInt(8), "i16": hl.Int(16), "u16": hl.UInt(16),
    "i32": hl.Int(32), "u32": hl.UInt(32), "i64": hl.Int(64), "u64": hl.UInt(64),
    "f32": hl.Float(32), "f64": hl.Float(64),
}

# Natives contract a*b+c to one rounding and wasm may not: absolute and relative tolerance.
FLOAT_TOL = (1e-5, 1e-4)

_REGISTRY: dict[str, "Kernel"] = {}


@dataclass(frozen=True)
class Kernel:
    """One pipeline and everything its descriptor says.

    `define(target)` returns the output Func and the list of Halide arguments before it.
    `shapes(*size)` returns the descriptor's argument list for one entry of `sizes`.
    `reference(*inputs)` computes the output with numpy, independently of Halide: arrays come in
    C order, so that Halide's first dimension is numpy's last. None where only natives judge.
    """

    name: str
    group: str
    summary: str
    define: Callable
    shapes: Callable
    sizes: list
    reference: Callable | None
    tol: tuple | None


def kernel(*, sizes, shapes, reference=None, tol=None):
    """Registers the decorated `define` function under its own name.

    The first entry of `sizes` is the default, the others go to the descriptor's `sizes`.
    """

    def register(define):
        name = define.__name__
        if name in _REGISTRY:
            raise ValueError(f"kernel `{name}` is defined twice; rename one")
        if len(sizes) < 3:
            raise ValueError(f"kernel `{name}`: give a default size and at least two more")
        group = define.__module__.rsplit(".", 1)[-1]
        summary = " ".join((define.__doc__ or "").split())
        _REGISTRY[name] = Kernel(name, group, summary, define, shapes, sizes, reference, tol)
        return define

    return register


def all_kernels() -> dict[str, Kernel]:
    """Every kernel by name, in alphabetical order."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def _buffer(kind, name, type_name, extents, mins, strides, pad):
    extents = list(extents)
    if strides is None:
        strides, step = [], 1
        for i, extent in enumerate(extents):
            strides.append(step)
            step *= extent + (pad if i == 0 else 0)
    return {
        "kind": kind, "name": name, "type": type_name, "dims": len(extents),
        "mins": list(mins) if mins else [0] * len(extents),
        "extents": extents, "strides": list(strides),
    }


def inp(name, type_name, extents, *, mins=None, fill=None, data=None, strides=None, pad=0):
    """An input buffer. Dense unless `strides` (in elements) or `pad` (elements a row) says else."""
    arg = _buffer("input", name, type_name, extents, mins, strides, pad)
    if data is not None:
        arg["data"] = list(data)
    else:
        if fill is None:
            t = TYPES[type_name]
            if t.is_float():
                fill = (0.0, 1.0)
            elif t.is_int():
                fill = (-(1 << (t.bits() - 1)), (1 << (t.bits() - 1)) - 1)
            else:
                fill = (0, (1 << t.bits()) - 1)
        arg["fill"] = list(fill)
    return arg


def out(type_name, extents, *, mins=None, strides=None, pad=0):
    """The output buffer."""
    return _buffer("output", "output", type_name, extents, mins, strides, pad)


def scalar(name, type_name, value):
    """A scalar argument."""
    return {"kind": "scalar", "name": name, "type": type_name, "value": value}


def image(name, type_name, dims):
    """The Halide side of `inp`."""
    return hl.ImageParam(TYPES[type_name], dims, name)


def param(name, type_name):
    """The Halide side of `scalar`."""
    return hl.Param(TYPES[type_name], name)


def lanes(target, type_name):
    """How many values of this type one vector of the target holds."""
    return target.natural_vector_size(TYPES[type_name])


def interleaved(image_param, channels):
    """Tells Halide that channels (dimension 2) are innermost in memory."""
    image_param.dim(0).set_stride(channels)
    image_param.dim(2).set_stride(1)
    image_param.dim(2).set_bounds(0, channels)
