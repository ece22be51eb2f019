#!/usr/bin/env python3
"""Checks what no compiler checks. Each rule is one function that yields "path:line: message"."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rooms():
    """The arrows, read from the room() lines of src/CMakeLists.txt: {room: rooms it may include}."""
    text = (ROOT / "src/CMakeLists.txt").read_text()
    found = {}
    for name, rest in re.findall(r"^room\((\w+)([^)]*)\)", text, re.M):
        found[name] = set(re.sub(r".*USES|LIBS.*", "", rest).split()) if "USES" in rest else set()
    return found


def tidy_layers(path, lines, arrows):
    room = path.relative_to(ROOT / "src").parts[0]
    for number, line in enumerate(lines, 1):
        included = re.match(r'#include "(\w+)/', line)
        if included and included[1] != room and included[1] not in arrows.get(room, ()):
            yield f"{path}:{number}: room {room} does not USE {included[1]} (src/CMakeLists.txt)"


def tidy_python_h(path, lines, arrows):
    if path.relative_to(ROOT / "src").parts[0] == "pyext":
        return
    for number, line in enumerate(lines, 1):
        if "<Python.h>" in line:
            yield f"{path}:{number}: only the room pyext includes Python.h"


def tidy_shape(path, lines, arrows):
    if path.suffix == ".h" and not (lines[0] == "#pragma once" and lines[1].startswith("// ")):
        yield f"{path}:1: a header opens with #pragma once and a sentence that says what it is for"


def tidy_own_header(path, lines, arrows):
    """So each header that has a source is seen to compile by itself."""
    header = path.with_suffix(".h")
    if path.suffix != ".cc" or not header.exists():
        return
    for number, line in enumerate(lines, 1):
        if line.startswith("#include"):
            if line != f'#include "{header.relative_to(ROOT / "src")}"':
                yield f"{path}:{number}: its own header comes first"
            return
    yield f"{path}:1: it does not include its own header"


BANNED = {
    r"\busing namespace\b": "spell the namespace out",
    r"\b(sprintf|strcpy|strcat|strtok|atoi|rand|gmtime|localtime)\(": "has a safe replacement",
    r"\bsystem_clock::now\(|\bsteady_clock::now\(": "take a base::Clock&, so a test can move time",
    r"\bsleep_for\(": "wait for the event, or advance a FakeClock",
    r"\b(TODO|FIXME|XXX)\b": "do it now, or write it down in docs/internals/limits.md",
}


def tidy_banned(path, lines, arrows):
    for number, line in enumerate(lines, 1):
        for pattern, why in BANNED.items():
            if "_clock::now" in pattern and path.parent.name == "os":
                continue  # where the clock comes from
            if re.search(pattern, line):
                yield f"{path}:{number}: {re.search(pattern, line)[0]}: {why}"


def main():
    arrows = rooms()
    listed = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    listed = listed or [str(p.relative_to(ROOT)) for p in (ROOT / "src").rglob("*.*")]
    complaints = []
    for name in listed:
        path = ROOT / name
        if path.suffix not in (".h", ".cc"):
            continue
        lines = path.read_text().splitlines()
        for rule in (tidy_layers, tidy_python_h, tidy_shape, tidy_own_header, tidy_banned):
            complaints += rule(path, lines, arrows)
    print("\n".join(complaints) or f"tidy: {len(listed)} files, {len(arrows)} rooms, clean")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
