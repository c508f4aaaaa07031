"""Compiled modules, kept between processes for engines whose compilers are slow.

An entry is named by a hash of the module's bytes and of everything that its code depends on, so that it
never goes stale; whoever wants it gone deletes the folder. Invariant: a file in the folder under its own
name is complete, also after a crash and with several processes at once.
"""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

# What tells processors apart in /proc/cpuinfo, on x86-64 and AArch64.
PROCESSOR_KEYS = {"vendor_id", "cpu family", "model", "model name", "flags", "CPU implementer",
                  "CPU part", "Features"}


def processor():
    """Text that differs for processors for which compilers may make different code."""
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    lines = [line for line in first.split("\n") if line.split("\t")[0].strip() in PROCESSOR_KEYS]
    return "\n".join(lines)


class Cache:
    """A folder of compiled modules."""

    def __init__(self, folder, settings):
        """`settings` is all that code depends on apart from the module and this processor."""
        self.folder = Path(folder)
        self.settings = f"{settings}\n{processor()}\n"

    def get(self, module, suffix, compile_module):
        """The compiled module's path, the nanoseconds that compiling took, and when it was.

        `module` is the file's bytes. If there is no entry, `compile_module(module, work)` makes one:
        it may write into the folder `work` and returns the path of its result there.
        """
        key = hashlib.sha256(self.settings.encode() + module).hexdigest()
        code, note = self.folder / f"{key}{suffix}", self.folder / f"{key}.json"
        try:
            if code.exists():
                return code, json.loads(note.read_text())["compile_ns"], "before"
        except (OSError, ValueError, KeyError):
            pass  # no time to report: make it again
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            work = Path(name)
            start = time.monotonic_ns()
            made = compile_module(module, work)
            compile_ns = time.monotonic_ns() - start
            new_note = work / "note.json"
            new_note.write_text(json.dumps({"compile_ns": compile_ns}) + "\n")
            os.replace(new_note, note)
            os.replace(made, code)
        return code, compile_ns, "here"
