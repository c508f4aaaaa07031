"""Runs a composite GitHub Action on this machine: a small part of what GitHub's runner does.

`load(path)` reads the YAML of an action file, `run(action, ...)` runs its steps. Steps with `run` run as
on GitHub, with bash and the variables of their `env`; steps with `uses` are given to functions of the
caller. Of YAML and of expressions it knows what the files here use; anything else is an error, so that
a step is never left out in silence.
"""

import os
import re
import subprocess


class Unknown(Exception):
    """The file has something in it that is not known here."""


# --- YAML: nested mappings, lists of mappings, scalars on one line, `|` blocks, lists in brackets.


def load(path):
    """The file as dictionaries, lists and strings."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if "\t" in line:
                raise Unknown(f"{path}:{number}: a tab")
            lines.append((number, len(line) - len(line.lstrip(" ")), line.rstrip("\n ")))
    value, at = block(str(path), lines, skip(lines, 0), 0)
    if at < len(lines):
        raise Unknown(f"{path}:{lines[at][0]}: not part of what stands above it")
    return value


def skip(lines, at):
    """The next line that is not empty and no comment."""
    while at < len(lines) and (not lines[at][2].strip() or lines[at][2].lstrip().startswith("#")):
        at += 1
    return at


def block(path, lines, at, indent):
    """The mapping or list whose lines start at `indent`, and where it ends."""
    items, entries = [], {}
    while at < len(lines) and lines[at][1] == indent:
        number, _, text = lines[at]
        content = text[indent:]
        if content.startswith("- "):
            # The entry is a mapping whose first line stands behind the dash.
            lines[at] = (number, indent + 2, " " * (indent + 2) + content[2:])
            value, at = block(path, lines, at, indent + 2)
            items.append(value)
        else:
            match = re.fullmatch(r"([A-Za-z_][\w-]*):(?: +(.*))?", content)
            if not match or match[1] in entries:
                raise Unknown(f"{path}:{number}: {content!r}")
            entries[match[1]], at = value_of(path, lines, at, indent, match[2])
        at = skip(lines, at)
    if bool(items) == bool(entries):
        raise Unknown(f"{path}:{lines[min(at, len(lines) - 1)][0]}: neither a mapping nor a list")
    return items or entries, at


def value_of(path, lines, at, indent, text):
    """What stands behind a colon, and the line after it."""
    number = lines[at][0]
    if text is None or text.startswith("#"):
        at = skip(lines, at + 1)
        if at == len(lines) or lines[at][1] <= indent:
            return "", at
        return block(path, lines, at, lines[at][1])
    if text == "|":
        rows, at = [], at + 1
        while at < len(lines) and (lines[at][1] > indent or not lines[at][2].strip()):
            rows.append(lines[at][2].strip())
            at += 1
        return "\n".join(rows).strip("\n") + "\n", at
    if text.startswith("'"):
        match = re.fullmatch(r"'((?:[^']|'')*)'(?: +#.*)?", text)
        if not match:
            raise Unknown(f"{path}:{number}: {text!r}")
        return match[1].replace("''", "'"), at + 1
    text = re.sub(r" +#.*", "", text)
    if text[0] in '"&*!%@`{>|' or ": " in text:
        raise Unknown(f"{path}:{number}: {text!r}")
    if text[0] == "[":
        return [item.strip() for item in text.strip("[]").split(",")], at + 1
    return text, at + 1


# --- Expressions: names, strings, true, false, ! == != && || ( ), and the functions below.

TOKEN = re.compile(
    r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)|(&&|\|\||==|!=|[!(),]))"
)


class Expression:
    """An expression, evaluated while it is read. `&&` and `||` give booleans, both sides evaluated."""

    def __init__(self, text, contexts):
        self.text, self.contexts = text, contexts
        self.tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise Unknown(f"expression {text!r}: at {text[at:]!r}")
            self.tokens.append(match.groups())
            at = match.end()
        self.at = 0

    def value(self):
        value = self.any()
        if self.at < len(self.tokens):
            raise Unknown(f"expression {self.text!r}: more than one")
        return value

    def take(self, *symbols):
        """The next symbol if it is one of these."""
        if self.at < len(self.tokens) and self.tokens[self.at][2] in symbols:
            self.at += 1
            return self.tokens[self.at - 1][2]
        return None

    def any(self):
        value = self.all()
        while self.take("||"):
            value = bool(self.all()) | bool(value)
        return value

    def all(self):
        value = self.equal()
        while self.take("&&"):
            value = bool(self.equal()) & bool(value)
        return value

    def equal(self):
        value = self.unary()
        if symbol := self.take("==", "!="):
            other = self.unary()
            if not isinstance(value, str) or not isinstance(other, str):
                raise Unknown(f"expression {self.text!r}: compares what is no string")
            # GitHub ignores case.
            return (value.lower() == other.lower()) == (symbol == "==")
        return value

    def unary(self):
        if self.take("!"):
            return not self.unary()
        if self.take("("):
            value = self.any()
            self.expect(")")
            return value
        if self.at == len(self.tokens):
            raise Unknown(f"expression {self.text!r}: ends early")
        string, name, symbol = self.tokens[self.at]
        self.at += 1
        if string is not None:
            return string[1:-1].replace("''", "'")
        if symbol is not None:
            raise Unknown(f"expression {self.text!r}: {symbol}")
        if self.take("("):
            return self.call(name)
        return (
            {"true": True, "false": False}.get(name)
            if name in ("true", "false")
            else self.look_up(name)
        )

    def expect(self, symbol):
        if not self.take(symbol):
            raise Unknown(f"expression {self.text!r}: no {symbol}")

    def call(self, name):
        arguments = []
        while not self.take(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.any())
        failed = self.contexts["failed"]
        match name, arguments:
            case "always", []:
                return True
            case "cancelled", []:
                return False
            case "success", []:
                return not failed
            case "failure", []:
                return failed
            case "startsWith", [text, start]:
                return text.lower().startswith(start.lower())
        raise Unknown(f"expression {self.text!r}: function {name}")

    def look_up(self, name):
        """What a name stands for; empty where GitHub knows that it may be missing."""
        match name.split("."):
            case ["inputs", key]:
                found = self.contexts["inputs"].get(key)
            case ["steps", step, "outputs", key]:
                if step not in self.contexts["steps"]:
                    raise Unknown(f"expression {self.text!r}: no step {step} before")
                found = self.contexts["steps"][step].get(key, "")
            case ["github", "event", *keys]:
                found = self.contexts["github"]["event"]
                for key in keys:
                    found = found.get(key, {}) if isinstance(found, dict) else {}
                found = "" if found == {} else str(found)
            case ["github", key]:
                found = self.contexts["github"].get(key)
            case _:
                found = None
        if not isinstance(found, str):
            raise Unknown(f"expression {self.text!r}: {name}")
        return found


EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
STATUS = re.compile(r"\b(always|cancelled|success|failure)\(")


def fill(text, contexts):
    """The text with its expressions replaced."""

    def one(match):
        value = Expression(match[1], contexts).value()
        return str(value).lower() if isinstance(value, bool) else value

    return EXPRESSION.sub(one, text)


def holds(condition, contexts):
    """Whether a step is to run."""
    match = EXPRESSION.fullmatch(condition.strip())
    text = match[1] if match else condition
    value = bool(Expression(text, contexts).value())
    return value if STATUS.search(text) else value and not contexts["failed"]


# --- Steps.


def run(action, inputs, github, environment, uses, folder, log):
    """Runs an action: (whether it succeeded, its outputs, the names of the steps that ran).

    `inputs` are those given; `github` the context of that name, whose values are strings but for
    `event`; `environment` the variables of the machine; `uses` maps what stands behind `uses:` to
    functions (step's id, inputs, log) that give outputs; `folder` is for the runner's files.
    """
    for key in inputs:
        if key not in action["inputs"]:
            raise Unknown(f"the action has no input {key}")
    given = {}
    for key, about in action["inputs"].items():
        if about.get("required") == "true" and key not in inputs:
            raise Unknown(f"input {key} is required")
        given[key] = inputs.get(key, about.get("default", ""))
    contexts = {"inputs": given, "github": github, "steps": {}, "failed": False}
    ran = []
    for number, step in enumerate(action["runs"]["steps"]):
        if extra := set(step) - {"name", "id", "if", "shell", "run", "env", "uses", "with"}:
            raise Unknown(f"step {step['name']}: {', '.join(sorted(extra))}")
        outputs = {}
        if holds(step.get("if", "success()"), contexts):
            ran.append(step["name"])
            print(f"--- {step['name']}", file=log, flush=True)
            filled = {
                key: fill(value, contexts)
                for key, value in step.get("with", step.get("env", {})).items()
            }
            if "uses" in step:
                if step["uses"] not in uses:
                    raise Unknown(f"step {step['name']}: uses {step['uses']}")
                outputs = uses[step["uses"]](step.get("id"), filled, log)
            else:
                code, outputs = shell(
                    step, {**environment, **filled}, os.path.join(folder, str(number)), log
                )
                contexts["failed"] |= code != 0
        contexts["steps"][step.get("id", f"step {number}")] = outputs
    outputs = {key: fill(about["value"], contexts) for key, about in action["outputs"].items()}
    return not contexts["failed"], outputs, ran


def shell(step, environment, files, log):
    """Runs a step's script as GitHub does: (exit code, outputs)."""
    if step["shell"] != "bash" or "${{" in step["run"]:
        raise Unknown(f"step {step['name']}: must be bash, and free of expressions")
    os.makedirs(files)
    script, output = os.path.join(files, "script"), os.path.join(files, "output")
    with open(script, "w", encoding="utf-8") as file:
        file.write(step["run"])
    open(output, "w", encoding="utf-8").close()
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", script]
    environment = {**environment, "GITHUB_OUTPUT": output}
    log.flush()
    code = subprocess.run(
        command, env=environment, stdout=log, stderr=log, cwd=environment["GITHUB_WORKSPACE"]
    ).returncode
    with open(output, encoding="utf-8") as file:
        outputs = dict(line.rstrip("\n").split("=", 1) for line in file)
    return code, outputs
