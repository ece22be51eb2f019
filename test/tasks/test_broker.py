"""Does the client reach its broker, say what became of a question, and ask again only what it may?"""
import ctypes
import os
import socket
import threading
import time
import unittest

from fake_broker import FakeBroker
from onebox import broker, chain, group, task
from onebox.cancelled import DeadlineExceeded
from onebox.tasks import BrokerLost, NoBroker, Refused, Result, TaskCancelled, TaskFailed


@task
def add(first, second=0):
    return first + second


def interrupt(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(DeadlineExceeded))


class WithBroker(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(FakeBroker())
        self.addCleanup(broker.close)

    def end(self, id, **how):
        leased = self.broker.lease(id)
        with self.broker.news:
            self.broker.op_done({"id": id, "token": leased["token"], **how})
            self.broker.news.notify_all()


class Questions(WithBroker):
    def test_a_task_goes_there_and_its_end_comes_back(self):
        result = add.delay(1, 2)
        self.assertEqual(result.status, "waiting")
        waiting = threading.Thread(target=lambda: got.append(result.get(20)))
        got = []
        waiting.start()
        self.broker.until(lambda: self.broker.ops("wait"))
        self.end(result.id, result="3")
        waiting.join(20)
        self.assertEqual(got, [3])

    def test_get_ends_in_time(self):
        with self.assertRaisesRegex(TimeoutError, "task 1 is waiting after 0.05 s"):
            add.delay(1).get(0.05)
        with self.assertRaises(TimeoutError):
            Result(1).get(0)

    def test_ends_that_are_errors(self):
        result = add.delay(1)
        self.assertEqual((result.cancel(), result.cancel()), ("done", "ended"))
        with self.assertRaises(TaskCancelled):
            result.get()
        other = add.delay(1)
        self.broker.tasks[other.id].update(state="dead", traceback="ValueError: no")
        with self.assertRaisesRegex(TaskFailed, "ValueError: no"):
            other.get()

    def test_a_dead_member_is_told_while_its_callback_is_held(self):
        result = group(add.s(1), add.s(2)).delay()
        self.broker.tasks[result.results()[1].id].update(state="dead", traceback="ValueError: no")
        with self.assertRaisesRegex(TaskFailed, "task 3 has failed"):
            result.get(20)

    def test_what_a_callback_is_given_is_kept_for_it(self):
        chain(add.s(1).set(keep=0), add.s(1).set(keep=0), add.s(1).set(keep=1e6)).delay()
        asked, = self.broker.ops("group")
        self.assertEqual((asked["members"][0]["keep"], asked["callback"]["keep"]), (86400, 1e6))

    def test_a_chain_is_one_group(self):
        result = chain(add.s(1), add.s(2), add.s(3)).delay()
        members = self.broker.ops("group")[0]["members"]
        self.assertEqual(len(members), 1)
        self.assertEqual(result.status, "held")
        self.assertEqual(result.cancel(), "done")
        self.assertEqual({one["state"] for one in self.broker.tasks.values()}, {"cancelled"})

    def test_what_is_refused_says_why(self):
        with self.assertRaisesRegex(Refused, "queue full is full") as caught:
            add.apply_async((1,), queue="full")
        self.assertTrue(caught.exception.retry)
        self.broker.faults["enqueue"] = {"error": "too large", "retry": False}
        with self.assertRaisesRegex(Refused, "too large") as caught:
            add.delay(1)
        self.assertFalse(caught.exception.retry)

    def test_a_message_has_a_limit(self):
        with self.assertRaisesRegex(Refused, "8388608 bytes at most"):
            add.delay("x" * (9 << 20))

    def test_a_large_one_goes_through(self):
        self.end(add.delay("x" * (4 << 20)).id, result="1")

    def test_without_a_broker_it_says_what_to_do(self):
        path = os.environ.pop("ONEBOX_BROKER")
        try:
            with self.assertRaisesRegex(NoBroker, "onebox run.*ONEBOX_TASKS_ENGINE=eager"):
                add.delay(1)
        finally:
            os.environ["ONEBOX_BROKER"] = path


class Faults(WithBroker):
    def test_a_question_is_asked_again(self):
        result = add.delay(1)
        for fault in ("drop", "drop after"):
            self.broker.faults["status"] = fault
            self.assertEqual(result.status, "waiting")

    def test_an_enqueue_whose_answer_is_lost_is_not_repeated(self):
        self.broker.faults["enqueue"] = "drop after"
        with self.assertRaisesRegex(BrokerLost, "whether it was done is not known") as caught:
            add.delay(1)
        self.assertTrue(caught.exception.unknown)
        self.assertEqual(len(self.broker.tasks), 1)

    def test_one_with_a_dedupe_key_is(self):
        self.broker.faults["enqueue"] = "drop after"
        result = add.apply_async((1,), dedupe="purchase-17")
        self.assertEqual((result.id, len(self.broker.tasks), len(self.broker.ops("enqueue"))), (1, 1, 2))

    def test_a_broker_that_comes_back_finds_us(self):
        add.delay(1)
        self.broker.stop()
        back = threading.Timer(0.2, self.broker.start)
        back.start()
        self.assertEqual(add.delay(2).id, 2)
        back.join()

    def test_one_that_does_not_come_back(self):
        self.broker.stop()
        try:
            with self.assertRaisesRegex(BrokerLost, "cannot be reached") as caught:
                broker.call("status", {"ids": []}, seconds=0.2)
            self.assertFalse(caught.exception.unknown)
        finally:
            self.broker.start()

    def test_one_that_does_not_answer(self):
        self.broker.faults["status"] = 1
        with self.assertRaisesRegex(BrokerLost, "did not answer in time"):
            broker.call("status", {"ids": []}, seconds=0.3)
        self.assertEqual(broker.call("status", {"ids": [1]}), {"tasks": [None]})

    def test_one_that_takes_nothing(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = self.broker.path + "2"
        listener.bind(path)
        listener.listen(0)
        os.environ["ONEBOX_BROKER"] = path
        with self.assertRaises(BrokerLost):
            broker.call("enqueue", {"tasks": ["x" * (4 << 20)]}, seconds=0.2)
        os.environ["ONEBOX_BROKER"] = self.broker.path

    def test_no_answer_is_taken_for_another_ones(self):
        """A deadline is raised between a question and its answer."""
        result = add.delay(1)
        self.broker.faults["status"] = 0.5
        thread = threading.get_ident()

        def raise_there():
            self.broker.until(lambda: self.broker.ops("status"))
            interrupt(thread)
        raising = threading.Thread(target=raise_there)
        raising.start()
        with self.assertRaises(DeadlineExceeded):
            result.info()
            while True:
                time.sleep(0.01)
        raising.join()
        self.assertEqual(add.delay(2).id, 2)

    def test_who_waits_can_be_interrupted(self):
        waiting = threading.Thread(target=self.assertRaises, args=(DeadlineExceeded, add.delay(1).get))
        waiting.start()
        self.broker.until(lambda: len(self.broker.ops("wait")) == 2)  # the first is a short one
        interrupt(waiting.ident)
        waiting.join(20)
        self.assertFalse(waiting.is_alive())

    def test_a_fork_has_a_connection_of_its_own(self):
        first = add.delay(1)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, add.delay(2).status.encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.assertEqual(os.read(read, 100), b"waiting")
        os.close(read)
        os.close(write)
        self.assertEqual(first.status, "waiting")
        self.assertEqual(len(self.broker.connections), 2)

    def test_a_zygote_forks_no_connection(self):
        from onebox import forking
        add.delay(1)
        self.assertIn(f"a connection to {self.broker.path!r} is open", forking.what_must_not_be_forked())
        forking.close_pools()
        self.assertNotIn(f"a connection to {self.broker.path!r} is open", forking.what_must_not_be_forked())

    def test_threads_do_not_wait_for_each_other(self):
        result = add.delay(1)
        waiting = threading.Thread(target=result.get, args=(20,))
        waiting.start()
        self.broker.until(lambda: self.broker.ops("wait"))
        self.assertEqual(result.status, "waiting")
        self.end(result.id)
        waiting.join(20)
        self.assertFalse(waiting.is_alive())


if __name__ == "__main__":
    unittest.main()
