#!/usr/bin/python3 -B
"""tls_idle.py URL COUNT: so many TLS connections, each of which has had one answer and waits. Says "open" when
all are, "closed" if the server closes one, and stays until it is ended."""
import resource
import select
import socket
import ssl
import sys
import urllib.parse

ANSWER_BYTES_MAX = 1 << 16


def main() -> None:
    parts, count = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    opened, poll = [], select.epoll()
    for number in range(count):
        # From several addresses: one has too few ports for what is open and what has been.
        plain = socket.create_connection((str(parts.hostname), parts.port or 443), timeout=30,
                                         source_address=(f"127.0.0.{1 + number % 8}", 0))
        secure = context.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer) < 1024:  # what is asked for is 1 KiB
            piece = secure.recv(ANSWER_BYTES_MAX)
            if not piece:
                sys.exit(f"closed instead of answered: {answer[:100]!r}")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(f"not 200: {answer[:100]!r}")
        opened.append(secure)
        poll.register(secure, select.EPOLLRDHUP)
    print("open", flush=True)
    poll.poll()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
