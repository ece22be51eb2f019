"""Targets: `module:attribute` and `module:factory(...)`, as the command line names an app."""
from __future__ import annotations

import ast
import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DEFAULT_ATTRIBUTES = ("app", "application")


class LoadError(Exception):
    """The text says what was tried and why it did not work."""


@dataclass(frozen=True)
class Target:
    module: str
    attributes: tuple[str, ...] = ()  # none: one of DEFAULT_ATTRIBUTES
    is_factory: bool = False
    arguments: list[Any] = field(default_factory=list)
    keywords: dict[str, Any] = field(default_factory=dict)


def parse(text: str) -> Target:
    """A Target; raises LoadError where `text` is none. Arguments are literals, as Gunicorn's."""
    module, _, expression = text.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise LoadError(f"{module!r} is not the name of a module")
    if not expression:
        return Target(module)
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise LoadError(f"{expression!r} is neither an attribute nor a call: {error.msg}") from None
    if not isinstance(node, ast.Call):
        return Target(module, _attributes(node, expression))
    try:
        arguments = [ast.literal_eval(argument) for argument in node.args]
        keywords = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
    except ValueError:
        raise LoadError(f"the arguments of {expression!r} must be literals") from None
    if len(keywords) < len(node.keywords):
        raise LoadError(f"the arguments of {expression!r} must be literals")
    return Target(module, _attributes(node.func, expression), True, arguments, keywords)


def _attributes(node: ast.expr, expression: str) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*_attributes(node.value, expression), node.attr)
    raise LoadError(f"{expression!r} is neither an attribute nor a call of one")


def load(text: str) -> Callable[..., Any]:
    """The app that `text` names; raises LoadError. Whatever its import prints, it prints."""
    target = parse(text)
    try:
        module = importlib.import_module(target.module)
    except BaseException:  # an import may raise anything, SystemExit included
        raise LoadError(f"{_traceback()}import {target.module} failed") from None
    found = _find(module, target)
    if target.is_factory:
        if not callable(found):
            raise LoadError(f"{text.partition('(')[0]!r} cannot be called: it is {found!r}")
        try:
            found = found(*target.arguments, **target.keywords)
        except BaseException:
            raise LoadError(f"{_traceback()}the call in {text!r} failed") from None
    if not callable(found):
        raise LoadError(f"{text!r} is no WSGI app: it is {found!r}, which cannot be called")
    return found


def _find(module: object, target: Target) -> Any:
    if not target.attributes:
        for name in DEFAULT_ATTRIBUTES:
            if hasattr(module, name):
                return getattr(module, name)
        raise LoadError(f"module {target.module} has neither an `app` nor an `application`; "
                        f"name it: {target.module}:NAME")
    found: Any = module
    for name in target.attributes:
        try:
            found = getattr(found, name)
        except AttributeError:
            callables = sorted(other for other, value in vars(module).items()
                               if callable(value) and not other.startswith("_"))
            raise LoadError(f"module {target.module} has no {'.'.join(target.attributes)}; "
                            f"it has {', '.join(callables) or 'nothing that can be called'}") from None
    return found


def _traceback() -> str:
    """Of the exception that is handled, without the frames of this file and of the import."""
    error = traceback.TracebackException(*sys.exc_info())
    ours = ("/onebox/target.py", "importlib/__init__.py", "<frozen importlib")
    error.stack = traceback.StackSummary.from_list(
        [frame for frame in error.stack if not any(part in frame.filename for part in ours)])
    return "".join(error.format())
