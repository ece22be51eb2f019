"""APScheduler itself, where an app starts it: in each worker it would run every job once more. So it is not
started there, and where the operator wants it, it is started once for the box, in a task worker.

It is changed when the app imports it, and only then. A scheduler that is not started has no thread, so
what imports the app can be forked."""
from __future__ import annotations

import functools
import importlib.abc
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import onebox

_MODULE = "apscheduler.schedulers.base"
_WHY = "onebox: APScheduler is not started in web workers (each would run every job)"
_MEND = {
    "refuse": "import onebox.apscheduler in its place, or set [jobs] apscheduler = \"task-worker\"",
    "task-worker": "one task worker of the box starts it",
}
_WAITS = ("shutdown", "pause", "resume")  # what else must not fail for a scheduler that was not started


_CLAIM = "apscheduler"  # what of all task workers one has


class _State:
    mode = "refuse"
    tells = False  # one process of the box does
    runs_here = False
    refused: dict[int, tuple[Any, bool]] = {}  # the scheduler, and whether it begins paused
    started: list[Any] = []  # those that were refused before


def install(tells: bool) -> None:
    """Before the app is imported, in a worker or in what forks it. ONEBOX_APSCHEDULER: "refuse",
    "task-worker" or "allow"."""
    _State.mode = os.environ.get("ONEBOX_APSCHEDULER", "refuse")
    if _State.mode == "allow":
        return
    _State.tells = tells
    if _MODULE in sys.modules:
        _change(sys.modules[_MODULE])
    else:
        sys.meta_path.insert(0, _Finder())


def waits_for_task_worker() -> bool:
    """Whether there is a scheduler that was not started, and one task worker is to start it."""
    return _State.mode == "task-worker" and bool(_State.refused)


def serve() -> None:
    """In a task worker, when it can speak to the broker: where APScheduler is to run in one of these, a thread
    follows whether it is this one."""
    if _State.mode != "task-worker" or _MODULE not in sys.modules:
        return
    from onebox.tasks import reporter  # what no other worker needs
    said: SimpleQueue[bool] = SimpleQueue()
    threading.Thread(target=_follow_all, args=(said,), name="onebox-apscheduler", daemon=True).start()
    reporter.claim(_CLAIM, said.put)


def _follow_all(said: SimpleQueue[bool]) -> None:
    while True:
        follow(said.get())


def follow(mine: bool) -> None:
    """Starts what was not started, and from then on whatever is started; or ends all that."""
    if mine and not _State.runs_here:
        _State.runs_here = True
        waiting = list(_State.refused.values())
        _State.refused.clear()
        for scheduler, paused in waiting:
            scheduler.start(paused=paused)
            _State.started.append(scheduler)
    elif not mine and _State.runs_here:
        _State.runs_here = False
        for scheduler in _State.started:
            if scheduler.running:
                scheduler.shutdown(wait=False)
                _State.refused[id(scheduler)] = (scheduler, False)
        _State.started.clear()


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _change(module)


def _change(module: ModuleType) -> None:
    base: Any = module.BaseScheduler
    _change_class(base)
    base.add_job = _adding(base.add_job)
    for made in _below(base):
        _change_class(made)
    base.__init_subclass__ = classmethod(_change_class)  # those that come, an app's own too


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for made in base.__subclasses__():
        yield made
        yield from _below(made)


def _change_class(made: Any, **_: Any) -> None:
    if "start" in vars(made):
        made.start = _starting(made.start)
    for name in _WAITS:
        if name in vars(made):
            setattr(made, name, _waiting(name, getattr(made, name)))


def _starting(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def begin(self: Any, paused: bool = False, *arguments: Any, **keywords: Any) -> Any:
        if _State.runs_here and not _blocks(self):
            return start(self, paused, *arguments, **keywords)
        if id(self) not in _State.refused:
            _State.refused[id(self)] = (self, paused)
            _tell()
        return None

    return begin


def _blocks(scheduler: Any) -> bool:
    """Whether its start() does not return: it cannot be started beside anything."""
    started: str = type(scheduler).start.__qualname__
    return started == "BlockingScheduler.start"


def _waiting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def act(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if id(self) not in _State.refused:
            return method(self, *arguments, **keywords)
        if name == "shutdown":
            del _State.refused[id(self)]
        else:
            _State.refused[id(self)] = (self, name == "pause")
        return None

    return act


def _adding(add_job: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(add_job)
    def add(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if id(self) in _State.refused and onebox.deadline() is not None:
            raise RuntimeError("APScheduler is not started in web workers, so this job would never run: "
                               "import onebox.apscheduler in its place, or enqueue a task of Onebox")
        return add_job(self, *arguments, **keywords)

    return add


def _tell() -> None:
    if _State.tells:
        _State.tells = False
        print(f"{_WHY}: {_MEND.get(_State.mode, _MEND['refuse'])}", file=sys.stderr, flush=True)
