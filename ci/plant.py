"""Makes a kernel's module slower without changing what it computes.

`plant(module, function, turns)` gives the module's bytes with `function`, an export from i32 to i32,
replaced by one that calls it and then turns an idle loop `turns` times. Code, memory and exports are
otherwise as they were. The loop is a chain of 64-bit multiplications, about four cycles a turn; its
result goes into the kernel's result in a way that never changes it, so that no compiler drops it.
"""

FUNCTION, EXPORT, CODE = 3, 7, 10
# Knuth's linear congruential generator: from 0 it comes back to 0 after 2^64 turns only.
FACTOR, SUMMAND = 6364136223846793005, 1442695040888963407


def leb(value):
    """An unsigned number as wasm writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def signed_leb(value):
    """A signed number as wasm writes it."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value & 0x7F]))


def read_leb(data, at):
    """An unsigned number, and where the next thing starts."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def sections(module):
    """The module's sections in order, as [kind, bytes]."""
    if module[:8] != b"\0asm\1\0\0\0":
        raise ValueError("not a wasm module")
    found, at = [], 8
    while at < len(module):
        size, start = read_leb(module, at + 1)
        found.append([module[at], module[start : start + size]])
        at = start + size
    return found


def one_more(section, entry):
    """A section that is a vector, with an entry at its end."""
    count, start = read_leb(section, 0)
    return leb(count + 1) + section[start:] + entry


def redirect(exports, name, to):
    """The export section with `name` naming function `to`; and the function that it named."""
    count, at = read_leb(exports, 0)
    for _ in range(count):
        size, start = read_leb(exports, at)
        kind = start + size
        index, end = read_leb(exports, kind + 1)
        if exports[start:kind] == name.encode() and exports[kind] == 0:
            return exports[: kind + 1] + leb(to) + exports[end:], index
        at = end
    raise ValueError(f"the module exports no function {name}")


def slow_body(inner, turns):
    """The body of a function from i32 to i32 that calls `inner` and idles."""
    code = (
        b"\x02\x02\x7f\x01\x7e"  # locals 1 and 2: i32; local 3: i64
        + b"\x20\x00\x10" + leb(inner) + b"\x21\x01"  # local 1 = inner(argument)
        + b"\x41" + signed_leb(turns) + b"\x21\x02"  # local 2 = turns
        + b"\x03\x40"  # loop
        + b"\x20\x03\x42" + signed_leb(FACTOR) + b"\x7e"
        + b"\x42" + signed_leb(SUMMAND) + b"\x7c\x21\x03"  # local 3 = local 3 * FACTOR + SUMMAND
        + b"\x20\x02\x41\x7f\x6a\x22\x02\x0d\x00\x0b"  # local 2 -= 1; again unless 0; end
        + b"\x20\x01\x20\x03\x50\x72\x0b"  # local 1 | (local 3 == 0)
    )  # fmt: skip
    return leb(len(code)) + code


def plant(module, function, turns):
    """The slower module. ValueError if the module imports functions or lacks the export."""
    parts = sections(module)
    of = {kind: part for kind, part in parts if kind != 0}
    if 2 in of:
        raise ValueError("the module has imports")
    own, _ = read_leb(of[FUNCTION], 0)
    exports, inner = redirect(of[EXPORT], function, own)
    types, at = [], read_leb(of[FUNCTION], 0)[1]
    for _ in range(own):
        index, at = read_leb(of[FUNCTION], at)
        types.append(index)
    new = {
        FUNCTION: one_more(of[FUNCTION], leb(types[inner])),
        EXPORT: exports,
        CODE: one_more(of[CODE], slow_body(inner, turns)),
    }
    out = bytearray(module[:8])
    for kind, part in parts:
        part = new.get(kind, part)
        out += bytes([kind]) + leb(len(part)) + part
    return bytes(out)
