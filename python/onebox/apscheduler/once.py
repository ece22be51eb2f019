"""A job with a date, or with none, that a request adds: a task of the durable queue, which waits until then
whatever is restarted meanwhile."""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from onebox.apscheduler.events import ConflictingIdError, JobLookupError
from onebox.apscheduler.job import Job, resolve
from onebox.engines import engine
from onebox.tasks import task
from onebox.tasks.definition import admitted

PROBE_SECONDS = 3600.0  # far enough that nobody begins what only asks for an id


@task(name="onebox.apscheduler.once:run")
def run(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return resolve(function)(*args, **kwargs)


def add(job: Job, replace: bool) -> None:
    """Raises TypeError where the arguments are no JSON, ConflictingIdError, and TaskError."""
    if resolve(job.func_ref) is not job.func:
        raise ValueError(f"{job.func_ref} is another function: a task worker finds it by its name, so it has to "
                         f"stand in its module")
    due = max(job.trigger.run_date.timestamp(), time.time())
    grace = job.misfire_grace_time
    job.id = job.id or uuid4().hex
    if replace:
        remove(job.id, missing_ok=True)
    message = run.message((job.func_ref, list(job.args), job.kwargs), eta=due, unique=_key(job.id),
                          expires=None if grace is None else due + grace)
    admission, = engine().enqueue([message])
    admitted(admission, run.name)
    if admission["as"] == "unique":
        raise ConflictingIdError(job.id)


def remove(id: str, *, missing_ok: bool = False) -> None:
    """Raises JobLookupError where no such job waits."""
    probe = run.message(("", [], {}), eta=time.time() + PROBE_SECONDS, unique=_key(id), keep=0)
    admission, = engine().enqueue([probe])
    engine().cancel([admitted(admission, run.name)])
    if admission["as"] != "unique" and not missing_ok:
        raise JobLookupError(id)


def _key(id: str) -> str:
    return f"apscheduler {id}"[:200]
