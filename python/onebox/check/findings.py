"""A finding, and its mend as whole lines."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from onebox.check.rules import Rule
from onebox.check.sources import Module
from onebox.check.values import text_of

IGNORE = re.compile(r"#\s*onebox:\s*ignore\[([^\]]*)\]")


@dataclass(frozen=True)
class Change:
    """A part of the text, and what takes its place."""
    begin: int
    end: int
    text: str


@dataclass(frozen=True)
class Edit:
    """Lines that take the place of those from `line` to `end_line`: none where these are taken out,
    and end_line is line - 1 where new ones come before `line`."""
    line: int
    end_line: int
    code: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "end_line": self.end_line, "code": list(self.code)}


@dataclass(frozen=True)
class Finding:
    rule: Rule
    module: Module
    node: ast.AST
    what: str
    why: str = ""
    mend: tuple[Edit, ...] = field(default=())

    @property
    def line(self) -> int:
        return self.node.lineno  # type: ignore[attr-defined]

    @property
    def column(self) -> int:
        begin, _ = self.module.span(self.node)
        return begin - self.module.offset(self.line, 0) + 1

    def is_ignored(self) -> bool:
        """By a comment on its line, or on the last one of what is found."""
        for line in {self.line, self.node.end_lineno}:  # type: ignore[attr-defined]
            if found := IGNORE.search(self.module.lines[line - 1]):
                if self.rule.id in re.split(r"[\s,]+", found[1].strip()):
                    return True
        return False

    def as_json(self) -> dict[str, Any]:
        return {"file": self.module.shown, "line": self.line, "column": self.column,
                "rule": self.rule.id, "severity": self.rule.severity.value, "what": self.what,
                "why": self.why or self.rule.why, "mend": [edit.as_json() for edit in self.mend]}

    def as_text(self) -> str:
        lines = [f"{self.module.shown}:{self.line}:{self.column}: {self.rule.severity.value} "
                 f"{self.rule.id}: {self.what}", f"    {self.why or self.rule.why}"]
        for edit in self.mend:
            old = self.module.lines[edit.line - 1:edit.end_line]
            lines += [f"    -{number:5}  {text}" for number, text in enumerate(old, edit.line)]
            lines += [f"    +{number:5}  {text}" for number, text in enumerate(edit.code, edit.line)]
        return "\n".join(lines) + "\n"


def replaced(module: Module, node: ast.AST, text: str) -> Change:
    return Change(*module.span(node), text)


def import_line(module: Module, line: str) -> list[Change]:
    """`import os` behind the file's other imports; nothing where it is there."""
    place = 1
    for statement in module.tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if ast.unparse(statement) == line:
                return []
            place = statement.end_lineno + 1  # type: ignore[operator]
        elif place == 1 and isinstance(statement, ast.Expr) and text_of(statement.value):
            place = statement.end_lineno + 1  # type: ignore[operator]
        else:
            if place == 1:
                place = min(part.lineno for part in ast.walk(statement) if hasattr(part, "lineno"))
            break
    at = sum(len(text) + 1 for text in module.lines[:place - 1])
    return [Change(at, at, line + "\n")]


def mend(module: Module, changes: Iterable[Change]) -> tuple[Edit, ...]:
    """The changes as whole lines; those that share a line are one edit."""
    starts = [0]
    for text in module.lines:
        starts.append(starts[-1] + len(text) + 1)

    def line_of(at: int) -> int:
        return next(number for number in range(len(module.lines), 0, -1) if starts[number - 1] <= at)

    edits: list[Edit] = []
    groups: list[tuple[int, int, list[Change]]] = []
    for change in sorted(changes, key=lambda one: (one.begin, one.end)):
        if change.begin == change.end and change.text.endswith("\n"):
            line = line_of(change.begin)
            edits.append(Edit(line, line - 1, tuple(change.text.rstrip("\n").split("\n"))))
            continue
        first, last = line_of(change.begin), line_of(max(change.begin, change.end - 1))
        if groups and groups[-1][1] >= first:
            groups[-1] = (groups[-1][0], max(last, groups[-1][1]), [*groups[-1][2], change])
        else:
            groups.append((first, last, [change]))
    for first, last, together in groups:
        begin, end = starts[first - 1], starts[last] - 1
        text, at = "", begin
        for change in together:
            text += module.text[at:change.begin] + change.text
            at = change.end
        text += module.text[at:end] if at <= end else ""
        lines = text.split("\n")
        edits.append(Edit(first, last, tuple(lines if text.strip() else ())))
    return tuple(sorted(edits, key=lambda one: (one.line, one.end_line)))


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with its lines replaced."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda one: (one.line, one.end_line), reverse=True):
        lines[edit.line - 1:edit.end_line] = edit.code
    return "\n".join(lines)
