"""Do tasks say what they are, what they are given, and what they have become, where they run at once?"""
import enum
import json
import os
import subprocess
import sys
import types
import unittest
from datetime import datetime, timedelta, timezone
from unittest import mock

import onebox
from onebox import chain, group, task
from onebox.engines import engine
from onebox.tasks import Result, TaskFailed, TaskUnknown, current, registry


@task
def add(first, second=0):
    """Adds."""
    return first + second


@task
def total(numbers):
    return sum(numbers)


@task(retries=2, backoff=0)
def third_time(how):
    if current().attempt < 3:
        raise onebox.Retry() if how == "retry" else ValueError(how)
    return current().attempt


@task(retries=5, retry_for=OSError, no_retry_for=FileNotFoundError, backoff=0)
def picky(kind):
    raise {"os": OSError, "missing": FileNotFoundError, "value": ValueError}[kind](kind)


@task(codec="pickle")
def keys(of):
    return set(of)


@task
def both(found):
    return [*found[0], found[1]]


@task(unique=True)
def alone(*names, **more):
    return names


@task(unique="{user} {language}")
def one_for(user, text, language="en"):
    return text


@task(unique=lambda user, text: f"u{user % 2}")
def one_for_two(user, text):
    return text


@task
def leaves():
    sys.exit(3)


@task
def deep(n):
    return deep.function(n + 1)


class Colour(enum.IntEnum):
    RED = 1


class Eager(unittest.TestCase):
    def setUp(self):
        os.environ["ONEBOX_TASKS_ENGINE"] = "eager"
        self.addCleanup(os.environ.pop, "ONEBOX_TASKS_ENGINE")


class Calls(Eager):
    def test_a_task_is_its_function(self):
        self.assertEqual(add(1, 2), 3)
        self.assertEqual((add.__name__, add.__doc__, add.__wrapped__(1)), ("add", "Adds.", 1))
        self.assertIs(registry["test_eager:add"], add)

    def test_delay_gives_what_it_returns(self):
        result = add.delay(1, second=2)
        self.assertEqual((result.get(), result.status, result.ready(), result.successful()), (3, "done", True, True))
        self.assertEqual(Result(result.id).get(), 3)
        self.assertEqual(Result(result.id), result)

    def test_arguments_that_are_not_the_functions_are_refused_at_the_call(self):
        for call in (lambda: add.delay(), lambda: add.delay(1, 2, 3), lambda: add.delay(1, third=3),
                     lambda: add.s().delay(), lambda: chain(add.s(1), add.s(1, 2)).delay()):
            with self.assertRaisesRegex(TypeError, r"test_eager:add\(first, second=0\): "):
                call()

    def test_what_json_cannot_say_is_named_with_its_place(self):
        for value, sentence in (
                ({1: 2}, "argument 1 of test_eager:add is a dict with the key 1, which JSON makes into a str"),
                ([{"when": datetime(2026, 1, 2)}], r"argument 1 of test_eager:add, at \[0\]\['when'\], is a "
                                                   "datetime.datetime"),
                ({"a": (1, {2})}, r"at \['a'\]\[1\], is a set; pass what JSON can say, or use codec='pickle'"),
                (b"x", "is a bytes")):
            with self.subTest(value), self.assertRaisesRegex(TypeError, sentence):
                add.delay(value)
        with self.assertRaisesRegex(TypeError, "argument 'second' of test_eager:add is a object"):
            add.delay(1, second=object())
        loop = []
        loop.append(loop)
        with self.assertRaisesRegex(TypeError, "contains itself"):
            add.delay(loop)

    def test_json_gives_back_what_it_was_given(self):
        for value in ("", "é😀", "half \ud800", 0, -1.5, True, None, [1, [2]], {"a": {"b": []}}):
            with self.subTest(value):
                self.assertEqual(echo.delay(value).get(), value)
        self.assertEqual(echo.delay(Colour.RED).get(), 1)
        self.assertEqual(echo.delay((1, (2,))).get(), [1, [2]])

    def test_pickle_carries_the_rest(self):
        self.assertEqual(keys.delay({1: 2, (3,): 4}).get(), {1, (3,)})

    def test_a_result_that_json_cannot_say_is_a_failure(self):
        with self.assertRaisesRegex(TaskFailed, "the result of test_eager:answers is a set"):
            answers.delay().get()


@task
def echo(value):
    return value


@task
def answers():
    return {1}


class Ends(Eager):
    def test_a_failure_brings_its_traceback_without_our_frames(self):
        result = add.delay(1, "x")
        with self.assertRaisesRegex(TaskFailed, "in add\n.*\n.*\nTypeError: unsupported operand") as caught:
            result.get()
        self.assertNotIn("onebox/tasks", str(caught.exception))
        self.assertEqual((caught.exception.id, result.status), (result.id, "dead"))
        self.assertIn("TypeError", result.traceback)
        self.assertIsInstance(result.get(propagate=False), TaskFailed)

    def test_whatever_a_task_raises_is_a_failure(self):
        with self.assertRaisesRegex(TaskFailed, "SystemExit: 3"):
            leaves.delay().get()
        with self.assertRaisesRegex(TaskFailed, "RecursionError"):
            deep.delay(0).get()

    def test_retries(self):
        self.assertEqual(third_time.delay("retry").get(), 3)
        self.assertEqual(third_time.delay("raise").get(), 3)
        with self.assertRaises(TaskFailed):
            third_time.apply_async(("raise",), retries=1).get()

    def test_what_is_retried_and_what_is_not(self):
        for kind, attempts in (("os", 6), ("missing", 1), ("value", 1)):
            with self.subTest(kind):
                self.assertEqual(picky.delay(kind).info()["attempts"], attempts)

    def test_an_unknown_id(self):
        self.assertEqual((Result(10**9).status, Result(10**9).cancel()), ("unknown", "unknown"))
        with self.assertRaises(TaskUnknown):
            Result(10**9).get()

    def test_a_dedupe_key_is_used_once(self):
        first = add.apply_async((1,), dedupe="purchase-17")
        self.assertEqual(add.apply_async((2,), dedupe="purchase-17"), first)

    def test_a_task_knows_what_it_is(self):
        known = knows.delay().get()
        self.assertEqual(known, {"name": "test_eager:knows", "attempt": 1, "same": True})
        self.assertIsNone(current())

    def test_progress_is_told_four_times_a_second_at_most(self):
        with mock.patch.object(type(engine()), "progress") as told:
            hastens.delay().get()
        self.assertEqual([call.args[2] for call in told.call_args_list], [0, 1])
        onebox.progress(0.5)  # outside of a task: nothing
        with self.assertRaisesRegex(TaskFailed, "progress is 0 to 1, not 2"):
            overdoes.delay().get()

    def test_a_task_is_the_parent_of_what_it_enqueues(self):
        outer = enqueues.delay()
        self.assertEqual(Result(outer.get()).info()["parent"], outer.id)


@task
def hastens():
    for step in range(11):
        onebox.progress(step / 10)


@task
def overdoes():
    onebox.progress(2)


@task
def enqueues():
    return add.delay(1).id


@task
def knows():
    own = current()
    return {"name": own.name, "attempt": own.attempt,
            "same": own.dedupe_key("x") == current().dedupe_key("x") != own.dedupe_key("y")}


class Together(Eager):
    def test_a_chain_hands_results_on(self):
        self.assertEqual(chain(add.s(1, 2), add.s(3), add.si(10, 5), add.s(1)).delay().get(), 16)
        self.assertEqual(chain(chain(add.s(1), add.s(2)), add.s(3)).delay().get(), 6)

    def test_a_chain_of_a_thousand(self):
        self.assertEqual(chain(add.s(0), *[add.s(1)] * 1000).delay().get(), 1000)

    def test_a_group_keeps_the_order(self):
        result = group(add.s(number, number) for number in range(20)).delay()
        self.assertEqual(result.get(), [2 * number for number in range(20)])
        self.assertEqual([one.get() for one in result.results()], result.get())

    def test_a_callback_gets_the_list(self):
        self.assertEqual(group([add.s(1), add.s(2)], callback=total.s()).delay().get(), 3)
        self.assertEqual(group(add.s(1), callback=echo.s()).delay().get(), [1])

    def test_groups_of_chains_and_chains_with_groups(self):
        self.assertEqual(group(chain(add.s(1), add.s(10)), add.s(5)).delay().get(), [11, 5])
        self.assertEqual(chain(add.s(1), group(add.s(1), add.s(2)), total.s()).delay().get(), 5)
        self.assertEqual(chain(add.s(1), group(add.s(1), chain(add.s(2), add.s(3)))).delay().get(), [2, 6])
        self.assertEqual(chain(group(add.s(1), add.s(2)), total.s()).delay().get(), 3)
        self.assertEqual(chain(add.s(1), group([add.s(1)], callback=total.s())).delay().get(), 2)

    def test_groups_that_are_followed_by_more(self):
        twice = [add.s(1), add.s(2)]
        self.assertEqual(chain(group(twice), total.s(), add.s(10), add.s(5)).delay().get(), 18)
        self.assertEqual(chain(add.s(1), group(twice), total.s(), group(twice), total.s()).delay().get(), 13)
        self.assertEqual(chain(group(twice), group(total.s(), echo.s()), echo.s()).delay().get(), [3, [1, 2]])
        self.assertEqual(chain(group(twice, callback=total.s()), add.s(3)).delay().get(), 6)
        self.assertEqual(chain(group(twice), echo.s(), group(add.si(1), add.si(2))).delay().get(), [1, 2])

    def test_groups_in_groups(self):
        inner = group(add.s(1), add.s(2))
        self.assertEqual(group(inner, add.s(3)).delay().get(), [[1, 2], 3])
        self.assertEqual(group(chain(inner, total.s()), inner).delay().get(), [3, [1, 2]])
        self.assertEqual(chain(add.s(1), group(chain(inner, total.s(), add.s(1)), add.s(0)), echo.s(), echo.s()
                               ).delay().get(), [6, 1])
        self.assertEqual(group(group(group(add.s(1)))).delay().get(), [[[1]]])
        with self.assertRaisesRegex(ValueError, "100 members at most, not 101"):
            chain(group([add.s(1)] * 101), total.s(), add.s(1)).delay()

    def test_pickled_steps_among_others(self):
        self.assertEqual(chain(keys.s([1, 2]), keys.s(), keys.s()).delay().get(), {1, 2})
        self.assertEqual(chain(group(keys.s([1]), add.s(2)), both.s(), keys.s()).delay().get(), {1, 2})
        with self.assertRaisesRegex(TaskFailed, "the result of test_eager:answers|is a set"):
            chain(answers.s(), add.s(), add.s()).delay().get()

    def test_a_failed_step_ends_the_chain(self):
        result = chain(add.s(1, "x"), add.s(1), add.s(2)).delay()
        with self.assertRaisesRegex(TaskFailed, "unsupported operand"):
            result.get()
        self.assertEqual((result.status, result.cancel(), result.status), ("held", "done", "cancelled"))

    def test_what_cannot_be_joined_is_refused(self):
        for make in (lambda: group(), lambda: chain(), lambda: group(alone.s(1)).delay(),
                     lambda: chain(add.s(1), add.s(1).set(dedupe="x")).delay()):
            with self.assertRaises(ValueError):
                make()


class Messages(unittest.TestCase):
    """What goes to the engine."""

    def test_the_options_of_a_task_and_of_a_call(self):
        made = task(queue="mail", retries=3, timeout=5, priority=9, keep=60, name="mail")(lambda x: x)
        self.addCleanup(registry.pop, "mail")
        self.assertEqual(made.message((1,)), {
            "name": "mail", "payload": '{"args":[1],"kwargs":{}}', "queue": "mail", "priority": 9,
            "retries": 3, "timeout": 5, "keep": 60})
        message = made.message((1,), queue="slow", priority=0, retries=0, timeout=1, keep=0, dedupe="d", unique="u")
        self.assertEqual(message, {
            "name": "mail", "payload": '{"args":[1],"kwargs":{}}', "queue": "slow", "priority": 0, "retries": 0,
            "timeout": 1, "keep": 0, "dedupe": "d", "unique": "u"})

    def test_a_payload_is_utf_8(self):
        for value in ("é😀", "half \ud800"):
            self.assertEqual(json.loads(add.message((value,))["payload"].encode())["args"], [value])
        self.assertIn("é", add.message(("é",))["payload"])

    def test_times(self):
        when = datetime(2026, 1, 2, tzinfo=timezone.utc)
        for given, sent in (({"eta": when}, {"eta": when.timestamp()}), ({"eta": 1.8e9}, {"eta": 1.8e9}),
                            ({"countdown": 3}, {"countdown": 3}),
                            ({"countdown": timedelta(minutes=1)}, {"countdown": 60}),
                            ({"expires": when}, {"expires": when.timestamp()}), ({"expires": 1.8e9}, {"expires": 1.8e9}),
                            ({"expires": timedelta(hours=1)}, {"expires_in": 3600}),
                            ({"expires": 30}, {"expires_in": 30})):
            with self.subTest(given):
                message = add.message((1,), **given)
                self.assertEqual({key: message[key] for key in sent}, sent)
                self.assertEqual(set(message), {"name", "payload", "queue", "priority", "retries", "keep", *sent})
        with self.assertRaises(TypeError):
            add.message((1,), eta=1, countdown=1)

    def test_unique_keys(self):
        same = [alone.message(("a",), {"b": 1}), alone.message(["a"], {"b": 1})]
        self.assertEqual(same[0]["unique"], same[1]["unique"])
        self.assertEqual(alone.message(({"a": 1, "b": 2},))["unique"], alone.message(({"b": 2, "a": 1},))["unique"])
        self.assertNotEqual(same[0]["unique"], alone.message(("a",), {"b": 2})["unique"])
        self.assertEqual(one_for.message((7, "x"))["unique"], one_for.message((), {"text": "y", "user": 7})["unique"])
        self.assertEqual(one_for.message((7, "x"))["unique"], "test_eager:one_for 7 en")
        self.assertEqual(one_for_two.message((7, "x"))["unique"], "test_eager:one_for_two u1")

    def test_what_a_task_may_not_be(self):
        for wrong in ({"codec": "yaml"}, {"priority": 10}, {"retries": -1}, {"timeout": 0}, {"backoff": (1, .5, 9)},
                      {"name": "x" * 256}, {"keep": -1}):
            with self.subTest(wrong), self.assertRaises(ValueError):
                task(**wrong)(lambda: None)
        async def waits():
            pass
        with self.assertRaisesRegex(TypeError, "waits is async"):
            task(waits)
        with self.assertRaisesRegex(ValueError, "two tasks are named 'test_eager:add'"):
            task(name="test_eager:add")(lambda: None)

    def test_a_rate_is_a_queue_of_its_own(self):
        from onebox.tasks.definition import queues
        made = task(rate="10/s", name="slow")(lambda: None)
        self.addCleanup(registry.pop, "slow")
        self.assertEqual((made.options.queue, queues()), ("slow", {"slow": {"rate": "10/s"}}))

    def test_in_the_apps_own_transaction(self):
        outbox = types.ModuleType("onebox.outbox")
        outbox.enqueue = lambda *given: enqueued.append(given)
        enqueued = []
        with mock.patch.dict(sys.modules, {"onebox.outbox": outbox}):
            self.assertIsNone(add.delay_with("a connection", 1, second=2))
            self.assertEqual(add.apply_async((1,), outbox="another", dedupe="x").id, 0)
        self.assertEqual(enqueued, [("a connection", add.message((1,), {"second": 2})),
                                    ("another", add.message((1,), dedupe="x"))])

    def test_the_name_is_the_modules_also_in_main(self):
        code = "from onebox import task\n@task\ndef f(): pass\nprint(f.name)"
        folder = os.path.dirname(__file__)
        path = os.path.join(self.enterContext(__import__("tempfile").TemporaryDirectory()), "script.py")
        with open(path, "w") as file:
            file.write(code)
        env = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        for arguments, cwd in (([path], folder), (["-m", "script"], os.path.dirname(path))):
            said = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, text=True, capture_output=True,
                                  check=True).stdout
            self.assertEqual(said, "script:f\n")

    def test_backoff_is_within_its_bounds(self):
        from onebox.tasks.running import backoff
        made = task(backoff=(2, 3, 50), name="backoff")(lambda: None)
        self.addCleanup(registry.pop, "backoff")
        for attempt, most in ((1, 2), (2, 6), (3, 18), (4, 50), (10_000, 50)):
            tried = [backoff(made.options, attempt) for _ in range(200)]
            self.assertTrue(0 <= min(tried) < most / 2 < max(tried) <= most, (attempt, min(tried), max(tried)))


if __name__ == "__main__":
    unittest.main()
