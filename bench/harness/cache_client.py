"""One process, or several, that use a cache: how long each call takes, and whether anything is lost.

    python3 cache_client.py onebox|unix:PATH SECONDS PROCESSES

Prints JSON. Runs by itself: bench/harness/caches.py starts it.
"""
import json
import os
import resource
import sys
import time

VALUE = b"x" * 100
KEYS = 1000
BATCH = 200
SIZES = (10, 1_000, 50_000)


class Onebox:
    def __init__(self):
        from onebox import cache
        self.get, self.get_many = cache.get, cache.get_many
        self.set = lambda key, value: cache.set(key, value, ttl=600)
        self.increment = lambda key: cache.increment(key, 1, initial=0, keep=True)


class Redis:
    def __init__(self, path):
        import redis
        client = redis.Redis(unix_socket_path=path)
        self.get, self.increment = client.get, client.incr
        self.get_many = client.mget
        self.set = lambda key, value: client.set(key, value, ex=600)


def connect(which):
    return Onebox() if which == "onebox" else Redis(which.removeprefix("unix:"))


def timed(call, seconds):
    """(calls, seconds, CPU seconds of this process) of calls one after the other."""
    calls, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        for number in range(BATCH):
            call(number)
        calls += BATCH
    return calls, time.perf_counter() - began, time.process_time() - cpu


def alone(which, seconds):
    cache = connect(which)
    names = [f"key:{number}" for number in range(KEYS)]
    for name in names:
        cache.set(name, VALUE)
    assert cache.get(names[0]) == VALUE
    tens = [names[number:number + 10] for number in range(0, KEYS, 10)]
    large = b"x" * 100_000
    cache.set("large", large)
    calls = {
        "get, 100 B": lambda number: cache.get(names[number]),
        "get, nothing there": lambda number: cache.get("nothing"),
        "set, 100 B": lambda number: cache.set(names[number], VALUE),
        "increment": lambda number: cache.increment("count"),
        "get_many, 10 of 100 B": lambda number: cache.get_many(tens[number % len(tens)]),
        "get, 100 kB": lambda number: cache.get("large"),
        "set, 100 kB": lambda number: cache.set("large", large),
    }
    return {name: timed(call, seconds) for name, call in calls.items()}


def hammer(which, seconds, processes):
    """All at once: a third of the calls each count, write a value of one letter, and read it."""
    if which == "onebox":
        import onebox.cache  # its memory is then the children's too
        onebox.cache.set("made", 1)
    ends = []
    for number in range(processes):
        reader, writer = os.pipe()
        if os.fork() == 0:
            cache = connect(which)
            letter = bytes([ord("a") + number])
            counted = torn = 0
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                for step in range(BATCH // 3):
                    cache.increment("hammered")
                    cache.set("letters", letter * SIZES[step % len(SIZES)])
                    found = cache.get("letters")
                    torn += found is not None and (len(found) not in SIZES or found.count(found[:1]) != len(found))
                counted += BATCH // 3
            os.write(writer, json.dumps([counted, torn, time.perf_counter() - began]).encode())
            os._exit(0)
        os.close(writer)
        ends.append(reader)
    found = [json.loads(os.read(end, 1000)) for end in ends]
    for _ in ends:
        os.wait()
    counted = sum(row[0] for row in found)
    total = int(connect(which).get("hammered"))
    return {"calls": 3 * counted, "seconds": max(row[2] for row in found), "lost": counted - total,
            "torn": sum(row[1] for row in found),
            "cpu": sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])}


def main():
    which, seconds, processes = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    print(json.dumps({"alone": alone(which, seconds), "hammer": hammer(which, seconds, processes)}))


main()
