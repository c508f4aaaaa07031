"""Engines of compiled code behind a host library in C, whose functions are those of `host.h`.

All calls of wasm code, and the clock around them, are in C; Python only speaks the protocol.
"""

import ctypes
import subprocess
import sys
from pathlib import Path

from native.cache import Cache
from native.protocol import Engine, PeerError


def run(command):
    """Runs a compiler. Its own words are the error if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        words = (done.stderr + done.stdout).strip() or f"exit status {done.returncode}"
        raise PeerError(f"{Path(command[0]).name}: {words[:2000]}")


def must_exist(path):
    """`path`, or a message for people and the end of this process."""
    if not path.exists():
        sys.exit(f"{path} is missing")
    return path


class LibraryEngine(Engine):
    """An engine that has a compiler and a host library. A subclass says how to compile."""

    suffix = ""
    """How the names of compiled modules end."""

    def __init__(self, host, cache_folder, cache_settings):
        """`host` is the library's path; `cache_settings` is what code depends on, as text."""
        self.cache = Cache(cache_folder, cache_settings)
        # Compiled modules find the engine's runtime in this library.
        self.host = ctypes.CDLL(host, mode=ctypes.RTLD_GLOBAL)
        for name in ["host_start", "host_load", "host_find", "host_time"]:
            getattr(self.host, name).restype = ctypes.c_char_p
        self.host.host_memory.restype = ctypes.c_void_p
        self.check(self.host.host_start())

    def compile_module(self, module, work):
        """Compiles a module's bytes in the folder `work`. Returns the path of the code."""
        raise NotImplementedError

    def code_bytes(self, code):
        """How much machine code is in a compiled module's bytes; None if that is not known."""
        raise NotImplementedError

    @staticmethod
    def check(failure):
        """Raises what a function of the host library complains of."""
        if failure is not None:
            raise PeerError(failure.decode(errors="replace"))

    def load(self, path, times):
        """Compiles once, however many times are asked for: it takes seconds, and the time is kept."""
        module = Path(path).read_bytes()
        code, ns, compiled = self.cache.get(module, self.suffix, self.compile_module)
        self.check(self.host.host_load(str(code).encode()))
        return {"compile_ns": [ns], "code_bytes": self.code_bytes(code.read_bytes()),
                "compiled": compiled}

    def time(self, function, arguments, calls):
        self.check(self.host.host_find(function.encode(), len(arguments)))
        values = (ctypes.c_uint32 * len(arguments))(*arguments)
        ns = (ctypes.c_uint64 * calls)()
        done, result = ctypes.c_uint32(0), ctypes.c_uint32(0)
        self.check(self.host.host_time(values, ctypes.c_uint32(calls), ns, ctypes.byref(done),
                                       ctypes.byref(result)))
        return ns[: done.value], result.value

    def memory(self):
        size = ctypes.c_uint64(0)
        address = self.host.host_memory(ctypes.byref(size))
        if address is None:
            raise PeerError("no module is loaded, or it exports no `memory`")
        return address, size.value
