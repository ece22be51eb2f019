"""Keys of Flask-SQLAlchemy 2 that its successor passes over."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import metadata

from onebox.check import rules
from onebox.check.findings import Change, Edit, Finding, mend, replaced
from onebox.check.settings import Setting, in_force, is_read, settings
from onebox.check.sources import Module, Project
from onebox.check.values import text_of

ENGINE = "SQLALCHEMY_ENGINE_OPTIONS"
OPTIONS = {"SQLALCHEMY_POOL_SIZE": "pool_size", "SQLALCHEMY_MAX_OVERFLOW": "max_overflow",
           "SQLALCHEMY_POOL_TIMEOUT": "pool_timeout", "SQLALCHEMY_POOL_RECYCLE": "pool_recycle"}


def find(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    groups: dict[tuple[int, type, str], list[Setting]] = {}
    for setting, _ in in_force(project, module, set(OPTIONS)):
        if text_of(setting.value) and not text_of(setting.value).isdigit():
            continue  # a table of names
        target = ""
        if isinstance(setting.place, ast.Assign):
            if isinstance(written := setting.place.targets[0], ast.Subscript):
                target = module.source(written.value)
        groups.setdefault((id(setting.container), type(setting.place), target), []).append(setting)
    if not groups or still_has_them() or is_read(project, set(OPTIONS)):
        return
    for group in groups.values():
        names = [setting.name for setting in group]
        first = group[0]
        lines = ", ".join(f"{name} in line {setting.place.lineno}"  # type: ignore[attr-defined]
                          for name, setting in zip(names[1:], group[1:]))
        what = f"{first.name} (and {lines}) are ignored" if lines else f"{first.name} is ignored"
        yield Finding(rules.POOL_KEYS, module, first.place, what, mend=_mend(module, group))


def still_has_them() -> bool:
    """Flask-SQLAlchemy 2 is installed."""
    try:
        return metadata.version("flask-sqlalchemy").startswith(("0.", "1.", "2."))
    except metadata.PackageNotFoundError:
        return False


def _mend(module: Module, group: list[Setting]) -> tuple[Edit, ...]:
    """All of them in one dict: the one that is there, or one in the place of the first."""
    values = {OPTIONS[setting.name]: module.source(setting.value) for setting in group}
    there = next((other for other in settings(module) if other.name == ENGINE
                  and other.container is group[0].container), None)
    if there is None:
        text = "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"
        return mend(module, [_instead(module, group[0], text),
                             *(_out(module, setting) for setting in group[1:])])
    if not isinstance(there.value, ast.Dict):
        return ()
    has = {key.value for key in there.value.keys if isinstance(key, ast.Constant)}
    more = "".join(f', "{name}": {value}' for name, value in values.items() if name not in has)
    changes = [_out(module, setting) for setting in group]
    if more:
        _, end = module.span(there.value.values[-1] if there.value.values else there.value)
        changes.append(Change(end, end, more) if there.value.values else replaced(
            module, there.value, "{" + more.removeprefix(", ") + "}"))
    return mend(module, changes)


def _instead(module: Module, setting: Setting, text: str) -> Change:
    match setting.place:
        case ast.Assign(targets=[ast.Subscript() as target]):
            return replaced(module, setting.place,
                            f'{module.source(target.value)}["{ENGINE}"] = {text}')
        case ast.keyword():
            return replaced(module, setting.place, f"{ENGINE}={text}")
        case ast.Assign() | ast.AnnAssign():
            return replaced(module, setting.place, f"{ENGINE} = {text}")
    begin, _ = module.span(setting.place)
    _, end = module.span(setting.value)
    return Change(begin, end, f'"{ENGINE}": {text}')


def _out(module: Module, setting: Setting) -> Change:
    """Takes it out, with the comma behind it."""
    begin, _ = module.span(setting.place)
    _, end = module.span(setting.value)
    if not isinstance(setting.place, (ast.Assign, ast.AnnAssign)):
        if comma := re.match(r"\s*,[ \t]*", module.text[end:]):
            end += comma.end()
        elif comma := re.search(r",[ \t]*$", module.text[:begin]):
            begin -= len(comma[0])
    rest = re.match(r"[ \t]*#[^\n]*", module.text[end:])  # its comment speaks of what is gone
    line = module.text.rfind("\n", 0, begin) + 1
    if rest and not module.text[line:begin].strip():
        end += rest.end()
    return Change(begin, end, "")
