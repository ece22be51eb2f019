"""The cache that all workers share: each path is one call, its query the arguments as JSON."""
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs

from onebox import cache
from onebox.sessions import Sessions

HOLD = Path(os.environ.get("HOLD", "."))


def load(name):
    """Says that it has begun, waits for leave, and returns who it was."""
    (HOLD / f"{name}.{os.getpid()}").touch()
    while not (HOLD / f"{name} may end").exists():
        time.sleep(0.01)
    return os.getpid()


def count(key, times):
    for _ in range(times):
        cache.increment(key, 1, initial=0, keep=True)


def count_locked(key, times):
    """Loses counts where two have the lock at a time."""
    for _ in range(times):
        with cache.lock(key, lease=30):
            cache.set(key, (cache.get(key) or 0) + 1)


def write_whole(key, sizes, times):
    """Each value is one letter, as often as a size says; what is read must be one of these."""
    letters = "abcdefgh"
    for number in range(times):
        letter = letters[number % len(letters)]
        cache.set(key, letter * sizes[number % len(sizes)])
        found = cache.get(key)
        if found is not None and (len(set(found)) > 1 or len(found) not in sizes):
            return f"torn: {found[:100]!r}"
    return "whole"


def take_memory(size):
    taken.append(b"x" * size)


def login(user):
    sessions = Sessions()
    return sessions.create("text", ttl=60, user=user, mark=sessions.mark(user, time.monotonic()))


def session(id):
    found = Sessions().find(id)
    return found and found.user


def acquire(name):
    lock = cache.lock(name, lease=60)
    locks[name] = lock
    return lock.acquire(wait=0)


def hit(name):
    from onebox.limits import OneboxStorage
    return OneboxStorage("onebox://").acquire_entry(name, 3, 60)


locks = {}
taken = []
CALLS = {name: getattr(cache, name) for name in (
    "get", "set", "add", "replace", "delete", "increment", "touch", "purge", "clear", "get_many", "set_many")}
CALLS |= {"count": count, "count_locked": count_locked, "write_whole": write_whole,
          "pid": os.getpid, "take_memory": take_memory, "fill": lambda size, count: [
              cache.set(number, "x" * size) for number in range(count)].count(True),
          "load": lambda key, name, lease, tags=(): cache.get_or_set(
              key, lambda: load(name), ttl=60, lease=lease, tags=tags),
          "get_or_set": lambda key, value, **how: cache.get_or_set(key, lambda: value, **how),
          "login": login, "hit": hit, "session": session, "acquire": acquire,
          "logout": lambda user: Sessions().revoke_user(user, 60),
          "release": lambda name: locks[name].release()}


def app(environ, start_response):
    given = parse_qs(environ["QUERY_STRING"])
    arguments = json.loads(given.get("a", ["[]"])[0])
    named = json.loads(given.get("k", ["{}"])[0])
    arguments = [tuple(one) if isinstance(one, list) else one for one in arguments]
    result = CALLS[environ["PATH_INFO"][1:]](*arguments, **named)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]
