"""One path for each thing that a WSGI app may do, right or wrong. State that a later request asks
for is in module variables: run it in one worker process."""
import gzip
import io
import os
import sys
import tempfile
import threading
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]
closed = []  # the names of the iterables whose close() was called, in order
events = {}  # name: threading.Event, set by /set/NAME, waited for by whoever wants
errors = []  # what an app's code met: the names of exceptions that Onebox raised in it


def event(name):
    return events.setdefault(name, threading.Event())


class Closing:
    """An iterable that remembers that it was closed, and how often."""

    def __init__(self, name, parts):
        self.name, self.parts = name, iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        closed.append(self.name)


class ByIndex:
    """Iterable only by __getitem__, as PEP 234 allows."""

    def __getitem__(self, index):
        return [b"one ", b"two ", b"three"][index]


class WithLength:
    """One part, and a length of one: Content-Length can be known."""

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([b"one two three"])


class Once:
    def __init__(self):
        self.parts = iter([b"one ", b"two ", b"three"])

    def __iter__(self):
        return self.parts


def generator():
    yield b"one "
    yield b""
    yield b"two "
    yield b"three"


ITERABLES = {
    "list": lambda: [b"one ", b"two ", b"three"],
    "tuple": lambda: (b"one two three",),
    "generator": generator,
    "iterator": lambda: iter([b"one ", b"two ", b"three"]),
    "map": lambda: map(bytes, [b"one ", b"two ", b"three"]),
    "by_index": ByIndex,
    "with_length": WithLength,
    "iterable": Once,
    "closing": lambda: Closing("iterable", [b"one ", b"two ", b"three"]),
    "file": lambda: io.BytesIO(b"one two three"),
}


# --- bodies ------------------------------------------------------------------

def iterable(environ, start_response, name):
    start_response("200 OK", TEXT)
    return ITERABLES[name]()


def empty(environ, start_response, name):
    start_response("200 OK", TEXT)
    return {"list": [], "bytes": [b""], "none": iter(())}[name]


def late_head(environ, start_response):
    """A generator may call start_response when its first part is asked for."""
    start_response("200 OK", TEXT)
    yield b"late"


def write(environ, start_response):
    put = start_response("200 OK", TEXT)
    put(b"one ")
    put(b"two ")
    return [b"three"]


def write_waits(environ, start_response):
    """What was written is with the client before the app goes on."""
    put = start_response("200 OK", TEXT)
    put(b"first")
    event("written").wait(20)
    put(b"second")
    return []


def stream(environ, start_response, name):
    """Server-sent events: each waits for a /set/NAME from the client."""
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])

    def parts():
        for number in range(3):
            yield b"data: %d\n\n" % number
            event(name).wait(20)
            event(name).clear()
    return Closing(name, parts())


def endless(environ, start_response, name):
    start_response("200 OK", TEXT)

    def parts():
        while True:
            yield b"x" * 65536
    return Closing(name, parts())


def large(environ, start_response, size):
    start_response("200 OK", TEXT + [("Content-Length", size)])
    return Closing("large", (b"x" * min(65536, int(size) - at)
                             for at in range(0, int(size), 65536)))


def compressible(environ, start_response, size):
    start_response("200 OK", TEXT + [("ETag", '"strong"')])
    return [(b"the same words again and again " * (int(size) // 31 + 1))[:int(size)]]


def no_body(environ, start_response, status):
    """Statuses that have no body, from an app that gives one all the same."""
    start_response(f"{status} Without", [] if status in ("204", "304") else TEXT)
    return Closing(status, [b"must not be sent"])


def status(environ, start_response, line):
    start_response(line.replace("_", " "), TEXT)
    return [b"body"]


# --- lengths -----------------------------------------------------------------

def too_long(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "3")])
    return [b"one two three"]


def too_short(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "20")])
    return [b"one two three"]


# --- errors ------------------------------------------------------------------

RAISED = {kind.__name__: kind for kind in (
    ValueError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, StopIteration,
    RecursionError)}


def raises(environ, start_response, name):
    raise RAISED[name]("a secret of the app")


def raises_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("a secret of the app")


def raises_in_body(environ, start_response):
    start_response("200 OK", TEXT)

    def parts():
        yield b"some "
        raise ValueError("a secret of the app")
    return Closing("raises_in_body", parts())


def raises_in_close(environ, start_response):
    start_response("200 OK", TEXT)

    class Raising(Closing):
        def close(self):
            super().close()
            raise ValueError("a secret of the app")
    return Raising("raises_in_close", [b"whole"])


def replaced(environ, start_response):
    """exc_info before the head is sent: the second head replaces the first."""
    start_response("200 OK", TEXT + [("X-First", "yes")])
    try:
        raise ValueError("a secret of the app")
    except ValueError:
        start_response("503 Later", TEXT + [("X-Second", "yes")], sys.exc_info())
    return [b"replaced"]


def too_late(environ, start_response):
    """exc_info after the head is sent: start_response raises the app's own exception."""
    start_response("200 OK", TEXT)(b"sent")
    try:
        raise ValueError("a secret of the app")
    except ValueError:
        try:
            start_response("500 Oops", TEXT, sys.exc_info())
        except ValueError as error:
            errors.append(f"again: {error}")
            raise
    return [b" never"]


def twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"twice"]


def never(environ, start_response):
    return [b"no start_response"]


def not_bytes(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text", "more"]


def not_iterable(environ, start_response):
    start_response("200 OK", TEXT)
    return 5


HEADS = {
    "value_crlf": ("200 OK", [("X-A", "a\r\nX-Injected: yes")]),
    "value_lf": ("200 OK", [("X-A", "a\nX-Injected: yes")]),
    "value_nul": ("200 OK", [("X-A", "a\0b")]),
    "value_wide": ("200 OK", [("X-A", "\u20ac")]),
    "value_bytes": ("200 OK", [("X-A", b"a")]),
    "name_space": ("200 OK", [("X A", "a")]),
    "name_colon": ("200 OK", [("X-A:", "a")]),
    "name_crlf": ("200 OK", [("X-A\r\nX-Injected", "yes")]),
    "name_empty": ("200 OK", [("", "a")]),
    "status_crlf": ("200 OK\r\nX-Injected: yes", []),
    "status_short": ("20 OK", []),
    "status_words": ("OK", []),
    "status_number": (200, []),
    "pairs_wrong": ("200 OK", [("X-A", "a", "b")]),
    "length_negative": ("200 OK", [("Content-Length", "-1")]),
    "length_words": ("200 OK", [("Content-Length", "many")]),
    "length_twice": ("200 OK", [("Content-Length", "4"), ("Content-Length", "5")]),
}


def head(environ, start_response, name):
    line, fields = HEADS[name]
    try:
        start_response(line, TEXT + fields if isinstance(line, str) else TEXT)
    except Exception as error:
        errors.append(f"{name}: {type(error).__name__}")
        raise
    return [b"body"]


def hop_by_hop(environ, start_response):
    """An app may not speak for the connection."""
    start_response("200 OK", TEXT + [("Connection", "close"), ("Transfer-Encoding", "chunked"),
                                     ("Keep-Alive", "timeout=5")])
    return [b"body"]


# --- the request's body ------------------------------------------------------

def body(environ, start_response, how):
    source = environ["wsgi.input"]
    ways = {
        "read": lambda: [source.read()],
        "read_size": lambda: list(iter(lambda: source.read(3), b"")),
        "read_none": lambda: [source.read(None)],
        "read_minus": lambda: [source.read(-1)],
        "read_zero": lambda: [source.read(0), source.read()],
        "read_more": lambda: [source.read(10 ** 9), source.read(), source.read(5)],
        "readline": lambda: list(iter(source.readline, b"")),
        "readline_size": lambda: list(iter(lambda: source.readline(4), b"")),
        "readlines": lambda: source.readlines(),
        "readlines_hint": lambda: source.readlines(1),
        "iteration": lambda: list(source),
        "mixed": lambda: [source.readline(), source.read(2), next(source), source.read()],
        "wrapped": lambda: list(io.TextIOWrapper(io.BufferedReader(Raw(source)), "latin-1")),
        "nothing": lambda: [],
    }
    answer = repr(ways[how]()).encode()
    start_response("200 OK", TEXT)
    return [answer]


class Raw(io.RawIOBase):
    def __init__(self, source):
        self.source = source

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.source.read(len(buffer))
        buffer[:len(data)] = data
        return len(data)


# --- files -------------------------------------------------------------------

def wrapped_file(environ, start_response, name):
    """wsgi.file_wrapper around: a real file, one part of it, one without a descriptor."""
    path = __file__
    if name == "real":
        source = open(path, "rb")
    elif name == "rest":
        source = open(path, "rb")
        source.seek(100)
    elif name == "shorter":  # a part of it, to its Content-Length
        start_response("200 OK", TEXT + [("Content-Length", "10")])
        return environ["wsgi.file_wrapper"](open(path, "rb"))
    elif name == "named":
        source = tempfile.NamedTemporaryFile()
        source.write(open(path, "rb").read())
        source.seek(0)
    elif name == "unpacked":  # its descriptor has other bytes than read() gives
        packed = tempfile.TemporaryFile()
        packed.write(gzip.compress(open(path, "rb").read()))
        packed.seek(0)
        source = gzip.open(packed)
    elif name == "memory":
        source = io.BytesIO(open(path, "rb").read())
    elif name == "plain":  # only read(): all that PEP 3333 asks of it
        data = [open(path, "rb").read(), b""]
        source = type("Plain", (), {"read": lambda self, size: data.pop(0)})()
    elif name == "with_length":
        source = open(path, "rb")
        start_response("200 OK", TEXT + [("Content-Length", str(os.path.getsize(path)))])
        return environ["wsgi.file_wrapper"](source, 8192)
    elif name == "closing":
        source = open(path, "rb")
        original = source.close

        class File:
            def __init__(self):
                self.fileno, self.read = source.fileno, source.read

            def close(self):
                closed.append("file")
                original()
        source = File()
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](source)


# --- what the tests ask afterwards ---------------------------------------------

def hinted(environ, start_response):
    """103s before the answer, whose body says which of them were refused."""
    hint, refused = environ["wsgi.early_hints"], []

    def try_to(hints, error):
        try:
            hint(hints)
        except error:
            refused.append(error.__name__)

    hint([("Link", "</a.css>; rel=preload"), ("Connection", "close"), ("X-Request-ID", "mine")])
    for wrong in ([("Link", "a\r\nB: c")], [("a b", "c")], [("Content-Length", "1")], [("Link", "x" * 9000)]):
        try_to(wrong, ValueError)
    for wrong in ("Link", [("Link", b"bytes")]):
        try_to(wrong, TypeError)
    write = start_response("200 OK", TEXT)
    for _ in range(15):
        hint([("X-More", "yes")])
    try_to([("X-More", "no")], RuntimeError)
    write(b"head, ")
    try_to([("X-More", "no")], RuntimeError)
    return [" ".join(refused).encode()]


def set_event(environ, start_response, name):
    event(name).set()
    start_response("200 OK", TEXT)
    return [b"set"]


def remembered(environ, start_response, what):
    start_response("200 OK", TEXT)
    return [" ".join({"closed": closed, "errors": errors}[what]).encode()]


def log(environ, start_response):
    print("a line for the log", file=environ["wsgi.errors"])
    environ["wsgi.errors"].write("two lines\nat once\n")
    environ["wsgi.errors"].writelines(["and ", "parts\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", TEXT)
    return [b"logged"]


PATHS = {
    "iterable": iterable, "empty": empty, "late_head": late_head, "write": write,
    "write_waits": write_waits, "stream": stream, "endless": endless, "large": large,
    "compressible": compressible, "no_body": no_body, "status": status, "too_long": too_long,
    "too_short": too_short, "raises": raises, "raises_after_start": raises_after_start,
    "raises_in_body": raises_in_body, "raises_in_close": raises_in_close, "replaced": replaced,
    "too_late": too_late, "twice": twice, "never": never, "not_bytes": not_bytes,
    "not_iterable": not_iterable, "head": head, "hop_by_hop": hop_by_hop, "body": body,
    "file": wrapped_file, "set": set_event, "remembered": remembered, "log": log, "hinted": hinted,
}


def app(environ, start_response):
    _, name, *argument = environ["PATH_INFO"].split("/", 2)
    return PATHS[name](environ, start_response, *argument)


validated = validator(app)
