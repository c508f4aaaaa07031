#!/usr/bin/env python3
"""wasm2c and Clang as a peer of `egraft bench`.

A module becomes C, and with `host.c`'s view of it (`glue.h`) a shared library, which is kept in
`build/wasm2c/cache`. Functions whose arguments or results are not i32 are left out of that view.
"""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from native.library import LibraryEngine, must_exist, run  # noqa: E402
from native.protocol import PeerError, serve  # noqa: E402

BUILT = HERE.parent / "build" / "wasm2c"
# Guard pages and a signal handler check memory: wasm2c's own choice on 64-bit Linux.
FLAGS = ["-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno"]
EXPORT = re.compile(r"^/\* export: '(.*)' \*/\n(\w+\*?) (\w+)\(w2c_module\*(.*)\);$", re.MULTILINE)
IMPORT = re.compile(r"^/\* import: '(.*?)' '(.*?)' \*/$", re.MULTILINE)


def quoted(name):
    """A name as a C string, or None for one that wasm2c may have changed in its comments."""
    return f'"{name}"' if re.fullmatch(r"[\w.$:<>@ -]+", name, re.ASCII) else None


def glue(header):
    """The C code that tells the host about a module, whose header wasm2c wrote."""
    wrappers, entries, memory = [], [], "NULL"
    for name, result, symbol, parameters in EXPORT.findall(header):
        types = [part.strip() for part in parameters.split(",")[1:]]
        if name == "memory" and result == "wasm_rt_memory_t*":
            wrappers.append(f"static wasm_rt_memory_t *memory(void *i) {{ return {symbol}(i); }}")
            memory = "memory"
        elif result in ("u32", "void") and set(types) <= {"u32"} and quoted(name):
            values = "".join(f", a[{i}]" for i in range(len(types)))
            call = f"{symbol}(i{values})"
            body = f"return {call};" if result == "u32" else f"{call}; return 0;"
            wrapper = f"call{len(entries)}"
            wrappers.append(f"static uint32_t {wrapper}(void *i, const uint32_t *a) "
                            f"{{ (void)a; {body} }}")
            entries.append(f"  {{{quoted(name)}, {len(types)}, {wrapper}}},")
    return "\n".join([
        '#include "glue.h"',
        '#include "module.h"',
        "static void instantiate(void *i) { wasm2c_module_instantiate(i); }",
        "static void release(void *i) { wasm2c_module_free(i); }",
        *wrappers,
        "static const struct glue_function functions[] = {",
        *entries,
        "  {0},",
        "};",
        '__attribute__((visibility("default"))) const struct glue_module glue_module = {',
        f"  sizeof(w2c_module), instantiate, release, {memory}, functions}};",
        ""])


def text_bytes(elf):
    """The size of a 64-bit ELF file's section `.text`."""
    table, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<3H", elf, 0x3A)
    sections = [struct.unpack_from("<I20x2Q", elf, table + size * i) for i in range(count)]
    strings = sections[names][1]
    return sum(length for name, _, length in sections if elf.startswith(b".text\0", strings + name))


class Wasm2c(LibraryEngine):
    suffix = ".so"

    def __init__(self):
        host = must_exist(BUILT / "host.so")
        about = json.loads((BUILT / "about.json").read_text())
        self.clang = about["clang"]
        version = subprocess.run([self.clang, "--version"], capture_output=True, text=True, check=True)
        version = version.stdout.split("\n")[0]
        self.engine = f"wasm2c {about['wabt']}, {version}"
        self.settings = f"{' '.join(FLAGS)}, SIMDe {about['simde']}, guard pages"
        ours = Path(__file__).read_text() + (HERE / "glue.h").read_text()
        super().__init__(host, BUILT / "cache", f"{self.engine}\n{self.settings}\n{ours}")

    def compile_module(self, module, work):
        wasm, source, code = work / "module.wasm", work / "module.c", work / "module.so"
        wasm.write_bytes(module)
        run([BUILT / "wasm2c", wasm, "-n", "module", "-o", source])
        header = (work / "module.h").read_text()
        if found := IMPORT.search(header):
            raise PeerError(f"the module imports `{found[1]}.{found[2]}`; it must have no imports")
        (work / "glue.c").write_text(glue(header))
        run([self.clang, *FLAGS, "-w", "-fPIC", "-shared", "-fvisibility=hidden", "-nostartfiles",
             "-I", BUILT / "include", "-I", HERE, source, work / "glue.c", "-o", code, "-lm"])
        return code

    def code_bytes(self, code):
        return text_bytes(code)


if __name__ == "__main__":
    sys.exit(serve(Wasm2c()))
