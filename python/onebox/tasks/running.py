"""An attempt at a task: what it is given, what it does, and how it ends."""
from __future__ import annotations

import importlib
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from onebox.cancelled import DeadlineExceeded
from onebox.engines import Next, engine
from onebox.tasks import canvas, payload
from onebox.tasks.definition import Options, Task, registry
from onebox.tasks.present import Running, present
from onebox.tasks.result import GATE, results_of

GATE_BACKOFF = (0.5, 2.0, 30.0)

_OURS = ("/onebox/tasks/running.py", "/onebox/tasks/job_run.py")


class Retry(Exception):
    """Raised by a task: this attempt has failed, try again after `countdown` seconds (None: as its backoff
    says), as long as it has retries left."""

    def __init__(self, countdown: float | None = None, why: str = "") -> None:
        super().__init__(why or "the task wants to be tried again")
        self.countdown = countdown


@dataclass
class Done:
    result: str
    next: list[Next]


@dataclass
class Failed:
    traceback: str
    retry_in: float | None  # seconds; None: it is a dead letter


def find(name: str) -> Task[..., Any]:
    """Raises LookupError."""
    if name not in registry and ":" in name:
        importlib.import_module(name.partition(":")[0])
    if name not in registry:
        raise LookupError(f"this app has no task {name!r}: is its module imported when the app is? It has "
                          f"{', '.join(sorted(registry)) or 'none at all'}")
    return registry[name]


@dataclass
class Work:
    """What an attempt has to do, and what of its end the task decides."""

    call: Callable[[], Any]
    options: Options
    chain: Sequence[canvas.Item] = ()


def prepare(running: Running, text: str) -> Work:
    """Of a task with that payload. Raises whatever its import does, or its arguments."""
    call = payload.parse(text)
    chain = call.get("chain", ())
    if running.name == canvas.GATHERED:
        return Work(lambda: None, Options())
    if running.name == canvas.LIST:
        return Work(lambda: payload.unpack(call)[0][0], Options(codec=payload.codec_of(call)), chain)
    if running.name.startswith(GATE):
        return Work(lambda: _Gate(running, chain), Options(backoff=GATE_BACKOFF))
    task = find(running.name)
    args, kwargs = payload.unpack(call)
    return Work(lambda: task.function(*_before(running, call), *args, **kwargs), task.options, chain)


def attempt(running: Running, prepare: Callable[[], Work],
            around: Callable[[], AbstractContextManager[Any]] = nullcontext) -> Done | Failed:
    """Does it, within `around()`. Whatever is raised in it is how it ends."""
    options = Options()
    token = present.set(running)
    try:
        work = prepare()
        options = work.options
        with around():
            value = work.call()
        if isinstance(value, _Gate):
            return Done("null", value.next())
        return Done(payload.dump_result(value, options.codec, running.name),
                    canvas.next_of(work.chain, value, options.codec, running))
    except BaseException as error:  # whatever it raises: SystemExit, the deadline
        return Failed(traceback_of(error), _retry_in(running, options, error))
    finally:
        present.reset(token)


class _Gate:
    """What follows where all before it and its like are done."""

    def __init__(self, running: Running, chain: Sequence[canvas.Item]) -> None:
        self._running, self._chain = running, chain
        self._results = canvas.results_at(running.name, engine().members(running.group))

    def next(self) -> list[Next]:
        if self._results is None:
            return []
        try:
            following = canvas.next_of(self._chain, self._results, "json", self._running)
        except TypeError:  # one of them was pickled
            following = canvas.next_of(self._chain, self._results, "pickle", self._running)
        like = self._running.name.rpartition(" ")[0]
        for number, one in enumerate(following):
            one["dedupe"] = f"{like} of {self._running.group}, {number}"
        return following


def late(running: Running) -> float | None:
    """When an attempt whose end was lost is made again: seconds."""
    return backoff(Options(), running.attempt) if running.tries_left else None


def _before(running: Running, call: Mapping[str, Any]) -> list[Any]:
    takes = call.get("takes")
    if not takes:
        return []
    results = results_of(engine().members(running.id))
    return [results] if takes == "all" else results[-1:]


def _retry_in(running: Running, options: Options, error: BaseException) -> float | None:
    if not running.tries_left or isinstance(error, options.no_retry_for or ()):
        return None
    if isinstance(error, Retry):
        return error.countdown if error.countdown is not None else backoff(options, running.attempt)
    if options.retry_for and not isinstance(error, (*options.retry_for, DeadlineExceeded)):
        return None
    return backoff(options, running.attempt)


def backoff(options: Options, attempt: int) -> float:
    """Seconds before the next attempt, at random: what failed together does not come back together."""
    first, factor, most = options.backoff
    return random.uniform(0, min(most, first * factor ** min(attempt - 1, 64)))


def traceback_of(error: BaseException) -> str:
    """Without our own frames."""
    try:
        told = traceback.TracebackException.from_exception(error, compact=True)
        told.stack = traceback.StackSummary.from_list(
            [frame for frame in told.stack if not frame.filename.endswith(_OURS)])
        return "".join(told.format())
    except Exception:  # no memory for it, an error whose text is an error
        return f"{type(error).__module__}.{type(error).__qualname__}, which cannot be shown\n"
