"""What a task is given and what it returns, as text: JSON, or pickle where that was chosen.

A payload is {"args": [...], "kwargs": {...}}, with pickle {"pickled": BASE64}; beside these, "chain" has
the steps that follow, and "takes" says what of the group before it a callback is given. A result is the
value's JSON, or "pickle:" and BASE64.
"""
from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

CODECS = ("json", "pickle")
_PICKLED = "pickle:"  # no JSON begins so


class Call(TypedDict, total=False):
    """Arguments as they travel."""

    args: list[Any]
    kwargs: dict[str, Any]
    pickled: str


def pack(args: Sequence[Any], kwargs: Mapping[str, Any], codec: str, name: str) -> Call:
    """Raises TypeError, which says which part of which argument of the task `name` it is."""
    if codec == "pickle":
        return {"pickled": _pickle((tuple(args), dict(kwargs)))}
    for number, value in enumerate(args, 1):
        _check(value, f"argument {number} of {name}")
    for key, value in kwargs.items():
        _check(value, f"argument {key!r} of {name}")
    return {"args": list(args), "kwargs": dict(kwargs)}


def prepend(value: Any, call: Mapping[str, Any], codec: str, name: str) -> dict[str, Any]:
    """The call with the result of the task `name`, which has that codec, as its first argument."""
    if "pickled" in call or codec == "pickle":
        args, kwargs = unpack(call)
        return {"pickled": _pickle(((value, *args), kwargs))}
    _check(value, f"the result of {name}")
    return {"args": [value, *call.get("args", ())], "kwargs": call.get("kwargs", {})}


def codec_of(call: Mapping[str, Any]) -> str:
    return "pickle" if "pickled" in call else "json"


def parse(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a payload is a JSON object")
    return found


def unpack(call: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if "pickled" in call:
        args, kwargs = pickle.loads(base64.b64decode(call["pickled"]))
        return list(args), kwargs
    return list(call.get("args", ())), dict(call.get("kwargs", {}))


def dump(value: Any) -> str:
    """JSON of what was checked."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return json.dumps(value, separators=(",", ":"))
    return text


def dump_result(value: Any, codec: str, name: str) -> str:
    """Raises TypeError."""
    if codec == "pickle":
        return _PICKLED + _pickle(value)
    _check(value, f"the result of {name}")
    return dump(value)


def load_result(text: str | None) -> Any:
    if not text:
        return None
    if text.startswith(_PICKLED):
        return pickle.loads(base64.b64decode(text[len(_PICKLED):]))
    return json.loads(text)


def _pickle(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)).decode()


def _check(value: Any, whose: str) -> None:
    """Raises TypeError where JSON would refuse it, or give something else back."""
    try:
        found = _find_odd(value, "")
    except RecursionError:
        raise TypeError(f"{whose} is nested too deeply, or contains itself") from None
    if found:
        path, what = found
        raise TypeError(f"{whose}{f', at {path},' if path else ''} is {what}; "
                        "pass what JSON can say, or use codec='pickle'")


def _find_odd(value: Any, path: str) -> tuple[str, str] | None:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return path, f"a dict with the key {key!r}, which JSON makes into a str"
            if found := _find_odd(item, f"{path}[{key!r}]"):
                return found
        return None
    if isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            if found := _find_odd(item, f"{path}[{number}]"):
                return found
        return None
    if isinstance(value, (int, float, str)):
        return None  # of a class of its own: JSON takes it for its base
    return path, f"a {kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" \
        else f"a {kind.__qualname__}"
