"""APScheduler's scheduler: what it is told, the broker is told; it runs nothing itself."""
from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone, tzinfo
from typing import Any, TextIO, TypeVar

from onebox import broker, declaration, jobs
from onebox.apscheduler import events, once, triggers
from onebox.apscheduler.job import Job, module_of, name_of, resolve, undefined
from onebox.engines import TaskError
from onebox.tasks import current

F = TypeVar("F", bound=Callable[..., Any])
Listener = Callable[[Any], Any]

KNOWN_SECONDS = 1.0  # for which what the broker has said of the jobs is good
_DEFAULTS: dict[str, Any] = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
_log = logging.getLogger("apscheduler.scheduler")


class BackgroundScheduler:
    """As APScheduler's. It has no thread: start() tells the box what there is to run, in whichever worker
    it is called, and a task worker runs each job once for all of them."""

    def __init__(self, gconfig: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.state = events.STATE_STOPPED
        self.timezone: tzinfo | str | None = None
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._listeners: list[tuple[Listener, int]] = []
        self._defaults = dict(_DEFAULTS)
        self._paused: list[str] = []  # by pause()
        self._known: tuple[float, dict[str, dict[str, Any]]] = (float("-inf"), {})
        self.configure(gconfig, **options)

    def configure(self, gconfig: Mapping[str, Any] | None = None, prefix: str | None = "apscheduler.",
                  **options: Any) -> None:
        """Takes timezone and job_defaults. Where jobs are kept and who runs them is Onebox's: jobstores and
        executors, with their options, are taken and have no meaning."""
        if self.running:
            raise events.SchedulerAlreadyRunningError
        start = len(prefix or "")
        config = {key[start:]: value for key, value in (gconfig or {}).items()
                  if key.startswith(prefix or "")}
        for key in [key for key in config if key.startswith("job_defaults.")]:
            config.setdefault("job_defaults", {})[key.partition(".")[2]] = config.pop(key)
        config.update(options)
        if zone := config.get("timezone"):
            triggers.zone_name(zone)
            self.timezone = zone
        self._defaults.update(config.get("job_defaults") or {})
        self._defaults["coalesce"] = str(self._defaults["coalesce"]).lower() in ("true", "1", "yes", "on")

    # --- its life

    @property
    def running(self) -> bool:
        return self.state != events.STATE_STOPPED

    def start(self, paused: bool = False) -> None:
        """While the app is imported; returns at once. Who starts it paused resumes it then too."""
        if self.running:
            raise events.SchedulerAlreadyRunningError
        self._refuse_once_begun("start")
        self.state = events.STATE_PAUSED if paused else events.STATE_RUNNING
        if not paused:
            self._register_all()
        self._dispatch(events.SchedulerEvent(events.EVENT_SCHEDULER_STARTED))

    def shutdown(self, wait: bool = True) -> None:
        """Of this process's part in it: the jobs are the box's, and stay."""
        if not self.running:
            raise events.SchedulerNotRunningError
        self.state = events.STATE_STOPPED
        self._dispatch(events.SchedulerEvent(events.EVENT_SCHEDULER_SHUTDOWN))

    def pause(self) -> None:
        """All of its jobs, in all of the box, until resume()."""
        self._needs_running()
        if self.state == events.STATE_RUNNING:
            self._paused = [job.id for job in self.get_jobs() if not job.paused]
            for job_id in self._paused:
                self.pause_job(job_id)
            self.state = events.STATE_PAUSED
            self._dispatch(events.SchedulerEvent(events.EVENT_SCHEDULER_PAUSED))

    def resume(self) -> None:
        self._needs_running()
        if self.state == events.STATE_PAUSED:
            self.state = events.STATE_RUNNING
            if not declaration.has_begun():
                self._register_all()
            for job_id in self._paused:
                self.resume_job(job_id)
            self._paused = []
            self._dispatch(events.SchedulerEvent(events.EVENT_SCHEDULER_RESUMED))

    def wakeup(self) -> None:
        """There is nobody to wake."""

    def add_jobstore(self, jobstore: Any, alias: str = "default", **options: Any) -> None:
        """Has no meaning: the broker keeps the jobs."""

    def add_executor(self, executor: Any, alias: str = "default", **options: Any) -> None:
        """Has no meaning: task workers run the jobs."""

    # --- jobs

    def add_job(self, func: Callable[..., Any] | str, trigger: Any = None,
                args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None,
                id: str | None = None, name: str | None = None, misfire_grace_time: Any = undefined,
                coalesce: Any = undefined, max_instances: Any = undefined,
                next_run_time: Any = undefined, jobstore: str = "default", executor: str = "default",
                replace_existing: bool = False, **trigger_args: Any) -> Job:
        """Raises ValueError where Onebox cannot say the trigger, and ConflictingIdError."""
        if isinstance(func, str):
            func = resolve(func)
        if next_run_time is not undefined and next_run_time is not None:
            raise ValueError("next_run_time can only be None, for a job that begins paused: Onebox reckons "
                             "when a job is due from its trigger, in each worker and after each restart alike")
        made = triggers.make(trigger, trigger_args, self.timezone)
        options = {key: self._defaults[key] if value is undefined else value
                   for key, value in (("misfire_grace_time", misfire_grace_time), ("coalesce", coalesce),
                                      ("max_instances", max_instances))}
        job = Job(self, id, func, made, args or (), kwargs or {}, name, executor=executor,
                  paused=next_run_time is None, **options)
        if declaration.has_begun():
            self._add_in_request(job, replace_existing)
        else:
            self._add_at_import(job, replace_existing, at_once=trigger is None or (
                trigger == "date" and not trigger_args.get("run_date")))
        return job

    def scheduled_job(self, trigger: Any, args: Sequence[Any] | None = None,
                      kwargs: Mapping[str, Any] | None = None, id: str | None = None,
                      name: str | None = None, misfire_grace_time: Any = undefined,
                      coalesce: Any = undefined, max_instances: Any = undefined,
                      next_run_time: Any = undefined, jobstore: str = "default",
                      executor: str = "default", **trigger_args: Any) -> Callable[[F], F]:
        def add(func: F) -> F:
            self.add_job(func, trigger, args, kwargs, id, name, misfire_grace_time, coalesce,
                         max_instances, next_run_time, jobstore, executor, True, **trigger_args)
            return func
        return add

    def get_jobs(self, jobstore: str | None = None, pending: bool | None = None) -> list[Job]:
        with self._lock:
            return list(self._jobs.values())

    def get_job(self, job_id: str, jobstore: str | None = None) -> Job | None:
        with self._lock:
            return self._jobs.get(job_id)

    def modify_job(self, job_id: str, jobstore: str | None = None, **changes: Any) -> Job:
        """While the app is imported."""
        job = self._find(job_id)
        self._refuse_once_begun("modify_job")
        for key, value in changes.items():
            if key not in ("func", "args", "kwargs", "name", "trigger", "misfire_grace_time", "coalesce",
                           "max_instances", "executor"):
                raise ValueError(f"{key} of a job cannot be modified")
            if key == "trigger":
                value = triggers.make(value, {}, self.timezone)
            setattr(job, key, resolve(value) if key == "func" and isinstance(value, str) else value)
        if not job.pending:
            self._register(job)
        self._dispatch(events.JobEvent(events.EVENT_JOB_MODIFIED, job_id))
        return job

    def reschedule_job(self, job_id: str, jobstore: str | None = None, trigger: Any = None,
                       **trigger_args: Any) -> Job:
        """While the app is imported."""
        return self.modify_job(job_id, trigger=triggers.make(trigger, trigger_args, self.timezone))

    def pause_job(self, job_id: str, jobstore: str | None = None) -> Job:
        """In all of the box, until resume_job(). While the app is imported: the box does not get to know it
        before it is resumed there."""
        job = self._find(job_id)
        job.paused = True
        if declaration.has_begun():
            self._tell_of_job("job_pause", job_id)
        elif not job.pending:
            jobs.unregister(job_id)
            job.pending = True
        return job

    def resume_job(self, job_id: str, jobstore: str | None = None) -> Job:
        job = self._find(job_id)
        if job.pending:
            self._refuse_once_begun("resume_job")
        job.paused = False
        if declaration.has_begun():
            self._tell_of_job("job_resume", job_id)
        elif self.state == events.STATE_RUNNING:
            self._register(job)
        return job

    def remove_job(self, job_id: str, jobstore: str | None = None) -> None:
        """While the app is imported; later only one with a date that a request has added."""
        if declaration.has_begun() and job_id not in self._jobs:
            once.remove(job_id)
        else:
            job = self._find(job_id)
            self._refuse_once_begun("remove_job")
            self._forget(job)
        self._dispatch(events.JobEvent(events.EVENT_JOB_REMOVED, job_id))

    def remove_all_jobs(self, jobstore: str | None = None) -> None:
        self._refuse_once_begun("remove_all_jobs")
        for job in self.get_jobs():
            self._forget(job)
        self._dispatch(events.SchedulerEvent(events.EVENT_ALL_JOBS_REMOVED))

    def print_jobs(self, jobstore: str | None = None, out: TextIO | None = None) -> None:
        for job in self.get_jobs():
            print(f"    {job}", file=out or sys.stdout)

    # --- events of what runs in this process

    def add_listener(self, callback: Listener, mask: int = events.EVENT_ALL) -> None:
        self._listeners.append((callback, mask))

    def remove_listener(self, callback: Listener) -> None:
        self._listeners = [(other, mask) for other, mask in self._listeners if other != callback]

    def _dispatch(self, event: events.SchedulerEvent) -> None:
        for callback, mask in list(self._listeners):
            if event.code & mask:
                try:
                    callback(event)
                except Exception:
                    _log.exception("Error notifying listener")

    # --- what of it Onebox has

    def known(self) -> dict[str, dict[str, Any]]:
        """What the broker says of each of the box's jobs; nothing where it cannot be asked."""
        at, found = self._known
        if time.monotonic() - at > KNOWN_SECONDS:
            try:
                found = {job["name"]: job for job in broker.call("jobs")["jobs"]}
            except TaskError:
                return {}
            self._known = time.monotonic(), found
        return found

    def _add_at_import(self, job: Job, replace: bool, at_once: bool) -> None:
        """With its id, if it has none."""
        if at_once:
            raise ValueError(f"{job.name} has no trigger, so that it would run in each import of the app: give "
                             f"it a trigger, or add it in a request")
        with self._lock:
            job.id = job.id or self._own_id(job)
            if there := self._jobs.get(job.id):
                if not replace:
                    raise events.ConflictingIdError(job.id)
                self._forget(there)
            self._jobs[job.id] = job
            if self.state == events.STATE_RUNNING:
                self._register(job)
        self._dispatch(events.JobEvent(events.EVENT_JOB_ADDED, job.id))

    def _own_id(self, job: Job) -> str:
        """Of the function: the same in each worker, as these import the same app."""
        own = f"{module_of(job.func)}:{name_of(job.func)}"
        number = 1
        while (found := own if number == 1 else f"{own} {number}") in self._jobs:
            number += 1
        return found

    def _add_in_request(self, job: Job, replace: bool) -> None:
        if not triggers.is_date(job.trigger):
            raise ValueError(f"{job.name} would be known to this worker alone: add a job that comes again where "
                             f"the app is imported. What a request adds has a date, or no trigger")
        if job.id in self._jobs:
            raise events.ConflictingIdError(job.id)
        once.add(job, replace)
        job.pending = False
        self._dispatch(events.JobEvent(events.EVENT_JOB_ADDED, job.id))

    def _register_all(self) -> None:
        with self._lock:
            for job in self._jobs.values():
                if job.pending:
                    self._register(job)

    def _register(self, job: Job) -> None:
        if job.paused:
            return
        if triggers.is_date(job.trigger):
            date = job.trigger.run_date.astimezone(timezone.utc)
            if date <= datetime.now(timezone.utc):
                _log.warning("Run time of job \"%s\" was missed", job)
                return
            schedule = triggers.Schedule("at", f"{date:%Y-%m-%d %H:%M:%S}", "UTC", 0)
        else:
            schedule = triggers.schedule_of(job.trigger, self.timezone)
        if not job.pending:
            del jobs.registry[job.id]  # it may have another function now
        made = jobs.register(self._runner(job), name=job.id, tz=schedule.zone, jitter=schedule.jitter,
                             overlap="parallel" if int(job.max_instances) > 1 else "skip",
                             catch_up="one" if job.coalesce else "all",
                             **{schedule.kind: schedule.text})
        jobs.registry[job.id] = replace(made, place=job.place)
        job.pending = False

    def _runner(self, job: Job) -> Callable[[], Any]:
        def run() -> Any:
            return self._run(job)

        run.__module__, run.__qualname__ = module_of(job.func), name_of(job.func)
        run.__name__ = job.id
        return run

    def _run(self, job: Job) -> Any:
        """In a task worker."""
        now = datetime.now(timezone.utc)
        run = current()
        firing = run.firing if run else None
        due = datetime.fromtimestamp(firing, timezone.utc) if firing else now
        grace = job.misfire_grace_time
        if grace is not None and (now - due).total_seconds() > grace:
            _log.warning("Run time of job \"%s\" was missed by %s", job, now - due)
            self._dispatch(events.JobExecutionEvent(events.EVENT_JOB_MISSED, job.id, due))
            return None
        try:
            value = job.func(*job.args, **job.kwargs)
        except BaseException as error:
            self._dispatch(events.JobExecutionEvent(events.EVENT_JOB_ERROR, job.id, due, exception=error,
                                                    traceback=traceback.format_exc()))
            raise
        self._dispatch(events.JobExecutionEvent(events.EVENT_JOB_EXECUTED, job.id, due, retval=value))
        return value

    def _find(self, job_id: str) -> Job:
        job = self.get_job(job_id)
        if job is None:
            raise events.JobLookupError(job_id)
        return job

    def _forget(self, job: Job) -> None:
        with self._lock:
            del self._jobs[job.id]
            if not job.pending:
                jobs.unregister(job.id)

    def _tell_of_job(self, op: str, job_id: str) -> None:
        broker.call(op, {"job": job_id})
        self._known = (float("-inf"), {})

    def _needs_running(self) -> None:
        if not self.running:
            raise events.SchedulerNotRunningError

    def _refuse_once_begun(self, what: str) -> None:
        if declaration.has_begun():
            raise RuntimeError(f"{what}() would be known to this worker alone: call it where the app is "
                               f"imported. pause_job() and resume_job() are for all of the box")


class BlockingScheduler(BackgroundScheduler):
    """Its start() returns here too: what it would wait for runs elsewhere."""
