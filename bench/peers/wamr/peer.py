#!/usr/bin/env python3
"""WAMR as a peer of `egraft bench`: its compiler `wamrc`, and its runtime in `host.c`.

Compiled modules are kept in `build/wamr/cache`.
"""

import json
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from native.library import LibraryEngine, must_exist, run  # noqa: E402
from native.protocol import serve  # noqa: E402

BUILT = HERE.parent / "build" / "wamr"
# wamrc takes this processor and all its features by itself; guard pages check memory.
FLAGS = ["--opt-level=3", "--size-level=0"]
TEXT_SECTION = 2


def text_bytes(aot):
    """How much code is in WAMR's AOT format: a magic number, a version, then sections."""
    at = 8
    while at + 8 <= len(aot):
        kind, size = struct.unpack_from("<2I", aot, at)
        at += 8
        if kind == TEXT_SECTION:
            literals, = struct.unpack_from("<I", aot, at)
            return size - 4 - literals
        at = (at + size + 3) // 4 * 4
    return None


class Wamr(LibraryEngine):
    suffix = ".aot"

    def __init__(self):
        host = must_exist(BUILT / "host.so")
        about = json.loads((BUILT / "about.json").read_text())
        self.engine = f"WAMR {about['wamr']}, LLVM {about['llvm']}"
        self.settings = f"wamrc {' '.join(FLAGS)}, this processor, guard pages"
        super().__init__(host, BUILT / "cache", f"{self.engine}\n{self.settings}")

    def compile_module(self, module, work):
        wasm, code = work / "module.wasm", work / "module.aot"
        wasm.write_bytes(module)
        run([BUILT / "wamrc", *FLAGS, "-o", code, wasm])
        return code

    def code_bytes(self, code):
        return text_bytes(code)


if __name__ == "__main__":
    sys.exit(serve(Wamr()))
