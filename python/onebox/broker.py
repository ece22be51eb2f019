"""The client of the box's broker: one connection for each thread or greenlet.

A message is a length of four bytes, the lowest first, and a JSON object.
"""
from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from onebox.engines import Admission, BrokerLost, Cancelling, New, NoBroker, Refused, Status

MESSAGE_BYTES_MAX = 8 << 20
ANSWER_SECONDS = 10.0  # that a connection and then an answer may take
SLICE_SECONDS = 0.25  # of waiting: what is raised in this thread from outside arrives between two
PAUSE_SECONDS = 0.05  # before another try

_HEAD = struct.Struct("<I")
_numbers = itertools.count(1)
# What may be asked again where it is not known whether it was done.
REPEATABLE = frozenset({"declare", "status", "wait", "members", "cancel", "pause", "queues", "list", "jobs",
                        "job_history", "job_pause", "job_resume", "claim"})


def path() -> str:
    """Of the broker's socket; raises NoBroker."""
    found = os.environ.get("ONEBOX_BROKER")
    if not found and (app := os.environ.get("ONEBOX_APP")):
        raise NoBroker(f"tasks and jobs are of the app of [app] alone, and this is {app} of [[app.also]]")
    if not found:
        raise NoBroker("no broker is there: this process was not started by `onebox run`. A shell or script on the "
                       "same machine finds that of a box by ONEBOX_BROKER=DATA/broker, with the folder that the "
                       "box's option data names; a test runs tasks at once with ONEBOX_TASKS_ENGINE=eager")
    return found


def call(op: str, fields: Mapping[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS,
         repeatable: bool | None = None) -> dict[str, Any]:
    """The broker's answer, within `seconds`. Raises Refused, BrokerLost or NoBroker. `repeatable`: whether it
    may be asked again where the connection has broken before the answer; None: as REPEATABLE says."""
    number = next(_numbers)
    frame = encode({"op": op, "n": number, **(fields or {})})
    until = time.monotonic() + seconds
    again = op in REPEATABLE if repeatable is None else repeatable
    while True:
        sent = False
        try:
            connection = _connection(until)
            connection.send(frame, until)
            sent = True
            answer = connection.receive(until)
            if answer.pop("n", None) != number:
                raise Lost("the broker has answered another question")
            break
        except Lost as error:
            close()
            if sent and not again:
                raise BrokerLost(f"{op}: {error}; whether it was done is not known", unknown=True) from None
            if time.monotonic() + PAUSE_SECONDS >= until:
                raise BrokerLost(f"{op}: {error}", unknown=sent) from None
            time.sleep(PAUSE_SECONDS)
        except BaseException:  # from outside, as a deadline: the answer would be taken for another's
            close()
            raise
    if "error" in answer:
        raise Refused(str(answer["error"]), retry=bool(answer.get("retry")))
    return answer


def encode(message: dict[str, Any]) -> bytes:
    """Raises Refused."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MESSAGE_BYTES_MAX:
        raise Refused(f"a message to the broker has {MESSAGE_BYTES_MAX} bytes at most, not {len(body)}")
    return _HEAD.pack(len(body)) + body


def split(buffer: bytearray) -> bytes | None:
    """The first message, which is taken out of `buffer`; None where it is not whole. Raises Lost."""
    if len(buffer) < _HEAD.size:
        return None
    length, = _HEAD.unpack_from(buffer)
    if length > MESSAGE_BYTES_MAX:
        raise Lost(f"the broker sent a message of {length} bytes")
    if len(buffer) < _HEAD.size + length:
        return None
    body = bytes(buffer[_HEAD.size:_HEAD.size + length])
    del buffer[:_HEAD.size + length]
    return body


class Lost(Exception):
    """A connection that is of no use any more, and why."""


class Connection:
    """To the broker. Raises Lost."""

    def __init__(self, until: float) -> None:
        self.pid = os.getpid()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            self._socket.connect(path())
        except OSError as error:
            self._socket.close()
            raise Lost(f"the broker cannot be reached: {error}") from None

    def send(self, frame: bytes, until: float) -> None:
        try:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            self._socket.sendall(frame)
        except OSError as error:
            raise Lost(f"the broker took no question: {error}") from None

    def receive(self, until: float) -> dict[str, Any]:
        length, = _HEAD.unpack(self._read(_HEAD.size, until))
        if length > MESSAGE_BYTES_MAX:
            raise Lost(f"the broker sent a message of {length} bytes")
        answer = json.loads(self._read(length, until))
        if not isinstance(answer, dict):
            raise Lost("the broker sent no object")
        return answer

    def detach(self) -> socket.socket:
        """Its socket, which is the caller's."""
        return socket.socket(fileno=self._socket.detach())

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:  # its thread has ended
        self.close()

    def _read(self, count: int, until: float) -> bytes:
        found = bytearray()
        while len(found) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise Lost("the broker did not answer in time")
            try:
                self._socket.settimeout(min(left, SLICE_SECONDS))
                piece = self._socket.recv(min(count - len(found), 1 << 16))
            except TimeoutError:
                continue
            except OSError as error:
                raise Lost(f"the broker's connection broke: {error}") from None
            if not piece:
                raise Lost("the broker has closed the connection")
            found += piece
        return bytes(found)


_own = threading.local()


def _connection(until: float) -> Connection:
    there: Connection | None = getattr(_own, "connection", None)
    if there is None or there.pid != os.getpid():  # after a fork it is the parent's
        there = _own.connection = Connection(until)
    return there


def close() -> None:
    """That of this thread; another call makes a new one."""
    there: Connection | None = getattr(_own, "connection", None)
    _own.connection = None
    if there is not None:
        there.close()


class BrokerEngine:
    """Tasks in the box's own broker."""

    def enqueue(self, tasks: Sequence[New]) -> list[Admission]:
        answer = call("enqueue", {"tasks": list(tasks)}, repeatable=all("dedupe" in task for task in tasks))
        return answer["tasks"]  # type: ignore[no-any-return]

    def group(self, members: Sequence[New], callback: New) -> tuple[int, list[int]]:
        answer = call("group", {"members": list(members), "callback": callback})
        return answer["callback"], answer["members"]

    def status(self, ids: Sequence[int]) -> list[Status | None]:
        return call("status", {"ids": list(ids)})["tasks"]  # type: ignore[no-any-return]

    def wait(self, id: int, seconds: float) -> Status | None:
        answer = call("wait", {"id": id, "seconds": seconds}, seconds=seconds + ANSWER_SECONDS)
        return answer["task"]  # type: ignore[no-any-return]

    def members(self, id: int) -> list[Status]:
        return call("members", {"id": id})["tasks"]  # type: ignore[no-any-return]

    def cancel(self, ids: Sequence[int]) -> list[Cancelling]:
        return call("cancel", {"ids": list(ids)})["outcomes"]  # type: ignore[no-any-return]

    def progress(self, id: int, token: int, progress: float) -> None:
        from onebox.tasks import reporter
        reporter.progress(id, token, progress)
