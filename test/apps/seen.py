"""Answers every request with what the app has seen of it, as JSON."""
import json
import os
from wsgiref.validate import validator


def app(environ, start_response):
    body = environ["wsgi.input"].read(-1)  # the validator wants a size
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    seen["body"] = body.decode("latin-1")
    seen["body_bytes"] = len(body)
    seen["pid"] = os.getpid()
    seen["os_environ"] = {name: value for name, value in os.environ.items()
                          if name.startswith("SEEN_")}
    answer = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(answer)))])
    return [answer]


validated = validator(app)
