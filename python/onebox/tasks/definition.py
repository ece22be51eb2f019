"""A task: a function that may run later, in another process of the box."""
from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from onebox.engines import Admission, New, Refused, engine
from onebox.tasks import payload, present
from onebox.tasks.canvas import Signature
from onebox.tasks.result import Result

P = ParamSpec("P")
R = TypeVar("R")

NAME_BYTES_MAX = 255
BACKOFF_MAX = 3600.0  # seconds, unless told

Unique = bool | str | Callable[..., str] | None
Backoff = float | tuple[float, float, float]

registry: dict[str, Task[..., Any]] = {}


@dataclass(frozen=True)
class Options:
    """Of a task, as task() takes them."""

    queue: str = "default"
    retries: int = 0
    backoff: tuple[float, float, float] = (1.0, 2.0, BACKOFF_MAX)  # the first, the factor, the most
    timeout: float | None = None
    priority: int = 4
    unique: Unique = None
    rate: str | None = None
    keep: float = 86400.0
    codec: str = "json"
    retry_for: tuple[type[BaseException], ...] = ()  # none: any
    no_retry_for: tuple[type[BaseException], ...] = ()


class Task(Generic[P, R]):
    """Called, it is the function that it was made of. The methods have it run elsewhere."""

    def __init__(self, function: Callable[P, R], name: str, options: Options) -> None:
        self.function = function
        self.name = name
        self.options = options
        self._signature = inspect.signature(function)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<onebox task {self.name}>"

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Enqueues a call; it is on the disk when this returns. Raises TypeError where the arguments are
        not the function's, or cannot be carried; TaskError where it was not let in."""
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *,
                    outbox: Any = None, **how: Any) -> Result[R]:
        """As delay(), with what message() takes. `outbox`: a connection, cursor or session of the app's
        database: the task is enqueued if its transaction commits, and the Result has no id."""
        message = self.message(args, kwargs, **how)
        if outbox is not None:
            importlib.import_module("onebox.outbox").enqueue(outbox, message)
            return Result(0, self.name)
        admission, = engine().enqueue([message])
        return Result(admitted(admission, self.name), self.name)

    def delay_with(self, connection: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """As delay(), in the transaction of the app's own database that `connection` is in."""
        self.apply_async(args, kwargs, outbox=connection)

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A call to be made: what a group, a chain or delay() takes. In a chain it gets the result of the
        former one as its first argument."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """As s(), without the former one's result."""
        return Signature(self, args, kwargs, immutable=True)

    def message(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *,
                eta: datetime | float | None = None, countdown: float | timedelta | None = None,
                expires: datetime | float | timedelta | None = None, queue: str | None = None,
                priority: int | None = None, retries: int | None = None,
                timeout: float | None = None, keep: float | None = None, unique: str | None = None,
                dedupe: str | None = None, former: int = 0) -> New:
        """What is enqueued. `eta`: not before (unix time, or a datetime, which has a time zone or is local);
        `countdown`: seconds from now; `expires`: not from then on, or so many seconds (timedelta or a number
        below a billion) from now. `former`: how many arguments come from what runs before."""
        kwargs = kwargs or {}
        self._bind(args, kwargs, former)
        call = payload.pack(args, kwargs, self.options.codec, self.name)
        message = self._message(payload.dump(call))
        for key, value in (("queue", queue), ("priority", priority), ("retries", retries),
                           ("timeout", timeout), ("keep", keep), ("dedupe", dedupe)):
            if value is not None:
                cast(dict[str, Any], message)[key] = value
        _put_times(message, eta, countdown, expires)
        if key := unique or self._unique_key(args, kwargs):
            message["unique"] = key
        if run := present.current():
            message["parent"] = run.id
        return message

    def _message(self, text: str) -> New:
        options = self.options
        message: New = {"name": self.name, "payload": text, "queue": options.queue,
                        "priority": options.priority, "retries": options.retries, "keep": options.keep}
        if options.timeout is not None:
            message["timeout"] = options.timeout
        return message

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], former: int) -> None:
        """Raises TypeError, as the call would."""
        try:
            self._signature.bind(*[None] * former, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{self._signature}: {error}") from None

    def _unique_key(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        unique = self.options.unique
        if not unique:
            return None
        if unique is True:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            text = _text((bound.args, bound.kwargs))
            key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        elif callable(unique):
            key = unique(*args, **kwargs)
        else:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            key = unique.format(**bound.arguments)
        return f"{self.name[-200:]} {key}"


def _text(value: Any) -> str:
    """The same for what is equal."""
    try:
        return json.dumps(value, sort_keys=True)
    except TypeError:  # what pickle carries
        return repr(value)


def admitted(admission: Admission, name: str) -> int:
    """Its id; raises Refused where it has none."""
    if "error" in admission:
        raise Refused(f"{name} was not enqueued: {admission['error']}", retry=admission.get("retry", False))
    return admission["id"]


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(*, queue: str | None = ..., retries: int = ..., backoff: Backoff = ...,
         timeout: float | None = ..., priority: int = ..., unique: Unique = ...,
         rate: str | None = ..., keep: float = ..., name: str | None = ..., codec: str = ...,
         retry_for: type[BaseException] | Sequence[type[BaseException]] = ...,
         no_retry_for: type[BaseException] | Sequence[type[BaseException]] = ...
         ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, *, queue: str | None = None, retries: int = 0,
         backoff: Backoff = 1.0, timeout: float | None = None, priority: int = 4,
         unique: Unique = None, rate: str | None = None, keep: float = 86400.0,
         name: str | None = None, codec: str = "json",
         retry_for: type[BaseException] | Sequence[type[BaseException]] = (),
         no_retry_for: type[BaseException] | Sequence[type[BaseException]] = ()) -> Any:
    """Makes a function a task: `@task`, or `@task(queue="mail", retries=3)`.

    retries: attempts after the first, where it raises what `retry_for` names (nothing named: whatever) and
        `no_retry_for` does not; before the nth a random time of up to `backoff`, doubled n-1 times and an
        hour at most. (first, factor, max) says it in full.
    timeout: seconds that an attempt may take; then onebox.DeadlineExceeded is raised in it.
    priority: 0 to 9; 9 is first.
    unique: one at a time waits or runs, with the same arguments (True), or with the same text of them: a
        format string or what a function makes of them. Who enqueues another gets the first one's id.
    rate: "10/s", "100/m": how many begin; such a task has a queue of its own unless one is named.
    keep: seconds for which its end can be asked for.
    codec: "pickle" carries what JSON cannot; whoever writes to the broker's socket can run code then.
    """
    def make(function: Callable[..., Any]) -> Task[..., Any]:
        refuse_coroutines(function)
        own = name or name_of(function)
        if len(own.encode()) > NAME_BYTES_MAX:
            raise ValueError(f"the name of a task has {NAME_BYTES_MAX} bytes at most: {own}")
        options = Options(queue or (own if rate else "default"), retries, _backoff(backoff), timeout, priority,
                          unique, rate, keep, codec, _classes(retry_for), _classes(no_retry_for))
        _check(own, options)
        return _register(Task(function, own, options))
    return make if function is None else make(function)


def refuse_coroutines(function: Callable[..., Any]) -> None:
    """Raises TypeError: a thread of a worker runs functions, and no event loop."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name_of(function)} is async: make it a function that calls asyncio.run()")


def queues() -> dict[str, dict[str, Any]]:
    """What the tasks say of theirs."""
    return {task.options.queue: {"rate": task.options.rate}
            for task in list(registry.values()) if task.options.rate}


def name_of(function: Callable[..., Any]) -> str:
    """`module:qualname`, which the module has wherever it is imported: also where it is __main__ here."""
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        if spec is not None:
            module = spec.name.removesuffix(".__main__")
        elif file := getattr(main, "__file__", None):
            module = Path(file).stem
    return f"{module}:{function.__qualname__}"


def _register(made: Task[P, R]) -> Task[P, R]:
    """A module that is imported anew, or a factory that is called again, may name its own again."""
    there = registry.get(made.name)
    if there and _place(there.function) != _place(made.function):
        raise ValueError(f"two tasks are named {made.name!r}: {_place(there.function)} and "
                         f"{_place(made.function)}; give one of them a name of its own")
    registry[made.name] = made
    return made


def _place(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{function.__qualname__}" if code else repr(function)


def _classes(given: type[BaseException] | Sequence[type[BaseException]]) -> tuple[type[BaseException], ...]:
    return (given,) if isinstance(given, type) else tuple(given)


def _backoff(given: Backoff) -> tuple[float, float, float]:
    first, factor, most = given if isinstance(given, tuple) else (given, 2.0, BACKOFF_MAX)
    if first < 0 or factor < 1 or most < 0:
        raise ValueError("backoff is seconds, or (first, factor, max) with a factor of 1 at least")
    return float(first), float(factor), float(most)


def _check(name: str, options: Options) -> None:
    """Raises ValueError."""
    wrong = [
        (options.codec not in payload.CODECS, f"codec is one of {', '.join(payload.CODECS)}"),
        (not 0 <= options.priority <= 9, "priority is 0 to 9"),
        (options.retries < 0, "retries is not negative"),
        (options.timeout is not None and options.timeout <= 0, "timeout is more than 0 seconds, or None"),
        (options.keep < 0, "keep is not negative"),
    ]
    for is_wrong, sentence in wrong:
        if is_wrong:
            raise ValueError(f"{name}: {sentence}")


def _put_times(message: New, eta: datetime | float | None, countdown: float | timedelta | None,
               expires: datetime | float | timedelta | None) -> None:
    if eta is not None and countdown is not None:
        raise TypeError("give eta or countdown, not both")
    if eta is not None:
        message["eta"] = eta.timestamp() if isinstance(eta, datetime) else eta
    if countdown is not None:
        message["countdown"] = _seconds(countdown)
    if isinstance(expires, datetime):
        message["expires"] = expires.timestamp()
    elif expires is not None:
        seconds = _seconds(expires)
        if seconds < 1e9:
            message["expires_in"] = seconds
        else:
            message["expires"] = seconds


def _seconds(length: float | timedelta) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else length
