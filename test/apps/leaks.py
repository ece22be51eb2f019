"""An app that leaks a MiB a request, and says what its process has."""
import os

leaked = []


def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        leaked.append(b"x" * (1 << 20))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"leaks {os.getpid()}".encode()]
