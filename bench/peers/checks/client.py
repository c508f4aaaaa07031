"""The asking side of `egraft-peer/1`, as `bench/peers/check` uses it."""

import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

PROTOCOL = "egraft-peer/1"
LINE_LIMIT = 64 * 1024
HELLO_SECONDS = 10
END_SECONDS = 10
ANSWER_SECONDS = 600


class Broken(Exception):
    """The peer does not keep the protocol, or is gone. Nothing more can be asked of it."""


class Refused(Exception):
    """The peer answered with an error, which is its text."""


class NotThere(Exception):
    """The peer does not start. The text says why, and how to get it."""


class Descriptor:
    """What `NAME.json` says of a peer."""

    def __init__(self, path):
        self.folder = Path(path).resolve().parent
        self.name = Path(path).stem
        try:
            values = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from error
        for key, kind in [("about", str), ("command", list), ("setup", str)]:
            if not isinstance(values, dict) or not isinstance(values.get(key), kind):
                raise SystemExit(f"{path}: `{key}` is missing or no {kind.__name__}")
        self.command, self.setup = values["command"], values["setup"]
        if not self.command or not all(isinstance(part, str) for part in self.command):
            raise SystemExit(f"{path}: `command` must be a list of strings that is not empty")

    def __str__(self):
        return self.name


class Peer:
    """A running peer. Use it in a `with`, which ends it."""

    def __init__(self, descriptor):
        self.buffer = bytearray()
        self.words = tempfile.TemporaryFile()
        program, *rest = descriptor.command
        if "/" in program:
            program = str(descriptor.folder / program)
        try:
            self.process = subprocess.Popen(
                [program, *rest], cwd=descriptor.folder, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=self.words)
        except OSError as error:
            raise NotThere(f"{error.strerror}: {program}; get it with: {descriptor.setup}") from error
        try:
            self.hello = self.message(HELLO_SECONDS)
        except Broken as error:
            self.process.kill()
            self.process.wait()
            raise NotThere(f"{error}; get it with: {descriptor.setup}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:
            pass
        self.words.close()

    def last_words(self):
        """The end of what the peer wrote to standard error, once it is gone."""
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        # Not by seeking: the peer writes at the place where this file is read.
        words = os.pread(self.words.fileno(), 1 << 20, 0)
        return words[-400:].decode(errors="replace").strip()

    def more(self, deadline):
        """Waits for output and adds it to the buffer."""
        output = self.process.stdout.fileno()
        ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise Broken("no answer in time")
        got = os.read(output, 1 << 20)
        if not got:
            raise Broken(f"the peer ended: {self.last_words() or 'without a word'}")
        self.buffer += got

    def message(self, seconds=ANSWER_SECONDS):
        """The next message, which must be a JSON object on a line of its own."""
        deadline = time.monotonic() + seconds
        while (feed := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > LINE_LIMIT:
                raise Broken(f"a message has more than {LINE_LIMIT} bytes")
            self.more(deadline)
        line = bytes(self.buffer[:feed])
        del self.buffer[: feed + 1]
        try:
            value = json.loads(line)
        except ValueError as error:
            raise Broken(f"no JSON: {line[:100]!r}") from error
        if not isinstance(value, dict):
            raise Broken(f"no object: {line[:100]!r}")
        return value

    def payload(self, count):
        """The `count` bytes that follow a message."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while len(self.buffer) < count:
            self.more(deadline)
        value = bytes(self.buffer[:count])
        del self.buffer[:count]
        return value

    def ask(self, request, payload=b""):
        """Sends a request and returns its answer."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.write(payload)
            self.process.stdin.flush()
        except OSError as error:
            raise Broken(f"the peer takes no request: {error.strerror}; "
                         f"{self.last_words()}") from error
        answer = self.message()
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def load(self, module, times=1):
        return self.ask({"do": "load", "module": str(module), "times": times})

    def call(self, function, *arguments):
        return self.ask({"do": "call", "function": function, "arguments": arguments})["result"]

    def time(self, calls, function, *arguments):
        request = {"do": "time", "function": function, "arguments": arguments, "calls": calls}
        answer = self.ask(request)
        return answer["ns"], answer["result"]

    def write(self, address, data):
        return self.ask({"do": "write", "address": address, "bytes": len(data)}, data)

    def read(self, address, count):
        answer = self.ask({"do": "read", "address": address, "bytes": count})
        if answer.get("bytes") != count:
            raise Broken(f"asked for {count} bytes, got {answer}")
        return self.payload(count)

    def end(self):
        """Ends the peer's input. Returns its exit status and what it still had to say."""
        self.process.stdin.close()
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"does not end within {END_SECONDS} seconds of its input") from error
        return status, bytes(self.buffer) + self.process.stdout.read()
