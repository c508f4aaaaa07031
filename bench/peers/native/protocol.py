"""The peer's side of `egraft-peer/1`, for an engine that Python can drive.

`serve` reads requests and answers them; what an engine must do is in `Engine`. Whatever else writes to
standard output while `serve` runs goes to standard error, so that it cannot fall between two messages.
"""

import ctypes
import json
import os
import sys

LINE_LIMIT = 64 * 1024
PIECE = 1 << 20


class PeerError(Exception):
    """A request that cannot be carried out. Its text is the answer; the peer stays ready."""


class Engine:
    """One engine with at most one loaded module. All methods may raise `PeerError`."""

    engine = ""
    """Name and versions, for tables."""

    settings = ""
    """What its code depends on: flags, processor."""

    def load(self, path, times):
        """Compiles the file `times` times, or once, and instantiates it instead of the module before.

        Returns the answer's `compile_ns` (a list), `code_bytes` (or None) and `compiled` as a dict.
        """
        raise NotImplementedError

    def time(self, function, arguments, calls):
        """Calls an export up to `calls` times, until it returns something other than 0.

        `arguments` are unsigned 32-bit integers. Returns each call's nanoseconds and the last result.
        """
        raise NotImplementedError

    def memory(self):
        """Where linear memory is now: its address in this process and its size in bytes."""
        raise NotImplementedError


def integer(request, key, limit):
    """The request's value of `key`, which must be an integer from 0 to below `limit`."""
    value = request.get(key)
    if type(value) is not int or not 0 <= value < limit:
        raise PeerError(f"`{key}` must be an integer from 0 to {limit - 1}, not {value!r}")
    return value


def text(request, key):
    """The request's value of `key`, which must be a string."""
    value = request.get(key)
    if not isinstance(value, str):
        raise PeerError(f"`{key}` must be a string, not {value!r}")
    return value


def window(engine, request):
    """The bytes of linear memory that a `read` or `write` names, as a view of them."""
    address = integer(request, "address", 1 << 64)
    count = integer(request, "bytes", 1 << 64)
    start, size = engine.memory()
    if address + count > size:
        raise PeerError(f"{count} bytes at {address} are outside memory, which has {size}")
    return memoryview((ctypes.c_ubyte * count).from_address(start + address)).cast("B")


def timed(engine, request, calls):
    """What `call` and `time` have in common."""
    arguments = request.get("arguments")
    if not isinstance(arguments, list):
        raise PeerError(f"`arguments` must be a list, not {arguments!r}")
    for value in arguments:
        if type(value) is not int or not 0 <= value < 1 << 32:
            raise PeerError(f"an argument must be an integer from 0 to 4294967295, not {value!r}")
    return engine.time(text(request, "function"), arguments, calls)


def write(engine, request, source):
    """Fills a piece of memory. The bytes are taken from `source` even if there is no place for them."""
    left = integer(request, "bytes", 1 << 64)
    failure, view = None, None
    try:
        view = window(engine, request)
    except PeerError as error:
        failure = error
    done = 0
    while done < left:
        piece = source.read(min(PIECE, left - done))
        if not piece:
            raise PeerError("the input ends within a write's bytes")
        if view is not None:
            view[done : done + len(piece)] = piece
        done += len(piece)
    if failure:
        raise failure
    return {}


def carry_out(engine, request, source):
    """Carries out one request. Returns its answer and the bytes that follow it."""
    match request.get("do"):
        case "load":
            times = integer(request, "times", 1 << 20)
            loaded = engine.load(text(request, "module"), max(1, times))
            return {**loaded, "pointer_bytes": 4}, b""
        case "call":
            _, result = timed(engine, request, 1)
            return {"result": result}, b""
        case "time":
            ns, result = timed(engine, request, integer(request, "calls", 1 << 20))
            return {"ns": ns, "result": result}, b""
        case "write":
            return write(engine, request, source), b""
        case "read":
            view = window(engine, request)
            return {"bytes": len(view)}, view
        case other:
            raise PeerError(f"unknown request {other!r}")


def encode(message):
    """A message as the line that it is sent as."""
    line = json.dumps(message).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        return encode({"error": f"the answer has {len(line)} bytes; the limit is {LINE_LIMIT}"})
    return line


def serve(engine):
    """Says hello, then answers requests until the input ends. Returns the exit status."""
    source = sys.stdin.buffer
    os.set_blocking(0, True)  # whatever the asker left
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)

        def send(message, payload=b""):
            sink.write(encode(message))
            sink.write(payload)
            sink.flush()

        send({"protocol": "egraft-peer/1", "engine": engine.engine, "settings": engine.settings})
        while line := source.readline(LINE_LIMIT + 1):
            if not line.endswith(b"\n"):
                print(f"a request was cut off, or has more than {LINE_LIMIT} bytes", file=sys.stderr)
                return 1
            try:
                request = json.loads(line)
                if not isinstance(request, dict):
                    raise PeerError("a request must be an object")
                send(*carry_out(engine, request, source))
            except (PeerError, OSError, ValueError) as error:
                send({"error": str(error)})
    return 0
