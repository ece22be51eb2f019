"""The worker class gevent: a greenlet for each request, all on one hub.

Nothing here may make a hub before the zygote has forked, nor import what patching has to come before.
"""
from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onebox._onebox import Exchange, Worker

VERSION_MIN = (22, 10)
READ = 1  # of libev's events

# Drivers in C whose waiting stops the hub, and with it every other request: and what does not.
BLOCKING_DRIVERS = {"MySQLdb": "PyMySQL"}


class Unusable(Exception):
    """The text says why this Python cannot run greenlets."""


def patch() -> None:
    """Makes the standard library wait by greenlets; raises Unusable. Before the app's import."""
    try:
        from gevent import __version__, monkey
    except ImportError as error:
        raise Unusable('worker_class = "gevent" needs the package gevent, which this Python does '
                       f"not have: {error}") from None
    # Not its version_info: that of 22.10 says 20.0.
    if tuple(map(int, __version__.split(".")[:2])) < VERSION_MIN:
        raise Unusable('worker_class = "gevent" needs gevent %d.%d or later' % VERSION_MIN
                       + f", not {__version__}")
    monkey.patch_all()


def version() -> str:
    import gevent
    return str(gevent.__version__)


def after_fork() -> None:
    """In a new worker: the hub that the app's import may have made is this process's own."""
    import gevent
    gevent.reinit()


def current() -> Callable[[], Any]:
    """What tells which greenlet runs."""
    import gevent
    return gevent.getcurrent  # type: ignore[no-any-return]


def advice() -> list[str]:
    """A sentence for each thing that the app has imported and that does not go with greenlets."""
    return [f"{module} waits for the database in C, where no other greenlet of the worker runs: "
            f'take {instead}, or worker_class = "threads"'
            for module, instead in BLOCKING_DRIVERS.items() if module in sys.modules]


def serve(worker: Worker, app: Callable[..., Any], greenlets: int) -> None:
    """Runs the app for each request, until the worker is drained."""
    import gevent

    from onebox._onebox import keep_stacks
    keep_stacks(greenlets)
    _Server(gevent, worker, app, greenlets).run()


class _Server:
    """All but run(), _run() and _wait() runs in the hub, so it must not wait for anything."""

    def __init__(self, gevent: ModuleType, worker: Worker, app: Callable[..., Any],
                 greenlets: int) -> None:
        from gevent.event import Event
        from gevent.hub import Waiter
        self._spawn = gevent.Greenlet.spawn
        self._new_waiter = Waiter
        self._loop = gevent.get_hub().loop
        self._worker = worker
        self._app = app
        self._greenlets = self._free = greenlets
        self._waiting: dict[Any, Exchange] = {}  # greenlets that wait for the front, by their Waiter
        self._taking = False  # _take() will be called anyway
        self._readable = self._loop.io(worker.fileno(), READ)
        self._later = self._loop.timer(0.0)
        self._signals, self._signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signal_came = self._loop.io(self._signals, READ)
        self._ended = Event()

    def run(self) -> None:
        # Python hears of a signal between two steps: one that comes just before the hub sleeps wakes it.
        signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)
        self._signal_came.start(self._hear)
        self._readable.start(self._attend)
        self._attend()
        self._ended.wait()
        signal.set_wakeup_fd(-1)
        for watcher in (self._signal_came, self._readable, self._later):
            watcher.close()

    def _hear(self) -> None:
        """Python runs, so it has called the signal's handler."""
        os.read(self._signals, 4096)

    def _attend(self) -> None:
        """A channel is ready, or it is time to look again for a front that has gone."""
        seconds = self._worker.attend()
        if seconds is not None:
            self._later.close()
            self._later = self._loop.timer(seconds)
            self._later.start(self._attend)
        self._throw()
        for waiter, exchange in list(self._waiting.items()):
            if waiter in self._waiting and not self._worker.held_back(exchange):
                waiter.switch(None)
        self._take()

    def _throw(self) -> None:
        """What ends requests that nobody waits for. Each waits somewhere now, since the hub runs, and is
        asked for just before: while one ends, another may end by itself."""
        while raised := self._worker.next_raised():
            greenlet, exception = raised
            greenlet.throw(exception)

    def _take_soon(self) -> None:
        """After the greenlets that are to run now: what comes meanwhile needs no wakeup."""
        if not self._taking:
            self._taking = True
            self._loop.run_callback(self._take)

    def _take(self) -> None:
        """Begins what is there, as long as a greenlet is free."""
        self._taking = False
        began = False
        while self._free > 0:
            exchange = self._worker.take()
            if exchange is None:
                if began or not self._worker.may_wait():
                    self._take_soon()
                elif self._worker.draining and self._free == self._greenlets:
                    self._ended.set()
                return
            began = True
            self._free -= 1
            self._spawn(self._run, exchange).rawlink(self._done)

    def _run(self, exchange: Exchange) -> None:
        self._worker.run(exchange, self._app, self._wait)

    def _done(self, _: Any) -> None:
        """A greenlet has ended, or was killed before it began."""
        self._free += 1
        if self._free == 1 or self._worker.draining:
            self._take_soon()

    def _wait(self, exchange: Exchange) -> None:
        """Until the front may have read what the exchange cannot send yet."""
        waiter = self._new_waiter()
        self._waiting[waiter] = exchange
        try:
            waiter.get()
        finally:
            del self._waiting[waiter]
