"""An app that has work done by tasks. Files in the folder HOLD say what has begun and may go on: NAME.begun has a
line for each attempt, NAME.go lets it end."""
import os
import time
from pathlib import Path

import flask

import onebox
from onebox import chain, current, group, progress, task
from onebox.tasks import BrokerLost, Result, TaskError

HOLD = Path(os.environ.get("HOLD", "."))
app = flask.Flask("tasked")


def began(name):
    with (HOLD / f"{name}.begun").open("a") as file:
        file.write(f"{os.getpid()} {current().attempt} {current().deaths}\n")


@task
def add(first, second=0):
    return first + second


@task
def total(numbers):
    return sum(numbers)


@task
def around():
    return [flask.current_app.name, os.getpid()]


@task(retries=2, backoff=0.01)
def fails(name):
    began(name)
    raise ValueError("not today")


@task(retries=3, backoff=0.01)
def waits(name):
    """In pieces, as code that waits for something does."""
    began(name)
    while not (HOLD / f"{name}.go").exists():
        time.sleep(0.01)
    return [name, current().attempt, current().deaths]


@task(timeout=1, retries=1, backoff=0.01)
def late(name):
    began(name)
    try:
        while True:
            time.sleep(0.01)
    except onebox.DeadlineExceeded:
        (HOLD / f"{name}.late").touch()
        raise


@task
def kills(name):
    began(name)
    os._exit(1)


@task
def leaps():
    progress(0.25)
    while current() and not (HOLD / "leaps.go").exists():
        time.sleep(0.01)


@task(unique="{name}")
def alone(name):
    waits.function(name)


@task
def returns(size):
    return "x" * size


MADE = {
    "chain": lambda: chain(add.s(1, 2), add.s(3), add.si(10, 5), add.s(1)),
    "group": lambda: group(add.s(number, number) for number in range(50)),
    "callback": lambda: group([chain(add.s(1), add.s(2)), add.s(4)], callback=total.s()),
    "gates": lambda: chain(add.s(1, 2), group(add.s(1), add.s(2)), total.s(), group(add.s(10), add.s(20)), total.s(),
                           add.s(100)),
    "broken": lambda: chain(add.s(1), add.s("x"), add.s(2)),
    "held": lambda: chain(waits.s("held"), group(add.s([1]), add.s([2])), add.s([3]), add.s([4])),
}


@app.post("/enqueue/<name>")
def enqueue(name):
    """How it is called is the body: args, kwargs and the rest."""
    found = onebox.tasks.registry[f"tasked:{name}"]
    how = flask.request.get_json()
    try:
        return {"id": found.apply_async(how.pop("args", ()), how.pop("kwargs", None), **how).id}
    except BrokerLost as error:
        return {"error": str(error), "unknown": error.unknown}, 503
    except (TaskError, TypeError) as error:
        return {"error": str(error)}, 400


@app.post("/make/<name>")
def make(name):
    made = MADE[name]().delay()
    return {"id": made.id, "value": made.get(30)} if flask.request.args.get("get") else {"id": made.id}


@app.get("/get/<int:id>")
def get(id):
    try:
        return {"value": Result(id).get(30)}
    except (TaskError, TimeoutError) as error:
        return {"error": str(error), "kind": type(error).__name__}


@app.get("/status/<int:id>")
def status(id):
    return Result(id).info() or {}


@app.post("/cancel/<int:id>")
def cancel(id):
    return {"outcome": Result(id).cancel()}
