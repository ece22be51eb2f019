"""Answers with the process that was asked for that path first, of those that this one was forked from."""
import os

first = {}


def app(environ, start_response):
    path = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
    pid = first.setdefault(path, os.getpid())
    if path.startswith("/raises"):
        raise RuntimeError("not today")
    start_response("404 Not Found" if path.startswith("/missing") else "200 OK",
                   [("Content-Type", "text/plain")])
    return [f"first {pid}".encode()]
