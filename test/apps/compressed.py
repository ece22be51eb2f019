"""Responses that should be compressed, and some that must not be."""
from wsgiref.validate import validator

TEXT = (b"the same words again and again " * 1000)[:20_000]
PLAIN = ("Content-Type", "text/plain; charset=utf-8")
ANSWERS = {  # path: status, fields, body
    "/text": ("200 OK", [PLAIN], [TEXT]),
    "/tagged": ("200 OK", [PLAIN, ("ETag", '"strong"'), ("Content-Length", "20000")], [TEXT]),
    "/varied": ("200 OK", [PLAIN, ("Vary", "Cookie")], [TEXT]),
    "/parts": ("200 OK", [PLAIN], [TEXT] * 50),
    "/small": ("200 OK", [PLAIN], [b"small"]),
    "/picture": ("200 OK", [("Content-Type", "image/png")], [TEXT]),
    "/encoded": ("200 OK", [PLAIN, ("Content-Encoding", "deflate")], [TEXT]),
    "/no_transform": ("200 OK", [PLAIN, ("Cache-Control", "public, no-transform")], [TEXT]),
    "/partial": ("206 Partial Content", [PLAIN, ("Content-Range", "bytes 0-19999/90000")], [TEXT]),
    "/not_modified": ("304 Not Modified", [("ETag", '"strong"')], []),
    "/digest": ("200 OK", [PLAIN, ("Content-Digest", "sha-256=:YQ==:")], [TEXT]),
    "/events": ("200 OK", [("Content-Type", "text/event-stream")], [TEXT]),
}


def app(environ, start_response):
    status, fields, body = ANSWERS[environ["PATH_INFO"]]
    start_response(status, fields)
    return iter(body)


validated = validator(app)
