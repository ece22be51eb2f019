"""What is looked for: a row each. The reference page and the findings are made of it."""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    ERROR = "error"      # it breaks, or answers with what is wrong
    WARNING = "warning"  # it does not do what it says


@dataclass(frozen=True)
class Rule:
    id: str
    severity: Severity
    finds: str
    why: str
    several_workers: bool = False  # with one worker it is as it should be


CONSTANT_KEY = Rule(
    "flask-caching-constant-key", Severity.ERROR,
    "`@cache.cached(key_prefix=\"...\")` on a function with parameters, or a view with route "
    "variables",
    "Flask-Caching takes a key_prefix without %s as the whole key: the first answer is given to all "
    "who ask, for anything, until it expires.")
NOT_A_VIEW = Rule(
    "flask-caching-not-a-view", Severity.ERROR,
    "`@cache.cached()` without a key_prefix on a function that is no view",
    "Without key_prefix the key is the path of the request that is being answered: calls with other "
    "arguments find the same entry, and so does a cached view of that path.")
LOWER_CASE_TYPE = Rule(
    "flask-caching-lower-case-type", Severity.ERROR,
    "`CACHE_TYPE` \"redis\", \"simple\", \"filesystem\", ... in lower case",
    "Flask-Caching 2.5 has removed these names: the app ends with an ImportStringError as it starts.")
PROCESS_CACHE = Rule(
    "per-process-cache", Severity.WARNING,
    "a SimpleCache of Flask-Caching or cachelib, or Django's LocMemCache",
    "It lies in the memory of one process. What one worker stores or deletes the others do not see, "
    "so a page changes back and forth with the worker that answers.", several_workers=True)
PROCESS_LIMITS = Rule(
    "per-process-limits", Severity.WARNING,
    "Flask-Limiter with `memory://`, or with no storage at all",
    "Each worker counts its own requests alone: a client gets as many times the limit as there are "
    "workers.", several_workers=True)
SECRET_KEY = Rule(
    "secret-key-per-process", Severity.ERROR,
    "a SECRET_KEY that is drawn at random where the app is loaded",
    "Each process that loads the app draws its own, and each reload another: what one has signed the "
    "next refuses, so users are logged out and forms fail, now and then.")
SCHEDULER = Rule(
    "scheduler-in-worker", Severity.ERROR,
    "a scheduler of APScheduler or Flask-APScheduler that is started where the app is loaded",
    "Each worker loads the app and so starts one of its own: every job runs once per worker at each "
    "of its times.", several_workers=True)
EXECUTOR = Rule(
    "scheduler-executor", Severity.ERROR,
    "an executor of concurrent.futures given to APScheduler",
    "APScheduler takes its own executors alone: it ends with \"TypeError: Expected executor instance "
    "or dict\".")
POOL_KEYS = Rule(
    "sqlalchemy-pool-ignored", Severity.WARNING,
    "`SQLALCHEMY_POOL_SIZE`, `_TIMEOUT`, `_RECYCLE`, `_MAX_OVERFLOW`",
    "Flask-SQLAlchemy 3 ignores them and says nothing: the pool has 5 connections and 10 more, "
    "whatever stands here.")

RULES = (CONSTANT_KEY, NOT_A_VIEW, LOWER_CASE_TYPE, PROCESS_CACHE, PROCESS_LIMITS, SECRET_KEY,
         SCHEDULER, EXECUTOR, POOL_KEYS)


def page() -> str:
    """The table of docs/use/check-rules.md."""
    rows = "".join(
        f"| `{rule.id}` | {rule.severity.value} | {rule.finds} | {rule.why}"
        f"{' Told with several workers alone.' if rule.several_workers else ''} |\n"
        for rule in RULES)
    return ("# What `onebox check` finds\n\n`onebox reference check` prints this page; "
            "[check.md](check.md) says how to use it.\n\n"
            "| rule | severity | finds | why it matters |\n|---|---|---|---|\n" + rows)
