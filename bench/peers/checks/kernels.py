"""Halide kernels through a peer: arguments in linear memory, one call, outputs compared.

Contents are pseudo-random but not those of `egraft bench`; they are the same for every peer.
"""

import array
import json
import math
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from checks.client import Broken, Refused

KERNELS = Path(__file__).resolve().parent.parent.parent / "kernels"
ALIGNMENT = 128
BUFFER_BYTES = 40
# Prime, so that neighbouring rows differ.
PERIOD = 65521
# Array type code, Halide's type code.
TYPES = {"i8": ("b", 0), "u8": ("B", 1), "i16": ("h", 0), "u16": ("H", 1), "i32": ("i", 0),
         "u32": ("I", 1), "i64": ("q", 0), "u64": ("Q", 1), "f32": ("f", 2), "f64": ("d", 2)}
POISON = b"\xcd"


class Failed(Exception):
    """A kernel did not run; the text says where it stopped."""


@dataclass
class Output:
    """What a kernel wrote to one buffer, padding included."""
    name: str
    type: str
    data: bytes


def elements(argument):
    """How many elements a buffer's storage has."""
    spans = zip(argument["extents"], argument["strides"])
    return 1 + sum((extent - 1) * stride for extent, stride in spans)


def contents(argument, index):
    """What a buffer holds before a call."""
    code, _ = TYPES[argument["type"]]
    count = elements(argument)
    if argument["kind"] == "output":
        return POISON * (count * array.array(code).itemsize)
    if "data" in argument:
        return array.array(code, argument["data"]).tobytes()
    low, high = argument["fill"]
    source = random.Random(index)
    draw = source.uniform if code in "fd" else source.randint
    period = array.array(code, (draw(low, high) for _ in range(min(PERIOD, count))))
    return (period * (count // len(period) + 1))[:count].tobytes()


def header(argument, host, dims):
    """`halide_buffer_t` for wasm32, followed by its dimensions."""
    code, kind = TYPES[argument["type"]]
    bits = array.array(code).itemsize * 8
    data = struct.pack("<12xI8xBBHiI4x", host, kind, bits, 1, len(argument["extents"]), dims)
    for shape in zip(argument["mins"], argument["extents"], argument["strides"]):
        data += struct.pack("<4i", *shape, 0)
    return data


def allocate(peer, count):
    """Room for `count` bytes of linear memory."""
    pointer = peer.call("malloc", count + ALIGNMENT)
    if pointer == 0:
        raise Failed(f"malloc({count + ALIGNMENT}) returned 0")
    return -(-pointer // ALIGNMENT) * ALIGNMENT


def place(peer, arguments):
    """Lays out the arguments. Returns the address of their list, and each output with its place."""
    pointers, outputs = [], []
    for index, argument in enumerate(arguments):
        code, _ = TYPES[argument["type"]]
        if argument["kind"] == "scalar":
            slot = allocate(peer, 8)
            peer.write(slot, array.array(code, [argument["value"]]).tobytes())
        else:
            data = contents(argument, index)
            host = allocate(peer, len(data))
            slot = allocate(peer, BUFFER_BYTES + 16 * len(argument["extents"]))
            peer.write(slot, header(argument, host, slot + BUFFER_BYTES))
            peer.write(host, data)
            if argument["kind"] == "output":
                outputs.append((argument, host, len(data)))
        pointers.append(slot)
    listed = allocate(peer, 4 * len(pointers))
    peer.write(listed, struct.pack(f"<{len(pointers)}I", *pointers))
    return listed, outputs


@dataclass
class Ran:
    """A kernel on a peer."""
    compile_ns: int
    compiled: str
    code_bytes: int | None
    best_ns: int
    outputs: list  # for each size, a list of Output


def run(peer, name, calls):
    """Loads a kernel and runs it at all its sizes, `calls` times at the first, else once."""
    try:
        kernel = json.loads((KERNELS / f"{name}.json").read_text())
    except OSError as error:
        raise SystemExit(f"{KERNELS / name}.json: {error.strerror}") from error
    function = f"{kernel['func']}_argv"
    step = "load"
    try:
        loaded = peer.load(KERNELS / kernel["wasm"])
        ran = Ran(loaded["compile_ns"][0], loaded["compiled"], loaded["code_bytes"], 0, [])
        step = "__wasm_call_ctors"
        peer.call("__wasm_call_ctors")
        for size, arguments in enumerate([kernel["args"], *(s["args"] for s in kernel["sizes"])]):
            step = f"size {size}"
            listed, outputs = place(peer, arguments)
            ns, result = peer.time(1 if size else calls, function, listed)
            if result != 0:
                message = peer.read(peer.call("last_message"), 200).split(b"\0")[0].decode()
                raise Failed(f"size {size}: returned {result}: {message.strip()}")
            if size == 0:
                ran.best_ns = min(ns)
            ran.outputs.append([Output(argument["name"], argument["type"], peer.read(host, count))
                                for argument, host, count in outputs])
    except Refused as error:
        raise Failed(f"{step}: {error}") from error
    except (KeyError, TypeError, IndexError) as error:
        raise Broken(f"{step}: an answer lacks something: {error!r}") from error
    return ran


def difference(a, b):
    """The first element in which two outputs differ, as text; None if none does. NaN equals NaN."""
    if a.data == b.data:
        return None
    code, _ = TYPES[a.type]
    left, right = array.array(code, a.data), array.array(code, b.data)
    wrong = [i for i, (x, y) in enumerate(zip(left, right))
             if struct.pack(code, x) != struct.pack(code, y)
             and not (code in "fd" and math.isnan(x) and math.isnan(y))]
    if not wrong:
        return None
    at = wrong[0]
    return f"`{a.name}` at element {at}: {left[at]} and {right[at]}; {len(wrong)} of {len(left)} differ"
