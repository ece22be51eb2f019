"""Tasks and jobs that are looked at: each path is one call of this module, its query the arguments as JSON."""
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs

from onebox import current, job, progress, task

HOLD = Path(os.environ.get("HOLD", "."))


@task
def add(a, b):
    return a + b


@task(queue="mail", rate="1000/s", retries=0)
def fails(text):
    raise ValueError(text)


@task
def held(name):
    """Says that it has begun and how far it is, and waits for leave."""
    progress(0.4)
    (HOLD / f"{name}.{current().id}").touch()
    while not (HOLD / f"{name} may end").exists():
        time.sleep(0.01)
    return name


@task(queue="mends")
def mends(name):
    """Fails until there is a file of its name."""
    if not (HOLD / name).exists():
        raise LookupError(f"there is no {name}")
    return name


@job(every="1 day", name="nightly")
def nightly():
    (HOLD / "nightly has run").touch()


@job(every="1 day", name="broken nightly")
def broken():
    raise ValueError("not tonight")


CALLS = {
    "add": lambda *given, **options: add.apply_async(given, **options).id,
    "fails": lambda *given, **options: fails.apply_async(given, **options).id,
    "held": lambda *given, **options: held.apply_async(given, **options).id,
    "mends": lambda *given, **options: mends.apply_async(given, **options).id,
}


def app(environ, start_response):
    given = parse_qs(environ["QUERY_STRING"])
    arguments = json.loads(given.get("a", ["[]"])[0])
    named = json.loads(given.get("k", ["{}"])[0])
    answer = CALLS[environ["PATH_INFO"].strip("/")](*arguments, **named)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
