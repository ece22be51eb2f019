#!/usr/bin/python3 -B
"""handshakes.py URL SECONDS [--resume]: TLS connections one after the other, each for one request; with
--resume each continues the session of the one before. On standard output JSON: how many, how many of
them were resumed, and what one took."""
import json
import ssl
import socket
import statistics
import sys
import time
import urllib.parse
from typing import Optional

ANSWER_BYTES_MAX = 1 << 16


def one(context: ssl.SSLContext, address: tuple[str, int], request: bytes,
        session: Optional[ssl.SSLSession]) -> tuple[bool, int, Optional[ssl.SSLSession]]:
    """Whether it was resumed, the bytes of the answer, and the session to go on with."""
    with socket.create_connection(address, timeout=30) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as browsers and curl do
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
            return ask(secure, request)


def ask(secure: ssl.SSLSocket, request: bytes) -> tuple[bool, int, Optional[ssl.SSLSession]]:
    secure.sendall(request)
    answer = b""
    while piece := secure.recv(ANSWER_BYTES_MAX):
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"not 200: {answer[:100]!r}")
    return bool(secure.session_reused), len(answer), secure.session


def main() -> None:
    parts = urllib.parse.urlsplit(sys.argv[1])
    seconds, resume = float(sys.argv[2]), "--resume" in sys.argv
    address = str(parts.hostname), parts.port or 443
    request = (f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n").encode()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    took: list[float] = []
    resumed = count = 0
    session = one(context, address, request, None)[2] if resume else None
    began = now = time.perf_counter()
    while now < began + seconds:
        reused, size, last = one(context, address, request, session)
        session = last if resume else None
        resumed, count = resumed + reused, count + size
        took.append(-now + (now := time.perf_counter()))
    took.sort()
    print(json.dumps({"requests": len(took), "seconds": now - began, "bytes": count,
                      "p50": statistics.median(took), "p99": took[len(took) * 99 // 100],
                      "errors": len(took) - resumed if resume else resumed}))


if __name__ == "__main__":
    main()
