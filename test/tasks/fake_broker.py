"""A broker in the test's own process, that keeps its tasks in memory and fails where it is told to."""
import itertools
import json
import os
import socket
import struct
import tempfile
import threading
import time

ENDED = ("done", "expired", "cancelled", "dead")


class FakeBroker:
    """Entered, it listens, and ONEBOX_BROKER names it. `asked` has each message; `faults` has for an op what is
    done instead of it, once each: "drop" (the connection, before), "drop after", "refuse", or seconds of delay."""

    def __init__(self):
        self.asked = []
        self.faults = {}
        self.tasks = {}
        self.payloads = {}
        self.following = {}  # unique and dedupe keys
        self.ids = itertools.count(1)
        self.connections = []
        self.workers = []
        self.news = threading.Condition()
        self.errors_of_jobs = []
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "broker")

    def __enter__(self):
        self.start()
        os.environ["ONEBOX_BROKER"] = self.path
        os.environ.pop("ONEBOX_TASKS_ENGINE", None)
        return self

    def __exit__(self, *_):
        del os.environ["ONEBOX_BROKER"]
        self.stop()
        self.folder.cleanup()

    def start(self):
        self.id = os.urandom(8).hex()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        """As a process that dies: connections break, and what it had stays on its disk."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        with self.news:
            self.workers.clear()
            for connection in self.connections:
                close(connection)
            self.connections.clear()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.news:
                self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    # --- the protocol

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as reader:
                while head := reader.read(4):
                    message = json.loads(reader.read(struct.unpack("<I", head)[0]))
                    if not self.answer(connection, message):
                        return close(connection)
        except OSError:
            pass  # the other side has gone, or stop() was called

    def answer(self, connection, message):
        """Whether to go on."""
        op = message["op"]
        fault = self.faults.pop(op, None)
        with self.news:
            self.asked.append(message)
            self.news.notify_all()
        if fault == "drop":
            return False
        if isinstance(fault, (int, float)):
            time.sleep(fault)
        if op == "wait":
            self.until(lambda: self.has_ended(message["id"]), message["seconds"])
        with self.news:
            if fault == "refuse":
                answer = {"error": "the disk is full", "retry": True}
            elif isinstance(fault, dict):
                answer = fault
            else:
                answer = getattr(self, f"op_{op}")(message)
            if op == "hello":
                self.workers.append(connection)
            self.news.notify_all()
        if fault == "drop after":
            return False
        send(connection, {**answer, "n": message["n"]})
        return True

    def until(self, condition, seconds=20):
        with self.news:
            return self.news.wait_for(condition, seconds)

    def has_ended(self, id):
        return id not in self.tasks or self.tasks[id]["state"] in ENDED

    def ops(self, op):
        return [message for message in self.asked if message["op"] == op]

    def op_hello(self, message):
        return {"broker": self.id, "lost": [key for key in message["held"] if self.tasks[key[0]]["token"] != key[1]]}

    def op_declare(self, message):
        return {"errors": self.errors_of_jobs} if self.errors_of_jobs else {}

    def op_enqueue(self, message):
        return {"tasks": [self.enqueue(task) for task in message["tasks"]]}

    def enqueue(self, task, group=0):
        for kind, answer in (("dedupe", "deduped"), ("unique", "unique")):
            key = (kind, task.get(kind))
            if key[1]:
                there = self.following.get(key)
                if there and (kind == "dedupe" or not self.has_ended(there)):
                    return {"id": there, "as": answer}
        if task.get("queue") == "full":
            return {"error": "queue full is full", "retry": True}
        return {"id": self.add(task, "waiting", group), "as": "new"}

    def add(self, task, state, group=0):
        id = next(self.ids)
        for kind in ("dedupe", "unique"):
            if task.get(kind):
                self.following[kind, task[kind]] = id
        self.payloads[id] = task
        self.tasks[id] = {"id": id, "state": state, "queue": task.get("queue", "default"), "name": task["name"],
                          "priority": task.get("priority", 4), "attempts": 0, "deaths": 0, "group": group,
                          "parent": task.get("parent", 0), "enqueued": 1764.5, "eta": 1764.5, "token": 0}
        return id

    def op_group(self, message):
        callback = self.add(message["callback"], "held")
        return {"callback": callback,
                "members": [self.add(member, "waiting", callback) for member in message["members"]]}

    def op_status(self, message):
        return {"tasks": [self.tasks.get(id) for id in message["ids"]]}

    def op_wait(self, message):
        return {"task": self.tasks.get(message["id"])}

    def op_members(self, message):
        return {"tasks": [task for task in self.tasks.values() if task["group"] == message["id"]]}

    def op_cancel(self, message):
        return {"outcomes": [self.cancel_one(id) for id in message["ids"]]}

    def cancel_one(self, id):
        if id not in self.tasks:
            return "unknown"
        if self.has_ended(id):
            return "ended"
        if self.tasks[id]["state"] == "running":
            self.interrupt(id, "cancelled")
            return "running"
        self.tasks[id]["state"] = "cancelled"
        return "done"

    def op_done(self, message):
        task = self.tasks[message["id"]]
        if (task["token"], task["state"]) != (message["token"], "running"):
            return {"outcome": "not_held", "next": []}
        if len(message.get("result", "")) > 100_000:
            return {"outcome": "too_large"}
        task["result"] = message.get("result", "")
        following = [self.enqueue(step, task["group"] if step.get("member") else 0)["id"]
                     for step in message.get("next", ())]
        task["state"] = "done"
        members = self.op_members({"id": task["group"]})["tasks"] if task["group"] else []
        if members and all(member["state"] == "done" for member in members):
            self.tasks[task["group"]]["state"] = "waiting"
        return {"outcome": "done", "next": following}

    def op_failed(self, message):
        task = self.tasks[message["id"]]
        if (task["token"], task["state"]) != (message["token"], "running"):
            return {"outcome": "not_held"}
        task["traceback"] = message["traceback"]
        task["state"] = "dead" if message["retry_in"] is None else "waiting"
        if message["traceback"] == "cancelled":
            task["state"] = "cancelled"
        return {"outcome": "done"}

    def op_handed_back(self, message):
        task = self.tasks[message["id"]]
        task["state"], task["attempts"] = "waiting", task["attempts"] - 1
        return {"outcome": "done"}

    def op_progress(self, message):
        self.tasks[message["id"]]["progress"] = message["progress"]
        return {"outcome": "done"}

    # --- what the test does in the broker's place

    def lease(self, id=None):
        """What a task worker gets, of the first that waits; None where none does."""
        with self.news:
            waiting = [task for task in self.tasks.values() if task["state"] == "waiting" and id in (None, task["id"])]
            if not waiting:
                return None
            task = waiting[0]
            task["state"] = "running"
            task["attempts"] += 1
            task["token"] += 1
            new = self.payloads[task["id"]]
            return {**{key: task[key] for key in ("id", "token", "queue", "name", "deaths", "priority", "eta",
                                                  "enqueued", "group", "parent")},
                    "broker": self.id, "payload": new["payload"], "attempt": task["attempts"], "retries": new.get("retries", 0),
                    "expires": None, "timeout": new.get("timeout", 0)}

    def interrupt(self, id, why):
        """What the broker says before it has a deadline raised."""
        with self.news:
            for worker in self.workers:
                send(worker, {"cancel": [[id, self.tasks[id]["token"], why]]})


def send(connection, message):
    body = json.dumps(message).encode()
    try:
        connection.sendall(struct.pack("<I", len(body)) + body)
    except OSError:
        pass  # it has gone


def close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
