#!/usr/bin/python3 -B
"""A client for large answers, beside wrk: it takes what the socket has, up to 1 MiB at a time,
where wrk takes 8 KiB.

    reader.py URL CONNECTIONS SECONDS      prints a line of JSON
"""
import json
import re
import select
import socket
import sys
import time

PIECE = 1 << 20
CLOSE_SECONDS = 30


def whole_answer(one: socket.socket, request: bytes) -> int:
    """The length of the answer, head and all; it is the same each time."""
    one.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = one.recv(1 << 16)
        if not piece:
            sys.exit("reader: the connection was closed instead of answered")
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not head.startswith(b"HTTP/1.1 200") or not length:
        sys.exit(f"reader: not 200 with a length: {head[:200]!r}")
    left = int(length[1]) - len(body)
    while left > 0:
        piece = one.recv(min(left, PIECE))
        if not piece:
            sys.exit("reader: an answer ended before its length")
        left -= len(piece)
    return len(head) + 4 + int(length[1])


def load(url: str, request: bytes, connections: int, seconds: float) -> dict[str, object]:
    host, port = url.removeprefix("http://").partition("/")[0].rsplit(":", 1)
    sockets = {}
    poll = select.epoll()
    size = 0
    began = time.perf_counter()
    for _ in range(connections):
        one = socket.create_connection((host, int(port)), timeout=CLOSE_SECONDS)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = whole_answer(one, request)
        one.setblocking(False)
        sockets[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    buffer = bytearray(PIECE)
    got = dict.fromkeys(sockets, 0)
    took: list[float] = []
    read, errors = size * connections, 0  # the first answers, which gave the size
    asked = dict.fromkeys(sockets, time.perf_counter())
    for one in sockets.values():
        one.sendall(request)
    while sockets and (now := time.perf_counter()) - began < seconds:
        for number, _ in poll.poll(0.1):
            one = sockets[number]
            try:
                count = one.recv_into(buffer)
            except BlockingIOError:
                continue
            except OSError:
                count = 0
            got[number] += count
            read += count
            if count == 0 or got[number] > size:
                errors += 1
                poll.unregister(one)
                del sockets[number]
                one.close()
            elif got[number] == size:
                now = time.perf_counter()
                took.append(now - asked[number])
                asked[number], got[number] = now, 0
                one.sendall(request)
    ran = time.perf_counter() - began
    took.sort()
    return {"requests": connections + len(took), "seconds": ran, "bytes": read, "errors": errors,
            "p50": took[len(took) // 2] if took else 0.0,
            "p99": took[len(took) * 99 // 100] if took else 0.0}


if __name__ == "__main__":
    where = sys.argv[1]
    path = "/" + where.removeprefix("http://").partition("/")[2]
    ask = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip, br\r\n\r\n".encode()
    print(json.dumps(load(where, ask, int(sys.argv[2]), float(sys.argv[3]))))
