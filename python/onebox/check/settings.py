"""Where the app sets a key of its configuration, in any of the forms that Flask and Django read."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from onebox.check.sources import Module, Project
from onebox.check.values import Runs, is_text, runs

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
KEYWORD_CALLS = {"update", "from_mapping", "dict", "Config", "setdefault"}
ATTRIBUTES = {"secret_key": "SECRET_KEY"}
# What may set a key that no source of ours shows.
OUTSIDE = {"from_envvar", "from_file", "from_json", "from_pyfile", "from_prefixed_env"}


@dataclass(frozen=True)
class Setting:
    """`CACHE_TYPE = "..."`, `app.config["CACHE_TYPE"] = "..."`, `{"CACHE_TYPE": "..."}`,
    `update(CACHE_TYPE="...")`, `app.secret_key = ...`."""
    name: str
    value: ast.expr
    place: ast.AST      # the statement, the key or the keyword
    container: ast.AST  # the block, the dict or the call that it is in; for a subscript, the block


def settings(module: Module) -> Iterator[Setting]:
    for node in module.nodes:
        match node:
            case ast.Assign() | ast.AnnAssign() if node.value:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    yield from _assigned(module, node, target, node.value)
            case ast.Dict():
                for key, value in zip(node.keys, node.values):
                    if key and is_text(key) and NAME.fullmatch(key.value):   # type: ignore[attr-defined]
                        yield Setting(key.value, value, key, node)   # type: ignore[attr-defined]
            case ast.Call():
                yield from _called(node)


def _assigned(module: Module, node: ast.AST, target: ast.expr, value: ast.expr) -> Iterator[Setting]:
    block = module.parents[node]
    match target:
        case ast.Name() if NAME.fullmatch(target.id):
            if isinstance(next(module.scopes(node)), (ast.Module, ast.ClassDef)):
                yield Setting(target.id, value, node, block)
        case ast.Subscript() if is_text(target.slice):
            if NAME.fullmatch(target.slice.value):   # type: ignore[attr-defined]
                yield Setting(target.slice.value, value, node, block)   # type: ignore[attr-defined]
        case ast.Attribute() if target.attr in ATTRIBUTES:
            yield Setting(ATTRIBUTES[target.attr], value, node, block)
        case ast.Attribute() if NAME.fullmatch(target.attr):
            yield Setting(target.attr, value, node, block)


def _called(node: ast.Call) -> Iterator[Setting]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else (
        node.func.id if isinstance(node.func, ast.Name) else "")
    if name not in KEYWORD_CALLS:
        return
    for keyword in node.keywords:
        if keyword.arg and NAME.fullmatch(keyword.arg):
            yield Setting(keyword.arg, keyword.value, keyword, node)
    if name == "setdefault" and len(node.args) == 2 and is_text(node.args[0]):
        yield Setting(node.args[0].value, node.args[1], node, node)   # type: ignore[attr-defined]


def in_force(project: Project, module: Module, names: set[str]) -> Iterator[tuple[Setting, Runs]]:
    """Those of these names that are set in production."""
    for setting in settings(module):
        if setting.name in names:
            when = runs(project, module, setting.place)
            if when is not Runs.NEVER:
                yield setting, when


def is_read(project: Project, names: set[str]) -> bool:
    """Whether the app itself reads one of these keys, so that it may mean what it likes."""
    for module in project.all():
        for node in module.nodes:
            match node:
                case ast.Name(ctx=ast.Load()) if node.id in names:
                    return True
                case ast.Attribute(ctx=ast.Load()) if node.attr in names:
                    return True
                case ast.Subscript(ctx=ast.Load()) if is_text(node.slice):
                    if node.slice.value in names and _is_config(node.value):   # type: ignore
                        return True
                case ast.Call(func=ast.Attribute(attr="get" | "pop")) if node.args and is_text(node.args[0]):
                    if node.args[0].value in names and _is_config(node.func.value):   # type: ignore
                        return True
    return False


def _is_config(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return "config" in name.lower() or "settings" in name.lower()


def imports(project: Project, package: str) -> bool:
    """Whether a file of the app imports a package, or something in it."""
    for module in project.all():
        for node in module.nodes:
            if isinstance(node, ast.ImportFrom) and not node.level:
                if (node.module or "").partition(".")[0] == package:
                    return True
            elif isinstance(node, ast.Import):
                if any(alias.name.partition(".")[0] == package for alias in node.names):
                    return True
    return False


def reads_outside(project: Project) -> bool:
    """Whether the configuration is read from what is no source: a file, or variables."""
    return any(isinstance(node, ast.Attribute) and node.attr in OUTSIDE
               for module in project.all() for node in module.nodes)
