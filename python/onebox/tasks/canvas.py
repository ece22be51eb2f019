"""Calls that belong together: side by side (group), one after the other (chain).

A group or chain is one group of the engine's: all that runs before its last step are members, and the
last step is the callback, whose id is known from the beginning. What follows a task travels with it, and is
enqueued in the transaction in which that is done.

Where a step follows a group and is not the last, nobody can be held for it: each member is followed by a
gate, a task whose name says of which group and which place it is. The members of the engine's group
include the gates; so one that finds the others there knows that all before them are done, and is followed
by the step. Where two find that, the step's dedupe key lets one of them.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypedDict, cast

from onebox.engines import New, Next, Status, engine
from onebox.tasks import payload
from onebox.tasks.result import GATE, ChainResult, GroupResult, Result

if TYPE_CHECKING:
    from onebox.tasks.definition import Task

GATHERED = "onebox:gathered"  # the callback of a group without one: all that it does is to be done
LIST = "onebox:list"  # what a group within a group ends with: it returns what it is given
KEEP_LEAST = 86400.0  # of what a callback is given
GATE_RETRIES = 20  # it fails where the broker cannot be asked
JOINED_MAX = 100  # members of a group with gates: each of them reads all


class Step(TypedDict):
    """A call as it travels."""

    message: dict[str, Any]  # a New without payload
    call: payload.Call
    takes: bool  # the former one's result


class Fork(TypedDict):
    """Chains that begin side by side."""

    group: list[list[Any]]  # of items


class Join(TypedDict):
    """The end of one of them."""

    gate: str  # the name of its gate, and of the others' but for the place: "onebox:gate GROUP PLACE/COUNT"


Item = Step | Fork | Join


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

    def step(self, former: bool) -> Step:
        message: dict[str, Any] = dict(self.message(former))
        del message["payload"]
        return {"message": message, "takes": former and not self.immutable, "call": payload.pack(
            self.args, self.kwargs, self.task.options.codec, self.task.name)}


class group:  # noqa: N801 - as it is written: group(a.s(1), b.s(2)).delay()
    """What runs side by side: group(a.s(1), a.s(2)), or of a list; calls, chains or groups. `callback` gets the
    list of their results as its first argument."""

    def __init__(self, *calls: Signature | chain | group | Iterable[Signature | chain | group],
                 callback: Signature | None = None) -> None:
        self.calls: list[Signature | chain | group] = []
        for call in calls:
            self.calls += [call] if isinstance(call, (Signature, chain, group)) else call
        self.callback = callback
        if not self.calls:
            raise ValueError("a group has one member at least")

    def delay(self) -> Result[Any]:
        """A GroupResult; with a callback, that one's result."""
        return _enqueue(_steps(self))


class chain:  # noqa: N801
    """What runs one after the other: each gets the former one's result as its first argument, unless it was made by
    si(); after a group, the list of its results."""

    def __init__(self, *steps: Signature | group | chain) -> None:
        self.steps: list[Signature | group] = []
        for step in steps:
            self.steps += _steps(step)
        if not self.steps:
            raise ValueError("a chain has one step at least")

    def delay(self) -> Result[Any]:
        """The last step's; its GroupResult where that is a group."""
        only = self.steps[0]
        if len(self.steps) == 1 and isinstance(only, Signature):
            return only.delay()
        return _enqueue(self.steps)


def _steps(call: Signature | chain | group) -> list[Signature | group]:
    """One after the other: a callback is a step of its own."""
    if isinstance(call, chain):
        return call.steps
    if isinstance(call, group) and call.callback:
        return [group(call.calls), call.callback]
    return [call]


def _enqueue(steps: Sequence[Signature | group]) -> Result[Any]:
    last = steps[-1]
    callback = last if isinstance(last, Signature) else None
    before = steps[:-1] if callback else steps
    members = list(_starts(_items(before, former=False, numbers=count(1))))
    if callback:
        message = callback.message(former=True)
        if not callback.immutable:
            message = _with(message, {"takes": "all" if isinstance(before[-1], group) else "one"})
    else:
        message = {"name": GATHERED, "payload": "{}", "keep": KEEP_LEAST,
                   "queue": members[-1].get("queue", "default")}
    id, ids = engine().group(members, message)
    return ChainResult(id, callback.task.name, members=ids) if callback else GroupResult(id, members=ids)


def _items(steps: Sequence[Signature | group], *, former: bool, numbers: Iterator[int],
           ends: bool = True) -> list[Item]:
    """As they travel. `ends`: what follows the last of them is the callback, which needs no gates."""
    found: list[Item] = []
    for place, step in enumerate(steps):
        if isinstance(step, Signature):
            found.append(step.step(former))
        else:
            found.append(_fork(step, former, numbers, joined=not ends or place < len(steps) - 1))
        former = True
    if not ends and isinstance(steps[-1], group):
        found.append({"message": {"name": LIST, "keep": KEEP_LEAST, "queue": _queue(found)}, "call": {}, "takes": True})
    return found


def _fork(step: group, former: bool, numbers: Iterator[int], joined: bool) -> Fork:
    chains = [_items(_steps(call), former=former, numbers=numbers, ends=False) for call in step.calls]
    if joined:
        if len(chains) > JOINED_MAX:
            raise ValueError(f"a group that is followed by more than one step has {JOINED_MAX} members at most, "
                             f"not {len(chains)}")
        number = next(numbers)
        for place, items in enumerate(chains):
            items.append({"gate": f"{GATE}{number} {place}/{len(chains)}"})
    return {"group": chains}


def _queue(items: Sequence[Any]) -> str:
    """Of the first step among them."""
    first = items[0]
    return _queue(first["group"][0]) if "group" in first else first["message"].get("queue", "default")


def _starts(items: Sequence[Item]) -> Iterator[New]:
    """What is enqueued at first."""
    first, rest = items[0], list(items[1:])
    if "group" in first:
        for chain_ in cast(Fork, first)["group"]:
            yield from _starts([*chain_, *rest])
        return
    step = cast(Step, first)
    yield cast(New, {**step["message"], "payload": payload.dump(_and(dict(step["call"]), rest))})


def next_of(items: Sequence[Item], value: Any, codec: str, run: Any) -> list[Next]:
    """What is enqueued when the task `run`, whose chain goes on with `items`, has returned `value`."""
    if not items:
        return []
    first, rest = items[0], list(items[1:])
    if "group" in first:
        return [one for chain_ in cast(Fork, first)["group"] for one in next_of([*chain_, *rest], value, codec, run)]
    if "gate" in first:
        message: dict[str, Any] = {"name": cast(Join, first)["gate"], "queue": run.queue, "retries": GATE_RETRIES,
                                   "keep": KEEP_LEAST}
        call: dict[str, Any] = {}
    else:
        step = cast(Step, first)
        message = step["message"]
        call = payload.prepend(value, step["call"], codec, run.name) if step["takes"] else dict(step["call"])
    return [cast(Next, {**message, "payload": payload.dump(_and(call, rest)), "member": True, "parent": run.id})]


def results_at(gate: str, members: Sequence[Status]) -> list[Any] | None:
    """What those before that gate and its like have returned, in their order; None: not all have, yet."""
    like, _, places = gate.rpartition(" ")
    number = int(places.partition("/")[2])
    gates = {member["name"]: member for member in members if member["name"].startswith(f"{like} ")}
    if len(gates) < number:
        return None
    by_id = {member["id"]: member for member in members}
    before = (by_id[gates[f"{like} {place}/{number}"]["parent"]] for place in range(number))
    return [payload.load_result(member.get("result")) for member in before]


def _and(call: dict[str, Any], rest: Sequence[Item]) -> dict[str, Any]:
    return {**call, "chain": rest} if rest else call


def _with(message: New, more: dict[str, Any]) -> New:
    """With more in its payload."""
    message["payload"] = payload.dump({**payload.parse(message["payload"]), **more})
    return message
