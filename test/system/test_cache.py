"""Do all processes of the box see one cache, whatever happens to them?"""
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
from urllib.parse import quote

import pytest

from clients import reload, upgrade
from onebox import BINARY
from wire import Closed, until


def path_of(name, *arguments, **named):
    return f"/{name}?a={quote(json.dumps(arguments))}&k={quote(json.dumps(named))}"


def call(running, name, *arguments, **named):
    answer = running.get(path_of(name, *arguments, **named))
    assert answer.status == 200, answer
    return json.loads(answer.body)


class Call(threading.Thread):
    def __init__(self, running, name, *arguments, **named):
        super().__init__(daemon=True)
        self.running, self.path, self.answer = running, path_of(name, *arguments, **named), None
        self.start()

    def run(self):
        with contextlib.suppress(OSError, Closed), self.running.connect(seconds=60) as connection:
            self.answer = connection.get(self.path)

    def result(self):
        self.join(60)
        assert self.answer is not None and self.answer.status == 200, self.answer
        return json.loads(self.answer.body)


@pytest.fixture
def cached(serve, hold):
    return lambda **options: serve("cached:app", environment={"HOLD": str(hold)}, **options)


def begun(hold, name):
    return [int(path.suffix[1:]) for path in hold.glob(f"{name}.*")]


@pytest.mark.parametrize("preload", ["on", "off"])
def test_what_one_worker_sets_all_others_see(cached, hold, preload):
    running = cached(workers=3, threads=1, arguments=["--preload", preload])
    calls = [Call(running, "load", f"key {number}", f"loader{number}", 60) for number in range(3)]
    until(lambda: all(begun(hold, f"loader{number}") for number in range(3)), "each is in a worker")
    for number in range(3):
        (hold / f"loader{number} may end").touch()
    pids = [one.result() for one in calls]
    assert len(set(pids)) == 3
    assert [call(running, "get", f"key {number}") for number in range(3)] == pids


def test_it_outlives_workers_reloads_and_upgrades(cached):
    running = cached(workers=2)
    assert call(running, "set", "shared", 1)
    for pid in running.pids("app worker"):
        os.kill(pid, signal.SIGKILL)
    assert reload(running).returncode == 0
    assert call(running, "get", "shared") == 1
    result = upgrade(running)
    assert result.returncode == 0, result
    assert call(running, "get", "shared") == 1
    assert reload(running).returncode == 0
    assert call(running, "get", "shared") == 1


def test_its_size_is_no_matter_of_a_reload(cached):
    running = cached(toml='[cache]\nmemory = "4 MiB"\n')
    (running.folder / "onebox.toml").write_text('[cache]\nmemory = "8 MiB"\n')
    result = reload(running)
    assert result.returncode == 1
    assert "[cache] memory cannot be changed by a reload" in result.stderr
    assert call(running, "set", "shared", 1), "the generation before serves on"
    assert upgrade(running).returncode == 0
    assert call(running, "get", "shared") is None, "it is another cache"
    assert "the cache begins empty: [cache] memory is another" in running.output()


@pytest.mark.once  # the sanitizers keep what is given back
def test_the_cache_is_no_workers_memory(cached):
    running = cached(toml='[app]\nmemory_soft = "120 MiB"\n[cache]\nmemory = "128 MiB"\n')

    def memory():
        return next(process["memory"] for process in running.status()["processes"]
                    if process["role"] == "app worker") >> 20
    until(memory, "it has been read")
    before = memory()
    assert call(running, "fill", 1_000_000, 100) == 100
    call(running, "take_memory", 40 << 20)
    until(lambda: memory() >= before + 40, "what the worker took counts")
    assert memory() < before + 70
    assert call(running, "fill", 1_000_000, 100) == 100
    assert "memory_soft" not in running.output()


def test_no_count_is_lost(cached):
    running = cached(workers=4, threads=2)
    calls = [Call(running, "count", "visits", 20_000) for _ in range(8)]
    for one in calls:
        one.result()
    assert call(running, "get", "visits") == 160_000


def test_no_value_is_torn(cached):
    running = cached(workers=4, threads=2, toml='[cache]\nmemory = "2 MiB"\n')
    calls = [Call(running, "write_whole", "letters", [1, 50, 3_000, 70_000], 2_000) for _ in range(8)]
    assert {one.result() for one in calls} == {"whole"}


def test_a_lock_is_one_process_own(cached):
    running = cached(workers=4, threads=2)
    calls = [Call(running, "count_locked", "guarded", 100) for _ in range(8)]
    for one in calls:
        one.result()
    assert call(running, "get", "guarded") == 800


@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_one_on_the_box_loads_and_the_others_wait(cached, hold, worker_class):
    running = cached(workers=3, threads=4, worker_class=worker_class)
    calls = [Call(running, "load", "prices", "loader", 30) for _ in range(9)]
    until(lambda: begun(hold, "loader"), "somebody loads")
    (hold / "loader may end").touch()
    assert len({one.result() for one in calls}) == 1
    assert len(begun(hold, "loader")) == 1


def test_a_loader_that_dies_is_replaced_at_once(cached, hold):
    running = cached(workers=2, threads=4)
    first = Call(running, "load", "prices", "loader", 600)
    until(lambda: begun(hold, "loader"), "somebody loads")
    [dies] = begun(hold, "loader")
    others = [Call(running, "load", "prices", "loader", 600) for _ in range(3)]
    os.kill(dies, signal.SIGKILL)
    until(lambda: len(begun(hold, "loader")) == 2, "another loads")
    (hold / "loader may end").touch()
    first.join(60)
    [loaded] = {one.result() for one in others if one.answer is None or one.answer.status == 200}
    assert loaded != dies


# --- onebox cache


def ask(running, *words):
    return subprocess.run([BINARY, "cache", "--state", running.state, *words], capture_output=True,
                          text=True, timeout=60)


@pytest.fixture
def filled(cached):
    running = cached(toml='[cache]\nmemory = "4 MiB"\n')
    for country in range(3):
        assert call(running, "set", ["prices", country], {"wood": country}, ttl=3600, tags=["market"])
    assert call(running, "set", "motd", "Hello", ttl=60)
    assert call(running, "increment", "visits", 5, initial=0, keep=True) == 5
    for _ in range(9):
        call(running, "get", "motd")
    call(running, "get", "nothing")
    return running


def test_the_command_shows_what_is_there_and_how_often_it_helps(filled):
    shown = ask(filled)
    assert shown.returncode == 0, shown
    assert re.search(r"^cache of 4 MiB, 1 KiB in use by 5 entries; kept until they expire: 1 \(1 KiB\)$", shown.stdout, re.M)
    assert re.search(r"^  app:motd +9 +0 +100.0 % +1 +0 +1 +1 KiB$", shown.stdout, re.M)
    assert re.search(r"^  app:nothing +0 +1 +0.0 %", shown.stdout, re.M)
    assert re.search(r"^ +9 +5 +\S+  app: 'motd'$", shown.stdout, re.M)
    figures = json.loads(ask(filled, "--json").stdout)
    assert figures["entries"] == 5 and figures["entries_kept"] == 1
    assert figures["names"]["app:prices"]["entries"] == 3
    assert figures["top"][0]["key"] == "'motd'"


def test_random_keys_take_no_name_from_others(cached):
    running = cached()
    for number in range(1000):
        key = hashlib.sha256(str(number).encode()).hexdigest()
        call(running, "set", key, 1)
        if number % 10 == 0:
            call(running, "set", f"page/{number}", 1)
    names = json.loads(ask(running, "--json").stdout)["names"]
    assert names["app:page"]["sets"] > 50, "but for those that came before it had its name"
    assert len(names) < 20, names


def test_the_metrics_say_the_same(filled):
    metrics = filled.metrics()
    assert metrics["onebox_cache_entries"] == 5 and metrics["onebox_cache_entries_kept"] == 1
    assert metrics["onebox_cache_bytes"] > 4_000_000
    assert metrics['onebox_cache_hits_total{name="app:motd"}'] == 9
    assert metrics['onebox_cache_misses_total{name="app:nothing"}'] == 1


def test_the_command_gets_deletes_purges_and_clears(filled):
    assert ask(filled, "get", "motd").stdout == "Hello\n"
    assert ask(filled, "get", "motd", "--json").stdout == '"Hello"\n'
    assert ask(filled, "get", "visits").stdout == "5\n"
    assert ask(filled, "get", "('prices', 2)").stdout == '{"wood":2}\n'
    assert ask(filled, "delete", "('prices', 2)").stdout == "deleted\n"
    gone = ask(filled, "delete", "('prices', 2)")
    assert gone.returncode == 1 and gone.stderr == "onebox: nothing is there\n"
    assert call(filled, "get", ["prices", 1]) == {"wood": 1}
    assert ask(filled, "purge", "market").returncode == 0
    assert call(filled, "get", ["prices", 1]) is None
    assert call(filled, "get", "motd") == "Hello"
    assert ask(filled, "clear").returncode == 0
    assert call(filled, "get", "motd") is None
    assert call(filled, "get", "visits") == 5, "it is kept"
    assert ask(filled, "get", "motd", "--namespace", "other").returncode == 1


@pytest.mark.parametrize("words, said", [
    (["gte", "motd"], "expected get KEY, delete KEY, purge TAG or clear, got gte motd"),
    (["get"], "expected get KEY"),
    (["--jsno"], "--jsno: there is no such option; did you mean --json?"),
])
def test_the_command_says_what_it_expects(cached, words, said):
    result = ask(cached(), *words)
    assert result.returncode == 2 and said in result.stderr, result


def test_the_command_needs_a_box_that_runs(tmp_path):
    result = subprocess.run([BINARY, "cache", "--state", tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and "no onebox runs" in result.stderr
    result = subprocess.run([BINARY, "cache", "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "onebox cache get KEY" in result.stdout
