"""An app with jobs. In the folder HOLD the file RUNS has a line for each run: the job, the time at which it was
due, its fence, the app whose context is there, and who runs it."""
import os
from pathlib import Path

import flask

from onebox import current, job, jobs, task

HOLD = Path(os.environ.get("HOLD", "."))
app = flask.Flask("timed")


def wrote(name):
    run = current()
    with (HOLD / "runs").open("a") as file:
        file.write(f"{name} {run.firing:.3f} {run.fence} {flask.current_app.name} {os.getpid()}\n")


@job(every="1 second")
def ticks():
    wrote("ticks")


@job(every="1 second", name="with arguments", args=("given",))
@task
def both(name):
    wrote(name)


@job(cron="99 * * * *")
def never():
    raise AssertionError


@app.post("/register")
def register():
    jobs.register(both, every="1 second", name="later", args=("later",))
    return ""


@app.post("/register/wrong")
def register_wrong():
    try:
        jobs.register(both, every="now and then", name="wrong", args=("wrong",))
    except jobs.JobRefused as error:
        return str(error)
