"""Rate limits that each process counts for itself."""
from __future__ import annotations

import ast
from collections.abc import Iterator

from onebox.check import rules
from onebox.check.findings import Change, Finding, mend, replaced
from onebox.check.settings import in_force, is_set, reads_outside
from onebox.check.sources import Module, Project
from onebox.check.values import Runs, evaluate, runs, where_from

LIMITERS = {"flask_limiter.Limiter", "flask_limiter.extension.Limiter"}
KEYS = {"RATELIMIT_STORAGE_URI", "RATELIMIT_STORAGE_URL"}
MEMORY = "memory://"
ONEBOX = "\"onebox://\""


def find(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    if workers == 1:
        return
    for setting, when in in_force(project, module, KEYS):
        value = evaluate(project, module, setting.value)
        if value and not value.from_environment and value.constant == MEMORY:
            yield Finding(rules.PROCESS_LIMITS, module, setting.place,
                          f"{setting.name} \"{MEMORY}\"{where_from(when, value.instead_of)}: "
                          f"{workers} workers let {workers} times as much through",
                          mend=mend(module, [replaced(module, setting.value, ONEBOX)]))
    for node in module.nodes:
        if isinstance(node, ast.Call) and project.stands_for(module, node.func, LIMITERS):
            yield from _limiter(project, module, node, workers)


def _limiter(project: Project, module: Module, call: ast.Call, workers: int) -> Iterator[Finding]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    when = runs(project, module, call)
    if None in given or when is Runs.NEVER:
        return
    enabled = evaluate(project, module, given.get("enabled"))
    if "enabled" in given and (enabled is None or not enabled.constant):
        return
    if "storage_uri" in given:
        value = evaluate(project, module, given["storage_uri"])
        if value is None or value.from_environment or value.constant not in (MEMORY, None):
            return
        if value.constant == MEMORY:
            what = (f"storage_uri \"{MEMORY}\"{where_from(when, value.instead_of)}: "
                    f"{workers} workers let {workers} times as much through")
            yield Finding(rules.PROCESS_LIMITS, module, call, what,
                          mend=mend(module, [replaced(module, given["storage_uri"], ONEBOX)]))
            return
    if is_stored_elsewhere(project):
        return
    yield Finding(rules.PROCESS_LIMITS, module, call,
                  f"no storage is named, so it is \"{MEMORY}\": {workers} workers let "
                  f"{workers} times as much through",
                  mend=mend(module, [_with_storage(module, call, given)]))


def is_stored_elsewhere(project: Project) -> bool:
    """A key of the configuration names the storage, or may: then the call needs none."""
    return reads_outside(project) or is_set(project, KEYS)


def _with_storage(module: Module, call: ast.Call, given: dict[str | None, ast.expr]) -> Change:
    if "storage_uri" in given:
        return replaced(module, given["storage_uri"], ONEBOX)
    last = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not last:
        _, end = module.span(call)
        return Change(end - 1, end - 1, f"storage_uri={ONEBOX}")
    _, end = module.span(max(last, key=lambda one: module.span(one)[1]))
    return Change(end, end, f", storage_uri={ONEBOX}")
