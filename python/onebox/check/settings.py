"""Where the app sets a key of its configuration, in any of the forms that Flask and Django read."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from onebox.check.sources import Module, Project
from onebox.check.values import Runs, is_production, name_of, runs, text_of

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
                    if key and NAME.fullmatch(text_of(key)):
                        yield Setting(text_of(key), value, key, node)
            case ast.Call():
                yield from _called(node)


def _assigned(module: Module, node: ast.AST, target: ast.expr, value: ast.expr) -> Iterator[Setting]:
    block = module.parents[node]
    match target:
        case ast.Name() if NAME.fullmatch(target.id):
            if isinstance(next(module.scopes(node)), (ast.Module, ast.ClassDef)):
                yield Setting(target.id, value, node, block)
        case ast.Subscript() if NAME.fullmatch(text_of(target.slice)):
            yield Setting(text_of(target.slice), value, node, block)
        case ast.Attribute() if target.attr in ATTRIBUTES:
            yield Setting(ATTRIBUTES[target.attr], value, node, block)
        case ast.Attribute() if NAME.fullmatch(target.attr):
            yield Setting(target.attr, value, node, block)


def _called(node: ast.Call) -> Iterator[Setting]:
    name = name_of(node.func)
    if name not in KEYWORD_CALLS:
        return
    for keyword in node.keywords:
        if keyword.arg and NAME.fullmatch(keyword.arg):
            yield Setting(keyword.arg, keyword.value, keyword, node)
    if name == "setdefault" and len(node.args) == 2 and NAME.fullmatch(text_of(node.args[0])):
        yield Setting(text_of(node.args[0]), node.args[1], node, node)


def in_force(project: Project, module: Module, names: set[str]) -> Iterator[tuple[Setting, Runs]]:
    """Those of these names that are set in production."""
    for setting in settings(module):
        if setting.name in names and not _is_overridden(project, module, setting):
            when = runs(project, module, setting.place)
            if when is not Runs.NEVER:
                yield setting, when


def _is_overridden(project: Project, module: Module, setting: Setting) -> bool:
    """Whether production has its own value: in a class beneath this one, or in a file of its own."""
    if isinstance(setting.container, ast.ClassDef):
        return any(isinstance(node, ast.ClassDef) and is_production(node.name)
                   and any(name_of(base) == setting.container.name for base in node.bases)
                   and any(other.container is node and other.name == setting.name
                           for other in settings(module)) for node in module.nodes)
    if not isinstance(setting.container, ast.Module) or is_production(module.path.stem):
        return False
    return setting.name in project.of_all("set in production", lambda other: (
        one.name for one in settings(other) if is_production(other.path.stem)))


def is_read(project: Project, names: set[str]) -> bool:
    """Whether the app itself reads one of these keys, so that it may mean what it likes."""
    return any(name in names for name in project.of_all("read", _read_in))


def _read_in(module: Module) -> Iterator[str]:
    """The keys that a file reads."""
    for node in module.nodes:
        match node:
            case ast.Name(ctx=ast.Load()) if NAME.fullmatch(node.id):
                yield node.id
            case ast.Attribute(ctx=ast.Load()) if NAME.fullmatch(node.attr):
                yield node.attr
            case ast.Subscript(ctx=ast.Load()) if _is_config(node.value):
                yield text_of(node.slice)
            case ast.Call(func=ast.Attribute(attr="get" | "pop", value=owner)) if node.args:
                if _is_config(owner):
                    yield text_of(node.args[0])


def _is_config(node: ast.expr) -> bool:
    return "config" in name_of(node).lower() or "settings" in name_of(node).lower()


def imports(project: Project, package: str) -> bool:
    """Whether a file of the app imports a package, or something in it."""
    return package in project.of_all("imported", _imported_in)


def _imported_in(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)


def reads_outside(project: Project) -> bool:
    """Whether the configuration is read from what is no source: a file, or variables."""
    return not OUTSIDE.isdisjoint(project.of_all("attributes", _attributes_in))


def _attributes_in(module: Module) -> Iterator[str]:
    return (node.attr for node in module.nodes if isinstance(node, ast.Attribute))


def is_set(project: Project, names: set[str]) -> bool:
    """Whether a file of the app sets one of these keys, wherever."""
    return not names.isdisjoint(project.of_all("set", lambda module: (
        setting.name for setting in settings(module))))
