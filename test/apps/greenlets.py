"""Looks at the greenlet that runs each request, and waits by gevent. For worker_class = "gevent"."""
import json
import resource
import time

import gevent
from gevent.event import Event
from gevent.local import local
from gevent.monkey import get_original, is_module_patched

TEXT = [("Content-Type", "text/plain")]
own = local()
events = {}  # name: Event, set by /set/NAME
requests = {}  # name: the greenlet that runs /endless/NAME or /waits/NAME
inside = most = 0  # requests in /sleep now, and at the same time so far


def event(name):
    return events.setdefault(name, Event())


def sleep(environ, start_response, seconds):
    global inside, most
    inside += 1
    most = max(most, inside)
    time.sleep(float(seconds))  # patched: other requests run
    inside -= 1
    start_response("200 OK", TEXT)
    return [b"slept"]


def most_inside(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"%d" % most]


def seen(environ, start_response):
    """What a greenlet may rely on."""
    current = gevent.getcurrent()
    fresh = not hasattr(own, "value") and not hasattr(current, "mark")
    own.value = current.mark = environ["PATH_INFO"]
    gevent.sleep(0)
    kept = own.value == environ["PATH_INFO"] and gevent.getcurrent() is current
    try:
        with gevent.Timeout(0.001):
            gevent.sleep(20)
        timeout = False
    except gevent.Timeout:
        timeout = True
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"greenlet": isinstance(current, gevent.Greenlet), "fresh": fresh,
                        "kept": kept, "timeout": timeout,
                        "multithread": environ["wsgi.multithread"],
                        "patched": is_module_patched("threading")}).encode()]


def endless(environ, start_response, name):
    """Sends without pause, so that it waits for a client that does not read."""
    requests[name] = gevent.getcurrent()
    start_response("200 OK", TEXT)

    def parts():
        try:
            while True:
                yield b"x" * 65536
        finally:
            event(name).set()
    return parts()


def waits(environ, start_response, name):
    requests[name] = gevent.getcurrent()
    event(name).wait(20)
    start_response("200 OK", TEXT)
    return [b"waited"]


def writes_elsewhere(environ, start_response):
    """write() in a greenlet of its own, on another stack."""
    put = start_response("200 OK", TEXT)
    other = gevent.spawn(lambda: [put(b"x" * 50_000) for _ in range(100)])
    other.get()
    return [b"end"]


def kill(environ, start_response, name):
    requests[name].kill(block=False)
    start_response("200 OK", TEXT)
    return [b"killed"]


def set_event(environ, start_response, name):
    event(name).set()
    start_response("200 OK", TEXT)
    return [b"set"]


def blocks(environ, start_response, seconds):
    """Stops the hub."""
    print("the hub stands still")
    get_original("time", "sleep")(float(seconds))
    start_response("200 OK", TEXT)
    return [b"blocked"]


def page_faults(environ, start_response, count):
    """How many more greenlets cost that run Python than such that need no stack of Python's."""
    def faults_of(work):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(int(count)):
            gevent.spawn(work).join()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    start_response("200 OK", TEXT)
    without = faults_of(dict)
    return [b"%d" % (faults_of(lambda: None) - without)]


PATHS = {"sleep": sleep, "most": most_inside, "seen": seen, "endless": endless, "waits": waits,
         "kill": kill, "set": set_event, "blocks": blocks, "writes_elsewhere": writes_elsewhere,
         "page_faults": page_faults}


def app(environ, start_response):
    _, name, *argument = environ["PATH_INFO"].split("/", 2)
    return PATHS[name](environ, start_response, *argument)
