"""A gunicorn.conf.py, executed as Gunicorn executes it: what it sets, and in which line."""
from __future__ import annotations

import argparse
import ast
import importlib.machinery
import importlib.util
import inspect
import linecache
import os
import shlex
import sys
import traceback
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from onebox.gunicorn_settings import SETTINGS, Kind, Setting

GUNICORNS_DEFAULT = "Gunicorn's default"
ARGUMENTS = "GUNICORN_CMD_ARGS"


class ConfError(Exception):
    """The file cannot be executed; the text says where and why."""


@dataclass(frozen=True)
class Told:
    """A setting's value, checked as Gunicorn checks it, and who has said it."""
    value: Any
    source: str  # "gunicorn.conf.py:3", "environment WEB_CONCURRENCY", "Gunicorn's default"
    line: int = 0

    @property
    def is_default(self) -> bool:
        return self.source == GUNICORNS_DEFAULT


@dataclass
class Conf:
    file: str = ""  # as it is shown
    told: dict[str, Told] = field(default_factory=dict)  # every setting
    others: dict[str, tuple[Any, int]] = field(default_factory=dict)  # names that are none
    mistakes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.told[name].value

    def is_set(self, name: str) -> bool:
        return not self.told[name].is_default


def read(location: str, shown_as: str, environment: Mapping[str, str] = os.environ) -> Conf:
    """`location` is a path, file:PATH or python:MODULE. Gunicorn's default, under the variable
    that stands for it, under the file, under GUNICORN_CMD_ARGS. Raises ConfError."""
    conf = Conf(shown_as)
    for name, setting in SETTINGS.items():
        conf.told[name] = Told(setting.default, GUNICORNS_DEFAULT)
    _take_environment(conf, environment)
    names, lines = _execute(location, conf.file)
    for name, value in names.items():
        if name in SETTINGS:
            source = f"{conf.file}:{lines[name]}" if name in lines else conf.file
            _take(conf, SETTINGS[name], value, source, lines.get(name, 0))
        elif not name.startswith("_"):
            conf.others[name] = (value, lines.get(name, 0))
    _take_arguments(conf, environment.get(ARGUMENTS, ""))
    return conf


def _take_environment(conf: Conf, environment: Mapping[str, str]) -> None:
    for variable, name, form in (("WEB_CONCURRENCY", "workers", "%s"),
                                 ("PORT", "bind", "0.0.0.0:%s"),
                                 ("FORWARDED_ALLOW_IPS", "forwarded_allow_ips", "%s")):
        if value := environment.get(variable):
            _take(conf, SETTINGS[name], form % value, f"environment {variable}")


def _take(conf: Conf, setting: Setting, value: Any, source: str, line: int = 0) -> None:
    try:
        conf.told[setting.name] = Told(check(setting, value), source, line)
    except (TypeError, ValueError, ImportError, AttributeError):
        conf.mistakes.append(
            f"{source}: {setting.name}: expected {_expected(setting)}, got {shown(value)}")


def _expected(setting: Setting) -> str:
    if setting.kind is not Kind.HOOK:
        return setting.kind.value
    return f"{setting.kind.value} of {setting.parameters} parameter" + "s" * (
        setting.parameters > 1)


def check(setting: Setting, value: Any) -> Any:
    """The value as Gunicorn keeps it; raises TypeError or ValueError where it takes none such."""
    if value is None and setting.kind is not Kind.INTEGER:
        return [] if setting.kind is Kind.LIST else None
    if setting.kind is Kind.INTEGER:
        octal = isinstance(value, str) and value.startswith("0") and value.isdigit()
        number = int(value, 8 if octal else 0) if isinstance(value, str) else int(value)
        if number < 0:
            raise ValueError(value)
        return number
    if setting.kind is Kind.BOOL:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        return _expect(bool, value)
    if setting.kind is Kind.TEXT:
        return os.fspath(value).strip() if isinstance(value, os.PathLike) else _expect(
            str, value).strip()
    if setting.kind is Kind.LIST:
        parts = value.split(",") if isinstance(value, str) else _expect((list, tuple), value)
        return [_expect(str, part).strip() for part in parts if part != ""]
    if setting.kind is Kind.DICT:
        return dict(_expect(dict, value))
    if setting.kind is Kind.HOOK:
        return _check_hook(setting, value)
    return value.strip() if isinstance(value, str) else value


def _expect(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _check_hook(setting: Setting, value: Any) -> Any:
    if isinstance(value, str):
        module, _, name = value.rpartition(".")
        value = getattr(importlib.import_module(module), name)
    if not callable(value):
        raise TypeError(value)
    count = parameters_of(value)
    older = setting.name == "post_request" and count in (2, 3)
    if count not in (None, setting.parameters) and not older:
        raise TypeError(value)
    return value


def parameters_of(function: Any) -> int | None:
    """How many it has; None where a builtin does not tell."""
    try:
        return len(inspect.signature(function).parameters)
    except ValueError:
        return None


def shown(value: Any, length_max: int = 60) -> str:
    """One line for people: what a value is, or what kind of thing."""
    if inspect.isfunction(value):
        text = f"def {value.__name__}{inspect.signature(value)}"
    elif inspect.isclass(value):
        text = f"class {value.__qualname__}"
    else:
        try:
            text = repr(value)
        except Exception:  # an object of the file's may do anything
            text = f"an object of {type(value).__name__}"
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return text if len(text) <= length_max else text[:length_max - 3] + "..."


# --- the file ----------------------------------------------------------------


def _execute(location: str, file: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The module's names, and the lines where the settings among them got their values."""
    if location.startswith("python:"):
        name = location.removeprefix("python:")
        spec = _find_module(name)
    else:
        name = "__config__"  # as with Gunicorn
        path = os.path.abspath(location.removeprefix("file:"))
        if not os.path.isfile(path):
            raise ConfError(f"{file}: there is no such file")
        loader = importlib.machinery.SourceFileLoader(name, path)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    watch = _Watch(spec.origin or "", vars(module))
    try:
        with watch:
            spec.loader.exec_module(module)
    except BaseException:  # a file may raise anything, SystemExit included
        raise ConfError(f"{_traceback()}{file}: it failed") from None
    return vars(module), watch.lines()


def _find_module(name: str) -> Any:
    try:
        spec = importlib.util.find_spec(name)
    except BaseException:  # its package is imported on the way
        raise ConfError(f"{_traceback()}python:{name}: it failed") from None
    if spec is None or spec.loader is None:
        raise ConfError(f"python:{name}: there is no such module")
    return spec


class _Watch:
    """Sees in which line of a module each setting got the value that it has at the end. Conditions,
    loops, `exec` and `import *` make that a question of what ran, not of what is written."""

    def __init__(self, path: str, names: dict[str, Any]):
        self._path = path
        self._names = names
        self._seen: dict[str, Any] = {}
        self._lines: dict[str, int] = {}
        self._line = 0

    def __enter__(self) -> None:
        sys.settrace(self._enter_frame)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        self._look()

    def _enter_frame(self, frame: types.FrameType, _event: str, _argument: Any) -> Any:
        is_module = frame.f_code.co_name == "<module>" and frame.f_code.co_filename == self._path
        return self._step if is_module else None

    def _step(self, frame: types.FrameType, _event: str, _argument: Any) -> Any:
        self._look()
        self._line = frame.f_lineno
        return self._step

    def _look(self) -> None:
        for name, value in self._names.items():
            if name not in self._seen or self._seen[name] is not value:
                self._seen[name] = value
                self._lines[name] = self._line

    def lines(self) -> dict[str, int]:
        """By name, the first line of the statement."""
        begins: dict[int, int] = {}
        try:
            tree = ast.parse("".join(linecache.getlines(self._path)))
        except SyntaxError:
            return self._lines
        for node in ast.walk(tree):  # outer statements come first, inner ones go over them
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    begins[line] = node.lineno
        return {name: begins.get(line, line) for name, line in self._lines.items()}


def _traceback() -> str:
    """Of the exception that is handled, without our own frames and those of the import."""
    error = traceback.TracebackException(*sys.exc_info())
    ours = ("/onebox/gunicorn_conf.py", "importlib/__init__.py", "<frozen importlib",
            "<frozen runpy")
    error.stack = traceback.StackSummary.from_list(
        [frame for frame in error.stack if not any(part in frame.filename for part in ours)])
    return "".join(error.format())


# --- GUNICORN_CMD_ARGS ---------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfError(f"{ARGUMENTS}: {message}")


def _take_arguments(conf: Conf, text: str) -> None:
    if not text.strip():
        return
    parser = _Parser(prog=ARGUMENTS, add_help=False)
    for setting in SETTINGS.values():
        if setting.flags:
            parser.add_argument(*setting.flags, dest=setting.name, default=None,
                                **_argument_form(setting))
    parser.add_argument("positional", nargs="*")
    try:
        found = vars(parser.parse_args(shlex.split(text)))
    except ValueError as error:  # of shlex: a quote that is not closed
        raise ConfError(f"{ARGUMENTS}: {error}") from None
    for name, value in found.items():
        if value is not None and name in SETTINGS:
            _take(conf, SETTINGS[name], value, f"{ARGUMENTS} {SETTINGS[name].flags[-1]}")


def _argument_form(setting: Setting) -> dict[str, Any]:
    if setting.kind is Kind.BOOL:
        negates = setting.flags[0].startswith("--no-") and setting.name == "sendfile"
        return {"action": "store_const", "const": not negates}
    if setting.name == "proxy_protocol":  # a word since Gunicorn 25, a switch before
        return {"nargs": "?", "const": True}
    if setting.kind is Kind.LIST and setting.name not in (
            "forwarded_allow_ips", "proxy_allow_ips", "uwsgi_allow_ips", "forwarder_headers"):
        return {"action": "append"}
    return {}
