#!/usr/bin/python3 -B
"""A client that asks at a steady rate, whatever the server does, and tells what became of each
request. It does as a good client does with connections that stay open: one that the server has
closed is not used again, and nothing is asked twice.

    pacer.py [--each] URL RATE COUNT CONNECTIONS TIMEOUT METHOD:PATH...     prints a line of JSON

With --each also, for each second in which requests were due, what each took, by outcome. What is asked for is taken in turn. A request's time counts from when it was due, so that a server
that stands still is seen to. At most CONNECTIONS are open; what is due while all are busy waits.
"""
import collections
import json
import re
import select
import socket
import sys
import time

BODY = b"{}"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
CLOSE = re.compile(rb"(?i)\r\nconnection: *close")
FAILED = ("reset", "timeout", "refused")


def request(host: str, ask: str) -> bytes:
    method, _, path = ask.partition(":")
    body = BODY if method == "POST" else b""
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode() + body


class Connection:
    """connecting -> idle <-> asked -> closed. `outcome` is told once for each request."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.socket.connect_ex(address)
        self.number = self.socket.fileno()
        self.connected = False
        self.method, self.due, self.asked = "", 0.0, 0.0
        self.answer = b""
        self.missing = -1  # bytes of the answer; -1: its head is not whole
        self.chunked = False

    def ask(self, method: str, data: bytes, due: float, now: float) -> None:
        self.method, self.due, self.asked = method, due, now
        self.answer, self.missing, self.chunked = b"", -1, False
        self.socket.send(data)

    def read(self) -> bool:
        """Takes what is there; whether an answer is whole. OSError, EOFError: there will be none."""
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise EOFError
        self.answer += piece
        if self.missing < 0:
            end = self.answer.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = LENGTH.search(self.answer, 0, end)
            self.chunked = bool(CHUNKED.search(self.answer, 0, end))
            self.missing = end + 4 + (int(length[1]) if length else 0)
        if self.chunked:
            return self.answer.endswith(b"0\r\n\r\n")
        return len(self.answer) >= self.missing

    def wants_to_close(self) -> bool:
        return bool(CLOSE.search(self.answer, 0, self.answer.find(b"\r\n\r\n")))


class Load:
    """All that is asked of one server, and how it went."""

    def __init__(self, url: str, asks: list[str], connections: int, timeout: float) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.address = (host, int(port))
        self.requests = [(ask.partition(":")[0], request(host, ask)) for ask in asks]
        self.connections_max, self.timeout = connections, timeout
        self.open: dict[int, Connection] = {}
        self.idle: collections.deque[Connection] = collections.deque()
        self.poll = select.epoll()
        self.outcomes: dict[str, collections.Counter[str]] = {
            method: collections.Counter() for method, _ in self.requests}
        self.took: list[float] = []
        self.began = 0.0
        self.each: dict[int, dict[str, list[float]]] = {}  # by second and outcome
        self.sent = self.busy = 0

    def run(self, rate: float, count: int) -> dict[str, object]:
        began = self.began = time.perf_counter()
        end = began + 2 * count / rate  # a server that is slower has twice the time
        looked = began
        while (now := time.perf_counter()) < end and self.sent < count or self.busy:
            due = min(count, int((now - began) * rate) + 1) if now < end else self.sent
            while self.sent < due and self.send(began + self.sent / rate, now):
                pass
            until_next = began + self.sent / rate - now if self.sent < count and now < end else 0.1
            for number, events in self.poll.poll(max(0.0, min(0.1, until_next))):
                self.hear(self.open[number], events)
            if now - looked > 0.1:
                looked = now
                self.give_up(now)
        ran = time.perf_counter() - began
        took = sorted(self.took)
        return {"seconds": ran, "outcomes": self.outcomes, "unsent": count - self.sent,
                "p50": took[len(took) // 2] if took else 0.0,
                "p99": took[len(took) * 99 // 100] if took else 0.0,
                "longest": took[-1] if took else 0.0}

    def send(self, due: float, now: float) -> bool:
        """Sends the next request, if a connection is there for it."""
        if not self.idle:
            if len(self.open) < self.connections_max:
                one = Connection(self.address)
                self.open[one.number] = one
                self.poll.register(one.number, select.EPOLLOUT)
            return False
        one = self.idle.popleft()
        method, data = self.requests[self.sent % len(self.requests)]
        self.sent += 1
        self.busy += 1
        try:
            one.ask(method, data, due, now)
        except OSError:
            self.finish(one, "reset")
        return True

    def hear(self, one: Connection, events: int) -> None:
        if not one.connected:
            error = one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.refuse(one)
                return
            one.connected = True
            self.poll.modify(one.number, select.EPOLLIN)
            self.idle.append(one)
            return
        try:
            whole = one.read()
        except BlockingIOError:
            return
        except (OSError, EOFError):
            whole = False
            if one.method:
                self.finish(one, "reset")
            else:  # it was idle: as is the server's right
                self.close(one)
        if whole and one.method:
            self.finish(one, one.answer[9:12].decode())

    def refuse(self, one: Connection) -> None:
        """Nobody listens: the request that is due next is lost by it."""
        self.close(one)
        method, _ = self.requests[self.sent % len(self.requests)]
        self.sent += 1
        self.outcomes[method]["refused"] += 1

    def finish(self, one: Connection, outcome: str) -> None:
        self.outcomes[one.method][outcome] += 1
        took = time.perf_counter() - one.due
        self.took.append(took)
        self.each.setdefault(int(one.due - self.began), {}).setdefault(outcome, []).append(took)
        one.method = ""
        self.busy -= 1
        if outcome in FAILED or one.wants_to_close():
            self.close(one)
        else:
            self.idle.append(one)

    def give_up(self, now: float) -> None:
        for one in [*self.open.values()]:
            if one.method and now - one.asked > self.timeout:
                self.finish(one, "timeout")

    def close(self, one: Connection) -> None:
        if one in self.idle:
            self.idle.remove(one)
        del self.open[one.number]
        self.poll.unregister(one.number)
        one.socket.close()


if __name__ == "__main__":
    each = sys.argv[1:2] == ["--each"]
    where, rate, count, connections, timeout, *asks = sys.argv[1 + each:]
    load = Load(where, asks, int(connections), float(timeout))
    report = load.run(float(rate), int(count))
    print(json.dumps({**report, "each": load.each} if each else report))
