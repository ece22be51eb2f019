"""APScheduler: where it is started, and what it is given to run its jobs."""
from __future__ import annotations

import ast
from collections.abc import Iterator

from onebox.check import rules
from onebox.check.findings import Change, Finding, import_line, mend, replaced
from onebox.check.loaded import Loaded, is_guarded
from onebox.check.settings import settings
from onebox.check.sources import Module, Own, Project
from onebox.check.values import evaluate

CLASSES = {f"apscheduler.schedulers.{module}.{name}" for module, name in (
    ("background", "BackgroundScheduler"), ("gevent", "GeventScheduler"),
    ("asyncio", "AsyncIOScheduler"))}
OF_FLASK = {"flask_apscheduler.APScheduler", "flask_apscheduler.scheduler.APScheduler"}
OTHERS = {f"apscheduler.schedulers.{module}.{name}" for module, name in (
    ("blocking", "BlockingScheduler"), ("base", "BaseScheduler"), ("tornado", "TornadoScheduler"),
    ("twisted", "TwistedScheduler"), ("qt", "QtScheduler"))}
POOLS = {f"concurrent.futures.{module}{name}": name for module in ("", "thread.", "process.")
         for name in ("ThreadPoolExecutor", "ProcessPoolExecutor")}
OURS = "onebox.apscheduler"


# --- where it is started ---------------------------------------------------------


def find_started(project: Project, workers: int) -> Iterator[Finding]:
    """In whichever files a worker loads."""
    if workers == 1:
        return
    told: set[ast.AST] = set()
    for module, node in Loaded(project).nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node in told:
            continue
        if node.func.attr != "start":
            continue
        made = project.call_of(module, node.func.value, CLASSES | OF_FLASK, bare=True)
        if made is None or is_guarded(project, module, node) or _is_paused(project, module, node):
            continue
        owner, call, name = made
        given = {one.arg for one in call.keywords}
        if name in OF_FLASK and (call.args or given & {"scheduler", None}):
            continue  # it has been given another
        told.add(node)
        what = f"{module.source(node)} runs in each of {workers} workers: every job {workers} times"
        yield Finding(rules.SCHEDULER, module, node, what, mend=_ours(owner, call, name)
                      if owner is module else ())


def _is_paused(project: Project, module: Module, call: ast.Call) -> bool:
    given = call.args[0] if call.args else next(
        (one.value for one in call.keywords if one.arg == "paused"), None)
    if given is None:
        return False
    value = evaluate(project, module, given)
    return value is None or bool(value.constant)


def _ours(module: Module, call: ast.Call, name: str) -> tuple:
    """Onebox's scheduler of the same interface, which runs each job once for all workers."""
    if name in OF_FLASK:
        _, end = module.span(call)
        text = f"scheduler={OURS}.BackgroundScheduler()"
        more = ", " if call.keywords else ""
        begin, _ = module.span(call.func)
        _, after = module.span(call.func)
        opening = module.text.index("(", after) + 1
        return mend(module, [Change(opening, opening, text + more),
                             *import_line(module, f"import {OURS}")])
    if isinstance(call.func, ast.Name):
        found = module.lookup(call.func, call.func.id)
        for binding in found:
            if isinstance(binding.node, ast.ImportFrom):
                return mend(module, [_from_ours(module, binding.node, call.func.id)])
        if found:
            return ()
    return mend(module, [replaced(module, call.func, f"{OURS}.BackgroundScheduler"),
                         *import_line(module, f"import {OURS}")])


def _from_ours(module: Module, statement: ast.ImportFrom, name: str) -> Change:
    others = [alias for alias in statement.names if (alias.asname or alias.name) != name]
    called = "" if name == "BackgroundScheduler" else f" as {name}"
    text = f"from {OURS} import BackgroundScheduler{called}"
    if others:
        indent = " " * statement.col_offset
        statement = ast.ImportFrom(statement.module, others, statement.level)
        text += f"\n{indent}{ast.unparse(statement)}"
        original = next(node for node in module.nodes if isinstance(node, ast.ImportFrom)
                        and others[0] in node.names)
        return replaced(module, original, text)
    return replaced(module, statement, text)


# --- what it is given to run its jobs ----------------------------------------------


def find_executors(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        every = CLASSES | OF_FLASK | OTHERS
        is_scheduler = bool(project.stands_for(module, node.func, every, bare=True))
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        of_scheduler = isinstance(node.func, ast.Attribute) and project.call_of(
            module, node.func.value, every, bare=True) is not None
        if is_scheduler or (method == "configure" and of_scheduler):
            for keyword in node.keywords:
                if keyword.arg == "executors":
                    yield from _in_dict(project, module, keyword.value)
        elif method == "add_executor" and of_scheduler and node.args:
            yield from _executor(project, module, node.args[0])
    for setting in settings(module):
        if setting.name == "SCHEDULER_EXECUTORS":
            yield from _in_dict(project, module, setting.value)


def _in_dict(project: Project, module: Module, value: ast.expr) -> Iterator[Finding]:
    if isinstance(value, ast.Name):
        meaning = project.meaning(module, value)
        if not isinstance(meaning, Own) or meaning.module is not module:
            return
        value = meaning.binding.node  # type: ignore[assignment]
    if isinstance(value, ast.Dict):
        for executor in value.values:
            yield from _executor(project, module, executor)


def _executor(project: Project, module: Module, value: ast.expr) -> Iterator[Finding]:
    made = project.call_of(module, value, set(POOLS))
    if made is None:
        return
    owner, call, dotted = made
    name = POOLS[dotted]
    given = call.args[:1] or [one.value for one in call.keywords if one.arg == "max_workers"]
    workers = f"max_workers={owner.source(given[0])}" if given else ""
    dotted = f"apscheduler.executors.pool.{name}"
    yield Finding(rules.EXECUTOR, module, value,
                  f"{name} is that of concurrent.futures, not of APScheduler",
                  mend=mend(module, [replaced(module, value, f"{dotted}({workers})"),
                                     *import_line(module, "import apscheduler.executors.pool")]))
