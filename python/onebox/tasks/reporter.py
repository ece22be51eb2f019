"""Tells the broker how the tasks of this worker have ended, and hears which of them are to end.

One thread, one connection. An outcome stays here until the broker has confirmed it: after a reconnect it
is sent again, and hello names all that this worker has, so that a broker that has died and come back gives
none of it to another.
"""
from __future__ import annotations

import json
import math
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from onebox import broker

OUTCOMES_MAX = 1000  # that wait to be confirmed; then tasks wait with theirs
OUTCOMES_BYTES_MAX = 64 << 20  # or so: of their results and tracebacks
ANSWER_SECONDS = 30.0  # that the broker may take to confirm, before the connection is made anew
PAUSE_SECONDS = (0.05, 1.0)  # before another connection: at first, at last
AGAIN_SECONDS = 1.0  # before what it could not take for the moment
SLICE_SECONDS = 0.25  # of a task's waiting, so that it can be interrupted
CLAIM_SECONDS = 5.0  # between two questions whether a name is ours
WHY_SECONDS = 1.0  # that a task waits to know why it was interrupted
GREETING_SECONDS = 1.0  # that a task waits for the greeting of the broker it came from

Key = tuple[int, int]  # a task's id and the token of its lease
Message = dict[str, Any]


class Reporter:
    """start() begins; all else may be called from any thread, and keeps no lock, since a deadline may be
    raised anywhere in a task's thread."""

    def __init__(self, worker: int, generation: int) -> None:
        self._about = {"worker": worker, "pid": os.getpid(), "generation": generation}
        self._running: dict[Key, None] = {}
        self._broker = ""  # whose greeting was heard last
        self._gone: set[str] = set()  # brokers before it, whose tasks are begun no more
        self._outcomes: dict[Key, Message] = {}  # until confirmed
        self._progress: dict[Key, float] = {}  # the newest, until sent
        self._told: set[Key] = set()  # outcomes that a broker may have taken, though it has not said so
        self._why: dict[Key, str] = {}
        self._claims: dict[str, Callable[[bool], None]] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._looks = 0  # how often all that had come was read
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="onebox-reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # --- for the threads that run tasks

    def begin(self, key: Key, broker: str) -> bool:
        """Whether it may run. Not where its broker has gone, and another one has been told what runs here: that
        gives it to somebody. A broker gives us tasks when it has heard our hello, and its own greeting may be on
        its way: it is waited for, since without it nobody can tell a broker that has come from one that went
        before it had greeted us."""
        self._running[key] = None  # before the look: a hello from now on names it
        until = time.monotonic() + GREETING_SECONDS
        while broker not in (self._broker, *self._gone) and time.monotonic() < until:
            time.sleep(0.001)
        return broker == self._broker and broker not in self._gone

    def ended(self, key: Key, outcome: Message) -> None:
        """`outcome` without its id and token. Waits where too many are there; may be called again."""
        while self._is_full() and key not in self._outcomes:
            time.sleep(SLICE_SECONDS)
        self._outcomes.setdefault(key, {**outcome, "id": key[0], "token": key[1]})
        self._running.pop(key, None)
        self.wake()

    def _is_full(self) -> bool:
        return len(self._outcomes) >= OUTCOMES_MAX or OUTCOMES_BYTES_MAX <= sum(
            len(outcome.get("result") or outcome.get("traceback") or "") for outcome in list(self._outcomes.values()))

    def progress(self, key: Key, progress: float) -> None:
        self._progress[key] = progress
        self.wake()

    def why(self, key: Key) -> str | None:
        """Why it is to end, as far as the broker has said: timeout, cancelled or stop."""
        look, until = self._looks, time.monotonic() + WHY_SECONDS
        self.wake()
        # One that has begun before we asked may have looked too early: two have to end.
        while key not in self._why and self._looks < look + 2 and time.monotonic() < until:
            time.sleep(0.001)
            self.wake()
        return self._why.get(key)

    def forget(self, key: Key) -> None:
        """The task has ended, and its outcome was given."""
        self._why.pop(key, None)

    def claim(self, name: str, hears: Callable[[bool], None]) -> None:
        """Of all task workers of the box one has that name, as long as it lives. Whether it is this one `hears`
        is told every CLAIM_SECONDS, by this thread: it must not block."""
        self._claims[name] = hears
        self.wake()

    def finish(self, seconds: float) -> int:
        """Ends the thread when all is confirmed, or after so many seconds; how many are not."""
        self._ends = True
        self.wake()
        self._thread.join(seconds)
        return len(self._outcomes)

    def wake(self) -> None:
        try:
            os.eventfd_write(self._wake, 1)
        except BlockingIOError:
            pass  # it is awake

    # --- its thread

    def _run(self) -> None:
        pause = PAUSE_SECONDS[0]
        while not self._is_over():
            try:
                connection = broker.Connection(time.monotonic() + broker.ANSWER_SECONDS)
            except (broker.Lost, broker.NoBroker):
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS[1])
                continue
            try:
                _Conversation(self, connection).run()
            except broker.Lost as error:
                if not self._is_over():
                    _tell(f"the broker is looked for again: {error}")
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS[1])
            else:
                pause = PAUSE_SECONDS[0]
            finally:
                connection.close()

    def _is_over(self) -> bool:
        return self._ends and not self._outcomes


class _Conversation:
    """With one broker, over one connection. Raises broker.Lost."""

    def __init__(self, reporter: Reporter, connection: broker.Connection) -> None:
        self._reporter = reporter
        self._socket = connection.detach()
        self._socket.setblocking(False)
        self._out = bytearray()
        self._in = bytearray()
        self._last = 0
        self._asked: dict[int, tuple[Key, Message]] = {}  # by n, in their order
        self._sent: set[Key] = set()  # outcomes that need not be sent again here
        self._told_before = set(reporter._told)
        self._later: dict[Key, float] = {}  # outcomes that it takes later
        self._claimed: dict[str, float] = {}  # when these names were asked for
        self._heard = time.monotonic()

    def run(self) -> None:
        with self._socket:
            self._hello()
            while not self._reporter._is_over():
                self._send_news()
                self._write()
                self._wait()
                self._read()
                self._reporter._looks += 1
                if self._asked and time.monotonic() - self._heard > ANSWER_SECONDS:
                    raise broker.Lost(f"it has not answered for {ANSWER_SECONDS:g} s")

    def _hello(self) -> None:
        if self._reporter._broker:
            self._reporter._gone.add(self._reporter._broker)  # before what runs is named
        held = [*self._reporter._running, *self._reporter._outcomes]
        self._ask((0, 0), {"op": "hello", **self._reporter._about, "held": held})

    def _ask(self, key: Key, message: Message) -> None:
        if not self._asked:
            self._heard = time.monotonic()
        self._last += 1
        self._asked[self._last] = key, message
        self._out += broker.encode({**message, "n": self._last})

    def _send_news(self) -> None:
        while self._reporter._progress:
            key, progress = self._reporter._progress.popitem()
            self._ask(key, {"op": "progress", "id": key[0], "token": key[1], "progress": progress})
        now = time.monotonic()
        for name in list(self._reporter._claims):
            if self._claimed.get(name, -math.inf) + CLAIM_SECONDS <= now:
                self._claimed[name] = now
                self._ask((0, 0), {"op": "claim", "name": name})
        for key, outcome in list(self._reporter._outcomes.items()):
            if key not in self._sent and self._later.get(key, 0) <= now:
                self._sent.add(key)
                self._reporter._told.add(key)
                self._later.pop(key, None)
                self._ask(key, outcome)

    def _write(self) -> None:
        try:
            while self._out:
                del self._out[:self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            raise broker.Lost(str(error)) from None

    def _wait(self) -> None:
        """Until something has come, or is to be sent; a second at most."""
        writes = [self._socket] if self._out else []
        seconds = min((AGAIN_SECONDS, *(at - time.monotonic() for at in self._later.values())))
        ready, _, _ = select.select([self._socket, self._reporter._wake], writes, [], max(seconds, 0))
        if self._reporter._wake in ready:
            os.eventfd_read(self._reporter._wake)

    def _read(self) -> None:
        try:
            while piece := self._socket.recv(1 << 16):
                self._in += piece
                self._take()
        except BlockingIOError:
            return
        except OSError as error:
            raise broker.Lost(str(error)) from None
        raise broker.Lost("it has closed the connection")

    def _take(self) -> None:
        """All messages that are whole."""
        while (body := broker.split(self._in)) is not None:
            self._heard = time.monotonic()
            message = json.loads(body)
            for id, token, why in message.get("cancel", ()):
                self._reporter._why[id, token] = why
            if "n" in message:
                self._answered(message)

    def _answered(self, answer: Message) -> None:
        key, message = self._asked.pop(answer["n"], ((0, 0), {}))
        match message.get("op"):
            case "hello":
                self._greeted(answer)
            case "progress":
                if answer.get("outcome") == "cancel_asked":
                    self._reporter._why.setdefault(key, "cancelled")
            case "claim" if "mine" in answer:
                self._reporter._claims[message["name"]](answer["mine"])
            case "done" | "failed" | "handed_back":
                self._confirmed(key, message, answer)

    def _greeted(self, answer: Message) -> None:
        if "error" in answer:
            raise broker.Lost(str(answer["error"]))
        self._reporter._broker = answer.get("broker", "")
        self._reporter._gone.discard(self._reporter._broker)  # the same, after all
        for id, token in answer.get("lost", ()):
            if (id, token) in self._reporter._running:
                _tell(f"task {id} runs here, and was given to another meanwhile")

    def _confirmed(self, key: Key, message: Message, answer: Message) -> None:
        id = key[0]
        if "error" in answer and answer.get("retry"):
            self._sent.discard(key)
            self._later[key] = time.monotonic() + AGAIN_SECONDS
            return
        outcome = answer.get("error") or answer.get("outcome")
        if outcome == "not_held" and key in self._told_before:
            pass  # taken by the broker of before, which died before it said so
        elif outcome == "not_held":
            _tell(f"how task {id} has ended comes too late: it was given to another, or cancelled")
        elif outcome != "done" and message["op"] == "done":
            self._sent.discard(key)
            self._reporter._outcomes[key] = _refused(message, str(outcome))
            return
        elif outcome != "done":
            _tell(f"how task {id} has ended is not taken by the broker: {outcome}")
        self._sent.discard(key)
        self._reporter._told.discard(key)
        self._reporter._outcomes.pop(key, None)


def _refused(message: Message, outcome: str) -> Message:
    """What is told in place of a result that the broker does not take; the same again would be refused too."""
    size = len(message.get("result") or "")
    why = {"too_large": f"its result of {size} bytes is larger than results may be: return less, or where it is",
           "next_refused": "the broker does not take what follows it in its chain"}.get(outcome, outcome)
    _tell(f"task {message['id']} has failed: {why}")
    return {"op": "failed", "id": message["id"], "token": message["token"], "traceback": why, "retry_in": None}


def _tell(sentence: str) -> None:
    print(f"onebox: {sentence}", file=sys.stderr, flush=True)


_own: Reporter | None = None  # of this process


def begin(worker: int, generation: int) -> Reporter:
    global _own
    _own = Reporter(worker, generation)
    _own.start()
    return _own


def progress(id: int, token: int, progress: float) -> None:
    """Of a task of this process; one of its children has nobody to tell."""
    if _own and _own._about["pid"] == os.getpid():
        _own.progress((id, token), progress)


def claim(name: str, hears: Callable[[bool], None]) -> None:
    """Of this process, which is a task worker."""
    if _own:
        _own.claim(name, hears)
