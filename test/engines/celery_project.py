"""An app whose tasks run on Celery. HOLD is a folder by which tasks and tests speak."""
import os
import signal
import time
from pathlib import Path

from flask import Flask, current_app

import onebox
from onebox.tasks import Retry, current, task

HOLD = Path(os.environ.get("HOLD", "/nonexistent"))
app = Flask(__name__)
app.config["GREETING"] = "hello"


def touch(name):
    with open(HOLD / name, "a") as file:
        file.write("x")


def wait_for(name):
    while not (HOLD / name).exists():
        time.sleep(0.01)


@task
def add(a, b):
    return a + b


@task
def total(numbers):
    return sum(numbers)


@task
def greet():
    return current_app.config["GREETING"]


@task(queue="slow", retries=2, backoff=0.01)
def unsteady(name, failures):
    touch(name)
    if current().attempt <= failures:
        raise ValueError(f"attempt {current().attempt} of {name}")
    return current().attempt


@task(retries=5, no_retry_for=KeyError)
def wrong():
    raise KeyError("gone")


@task(retries=3)
def again():
    if current().attempt < 3:
        raise Retry(countdown=0.01)
    return current().attempt


@task(timeout=1)
def late():
    try:
        time.sleep(60)
    except onebox.DeadlineExceeded:
        touch("late")
        raise


@task
def holds(name):
    touch(f"{name}-begun")
    wait_for(f"{name}-go")
    return name


@task
def tells():
    onebox.progress(0.25)
    touch("told")
    wait_for("tells-go")


@task
def dies():
    touch("died")
    if current().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return current().deaths


@task
def starts(name):
    return add.delay(1, 2).id, str(current().queue), name


@task(unique=True)
def only_one(name):
    return name


@task(queue="ordered", timeout=30)
def ordered(name):
    with open(HOLD / "order", "a") as file:
        file.write(name)
