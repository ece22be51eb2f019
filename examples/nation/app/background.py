"""Jobs and tasks are written for Onebox, and run by it. Beside another server APScheduler and Celery run
them (../jobs.py, ../tasks.py): there the decorators leave a function as it is."""
import os

from flask import current_app
from sqlalchemy import event
from sqlalchemy.orm import Session

from .extensions import db


def as_it_is(function=None, **_):
    return function or as_it_is


def nothing(*_):
    return None


try:
    if os.environ.get("NATION_BACKGROUND") == "0":
        raise ImportError("no jobs and tasks, says NATION_BACKGROUND")
    from onebox import current, job, progress, task
except ImportError:
    job = task = as_it_is
    current = progress = nothing


def on_onebox():
    """In what Onebox has started, and in scripts that name its broker."""
    return task is not as_it_is and "ONEBOX_BROKER" in os.environ


def has_tasks():
    return on_onebox() or current_app.config["CELERY_BROKER"] is not None


def enqueue(work, *arguments, key):
    """In a transaction: has a task run if that commits. `key` is the same for the same work.

    In MySQL and MariaDB the task is a row of this transaction. SQLite's, and Celery's, is enqueued after
    it: a process that dies between the two leaves what was written without it."""
    if not on_onebox():
        after_commit(lambda: celery().send_task(work.__name__, arguments))
    elif db.engine.dialect.name == "mysql":
        work.delay_with(db.session, *arguments)
    else:
        after_commit(lambda: work.apply_async(arguments, dedupe=key))


def celery():
    from celery import Celery  # who orders nothing need not load it
    return Celery("nation", broker=current_app.config["CELERY_BROKER"])


def after_commit(call):
    db.session().info.setdefault("after_commit", []).append(call)


@event.listens_for(Session, "after_commit")
def committed(session):
    for call in session.info.pop("after_commit", ()):
        call()


@event.listens_for(Session, "after_rollback")
def rolled_back(session):
    session.info.pop("after_commit", None)
