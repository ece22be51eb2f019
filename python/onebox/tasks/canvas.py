"""Calls that belong together: side by side (group), one after the other (chain).

A group or chain is one group of the engine's: all that runs before its last step are members, and the
last step is the callback, whose id is known from the beginning. The steps of a chain travel with the
task before them, and are enqueued in the transaction in which that is done.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from onebox.engines import New, Next, engine
from onebox.tasks import payload
from onebox.tasks.result import ChainResult, GroupResult, Result

if TYPE_CHECKING:
    from onebox.tasks.definition import Task

GATHERED = "onebox:gathered"  # the callback of a group without one: all that it does is to be done
KEEP_LEAST = 86400.0  # of what a callback is given


class Step(TypedDict):
    """A call as it travels in a chain."""

    message: dict[str, Any]  # a New without payload
    call: payload.Call
    takes: bool  # the former one's result


Stage = Step | list[list[Step]]  # what follows: a step, or the chains of a group


class Signature:
    """A call that is to be made."""

    def __init__(self, task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *,
                 immutable: bool = False, how: dict[str, Any] | None = None) -> None:
        self.task, self.args, self.kwargs, self.immutable = task, tuple(args), kwargs, immutable
        self.how = how or {}

    def __repr__(self) -> str:
        words = [*map(repr, self.args), *(f"{key}={value!r}" for key, value in self.kwargs.items())]
        return f"{self.task.name}({', '.join(words)})"

    def set(self, **how: Any) -> Signature:
        """The same call with what apply_async() takes: set(queue="slow", retries=3)."""
        return Signature(self.task, self.args, self.kwargs, immutable=self.immutable,
                         how={**self.how, **how})

    def delay(self) -> Result[Any]:
        return self.task.apply_async(self.args, self.kwargs, **self.how)

    def message(self, former: bool) -> New:
        """Of a member or callback; raises ValueError where it can be none. `former`: something runs before."""
        takes = former and not self.immutable
        message = self.task.message(self.args, self.kwargs, **self.how, former=int(takes))
        message["keep"] = max(message.get("keep", 0), KEEP_LEAST)
        if "unique" in message or "dedupe" in message:
            raise ValueError(f"{self.task.name} is unique, or has a dedupe key: such a task stands alone, "
                             "and in no group or chain")
        return message

    def step(self) -> Step:
        message: dict[str, Any] = dict(self.message(former=True))
        del message["payload"]
        return {"message": message, "takes": not self.immutable, "call": payload.pack(
            self.args, self.kwargs, self.task.options.codec, self.task.name)}


class group:  # noqa: N801 - as it is written: group(a.s(1), b.s(2)).delay()
    """Calls, or chains of them, that run side by side: group(a.s(1), a.s(2)), or of a list. `callback` gets the
    list of their results as its first argument."""

    def __init__(self, *calls: Signature | chain | Iterable[Signature | chain],
                 callback: Signature | None = None) -> None:
        self.calls: list[Signature | chain] = []
        for call in calls:
            self.calls += [call] if isinstance(call, (Signature, chain)) else call
        self.callback = callback
        if not self.calls:
            raise ValueError("a group has one member at least")

    def delay(self) -> Result[Any]:
        """A GroupResult; with a callback, that one's result."""
        return _enqueue([self], self.callback)

    def chains(self) -> list[list[Signature]]:
        found = []
        for call in self.calls:
            steps = call.steps if isinstance(call, chain) else [call]
            if not all(isinstance(step, Signature) for step in steps):
                raise ValueError("a group has calls and chains of calls, and no other groups")
            found.append([step for step in steps if isinstance(step, Signature)])
        return found


class chain:  # noqa: N801
    """Calls that run one after the other: each gets the former one's result as its first argument, unless it was
    made by si(). A group among them gives the next one the list of its results; only the last step can follow a
    group."""

    def __init__(self, *steps: Signature | group | chain) -> None:
        self.steps: list[Signature | group] = []
        for step in steps:
            self.steps += step.steps if isinstance(step, chain) else [step]
        if not self.steps:
            raise ValueError("a chain has one step at least")
        for place, step in enumerate(self.steps):
            if isinstance(step, group) and (place < len(self.steps) - 2 or step.callback and self.steps[place + 1:]):
                raise ValueError("in a chain only one step, the last, can follow a group: start more from that step")

    def delay(self) -> Result[Any]:
        """The last step's; its GroupResult where that is a group."""
        last = self.steps[-1]
        if isinstance(last, group):
            return _enqueue(self.steps, last.callback)
        if len(self.steps) == 1:
            return last.delay()
        return _enqueue(self.steps[:-1], last)


def _enqueue(before: Sequence[Signature | group], callback: Signature | None) -> Result[Any]:
    joins = isinstance(before[-1], group)
    if callback is None:
        last: New = {"name": GATHERED, "payload": "{}", "keep": KEEP_LEAST}
    else:
        last = _given(callback.message(former=True), {} if callback.immutable else
                      {"takes": "all" if joins else "one"})
    first, rest = before[0], [_stage(step) for step in before[1:]]
    if isinstance(first, group):
        chains = first.chains()
    else:
        chains = [[first]]
    members = [_given(steps[0].message(former=False), {"chain": [*(step.step() for step in steps[1:]), *rest]})
               for steps in chains]
    if callback is None:
        last["queue"] = members[-1].get("queue", "default")
    id, ids = engine().group(members, last)
    if callback is None:
        return GroupResult(id, members=ids)
    return ChainResult(id, callback.task.name, members=ids)


def _stage(step: Signature | group) -> Stage:
    if isinstance(step, Signature):
        return step.step()
    return [[call.step() for call in calls] for calls in step.chains()]


def _given(message: New, more: dict[str, Any]) -> New:
    """With more in its payload."""
    more = {key: value for key, value in more.items() if value}
    if more:
        message["payload"] = payload.dump({**payload.parse(message["payload"]), **more})
    return message


def next_of(stages: Sequence[Stage], result: Any, codec: str, name: str, parent: int) -> list[Next]:
    """What is enqueued when a task of that name, whose chain goes on with `stages`, has returned `result`."""
    if not stages:
        return []
    stage, rest = stages[0], list(stages[1:])
    chains = stage if isinstance(stage, list) else [[stage]]
    found: list[Next] = []
    for steps in chains:
        step = steps[0]
        call = payload.prepend(result, step["call"], codec, name) if step["takes"] else dict(step["call"])
        if more := [*steps[1:], *rest]:
            call["chain"] = more
        found.append(cast(Next, {**step["message"], "payload": payload.dump(call), "member": True,
                                 "parent": parent}))
    return found
