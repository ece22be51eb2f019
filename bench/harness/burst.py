#!/usr/bin/python3 -B
"""burst.py URL CONNECTIONS SECONDS: as many requests at once as there are connections, again and
again; on standard output JSON: the bursts, and the median seconds from the first byte sent to the
last answer. One request alone is timed too, as the least that a burst can take."""
import json
import re
import select
import socket
import statistics
import sys
import time

ANSWER_BYTES_MAX = 1 << 16


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def burst(connections: list[socket.socket], request: bytes) -> float:
    """Seconds until each connection has its whole answer."""
    poll = select.epoll()
    for one in connections:
        poll.register(one, select.EPOLLIN)
    waiting = {one.fileno(): one for one in connections}
    answers = dict.fromkeys(waiting, b"")
    began = time.perf_counter()
    for one in connections:
        one.sendall(request)
    while waiting:
        for number, _ in poll.poll(30) or sys.exit("an answer did not come within 30 s"):
            piece = waiting[number].recv(ANSWER_BYTES_MAX)
            answers[number] += piece
            if not piece or not answers[number].startswith(b"HTTP/1.1 200"):
                sys.exit(f"not 200: {answers[number][:100]!r}")
            if is_whole(answers[number]):
                poll.unregister(number)
                del waiting[number]
    poll.close()
    return time.perf_counter() - began


def main() -> None:
    url, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    place, _, path = url.removeprefix("http://").partition("/")
    host, _, port = place.partition(":")
    connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(count)]
    request = f"GET /{path} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()
    burst(connections, request)
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        found.append(burst(connections, request))
        time.sleep(0.02)  # both sides come to rest
    alone = [burst(connections[:1], request) for _ in range(20)]
    print(json.dumps({"requests": count * len(found) + 20, "seconds": sum(found),
                      "median": statistics.median(found), "longest": max(found),
                      "alone": statistics.median(alone)}))


if __name__ == "__main__":
    main()
