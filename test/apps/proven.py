"""Tasks that write down each run of theirs, and who enqueues them: what test/system/queue_proof.py looks at.

A line of $PROOF is appended in one piece: what happened, then its words. Tasks have numbers, each its own:

    asked NUMBER ETA        it is about to be enqueued; ETA 0: at once
    told NUMBER ID          its enqueuing was confirmed; ID 0: it is a step of a chain that follows
    unknown NUMBER          the answer was lost
    begin, fails, end NUMBER ID TOKEN PID TIME
    ack ID TOKEN OP PID TIME    the broker has confirmed that end to the task worker

    python3 proven.py enqueue SEED FIRST LAST PART PARTS RATE      as one of PARTS, RATE tasks a second
    python3 proven.py behind COUNT                                 tasks after one that kills its worker
    python3 proven.py figures | states | revive                    of the broker, as JSON
"""
import json
import os
import random
import signal
import sys
import time

from onebox import broker, chain, current, group, task
from onebox.tasks import BrokerLost, Refused, reporter

CHUNK = 20  # numbers that are enqueued by one request
AHEAD_SECONDS = 3.0
ASKED_AT_ONCE = 500
file = os.open(os.environ["PROOF"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def note(*words):
    os.write(file, (" ".join(map(str, words)) + "\n").encode())


def note_run(what, number):
    run = current()
    note(what, number, run.id, run.token, os.getpid(), f"{time.time():.9f}")


# --- tasks

@task(retries=3, backoff=(0.02, 2, 0.2))
def works(number, failures=0):
    note_run("begin", number)
    time.sleep(number % 8 / 1000)
    run = current()
    if run.attempt - run.deaths <= failures:
        note_run("fails", number)
        raise ValueError(f"{number} is to fail {failures} times")
    note_run("end", number)
    return number


@task(retries=5)
def follows(_before, number):
    works.function(number)


@task
def kills():
    os.kill(os.getpid(), signal.SIGKILL)


# Who is told what: the broker's answer to a task worker.
_confirmed = reporter._Conversation._confirmed


def _confirmed_and_noted(self, key, message, answer):
    if answer.get("outcome") == "done":
        note("ack", *key, message["op"], os.getpid(), f"{time.time():.9f}")
    _confirmed(self, key, message, answer)


reporter._Conversation._confirmed = _confirmed_and_noted


# --- who enqueues

def units(seed, first, count=CHUNK):
    """What the numbers from `first` on are: (kind, its numbers). The same for the same seed."""
    choose = random.Random(f"{seed} {first}")
    left = list(range(first, first + count))
    while left:
        kind = choose.choices(["plain", "late", "fails", "group", "chain"], [60, 10, 10, 4, 6])[0]
        size = {"group": 6, "chain": 3}.get(kind, 1)
        if size <= len(left):
            yield kind, left[:size]
            del left[:size]


def call_of(kind, numbers, eta):
    """What enqueues it, and gives the ids of its numbers."""
    if kind == "group":
        made = group([works.s(number) for number in numbers[:-1]], callback=follows.s(numbers[-1]))
        result = made.delay()
        return [*result._first, result.id]
    if kind == "chain":
        result = chain(works.s(numbers[0]), follows.s(numbers[1]), follows.s(numbers[2])).delay()
        return [result._first[0], 0, result.id]
    failures = 2 if kind == "fails" else 0
    return [works.apply_async((numbers[0], failures), eta=eta or None).id]


def enqueue(seed, first):
    """A chunk. What was surely not enqueued is tried again; what may be there is not."""
    for kind, numbers in units(seed, first):
        eta = time.time() + random.uniform(0, AHEAD_SECONDS) if kind == "late" else 0
        for number in numbers:
            note("asked", number, f"{eta:.9f}")
        while True:
            try:
                ids = call_of(kind, numbers, eta)
            except BrokerLost as error:
                if not error.unknown:
                    continue
                for number in numbers:
                    note("unknown", number)
            except Refused as error:
                if not error.retry:
                    raise
                time.sleep(0.1)
                continue
            else:
                for number, id in zip(numbers, ids):
                    note("told", number, id)
            break


def behind_a_killer(count):
    """The ids of a task that kills its worker, and of those that come after it. Before it are quick ones, so that
    its worker is sent some ahead."""
    messages = [works.message((8 * number,)) for number in range(50 + count)]
    ids = [one["id"] for one in broker.call("enqueue", {"tasks": [
        *messages[:50], kills.message(), *messages[50:]]})["tasks"]]
    return ids[50:]


def app(environ, start_response):
    _, what, *words = environ["PATH_INFO"].split("/")
    if what == "enqueue":
        enqueue(words[0], int(words[1]))
    start_response("200 OK", [("Content-Length", "0")])
    return []


def enqueue_all(seed, first, last, part, parts, rate):
    began = time.monotonic()
    for place, chunk in enumerate(range(first + part * CHUNK, last, parts * CHUNK)):
        time.sleep(max(0.0, began + place * CHUNK / rate - time.monotonic()))
        enqueue(seed, chunk)


def figures():
    return broker.call("queues", seconds=60)["queues"]


def states(ids):
    """{id: [its state, workers that died of it]}"""
    found = {}
    for at in range(0, len(ids), ASKED_AT_ONCE):
        asked = ids[at:at + ASKED_AT_ONCE]
        tasks = broker.call("status", {"ids": asked}, seconds=60)["tasks"]
        found.update({id: [one["state"], one["deaths"]] if one else ["unknown", 0]
                      for id, one in zip(asked, tasks)})
    return found


def revive():
    """The dead letters, as somebody would by hand; how many workers each has cost."""
    dead = broker.call("list", {"state": "dead", "limit": 1000}, seconds=60)["tasks"]
    broker.call("retry", {"ids": [one["id"] for one in dead]}, seconds=60)
    return [one["deaths"] for one in dead]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["enqueue", seed, first, last, part, parts, rate]:
            enqueue_all(seed, int(first), int(last), int(part), int(parts), float(rate))
        case ["behind", count]:
            print(json.dumps(behind_a_killer(int(count))))
        case ["states"]:
            print(json.dumps(states(json.load(sys.stdin))))
        case ["figures"]:
            print(json.dumps(figures()))
        case ["revive"]:
            print(json.dumps(revive()))
