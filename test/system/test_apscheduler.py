"""What becomes of an app that starts APScheduler in each worker, and of one that starts Onebox's?"""
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebox import Onebox
from wire import until

LINE = "onebox: APScheduler is not started in web workers"


@pytest.mark.parametrize("preload", ["auto", "off"])
@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_it_is_started_in_no_web_worker(serve, hold, preload, worker_class):
    running = serve("scheduled:app", workers=2, threads=1, worker_class=worker_class,
                    environment={"HOLD": str(hold)}, arguments=["--preload", preload])
    running.wait_for_line(LINE)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(running.get, ["/threads"] * 2))
    assert [answer.status for answer in answers] == [200, 200]
    assert not any(b"APScheduler" in answer.body for answer in answers)
    assert running.get("/add").status == 500, "a job that would never run is no success"
    running.wait_for_line("RuntimeError: APScheduler is not started in web workers, so this job would never run")
    assert running.get("/ran").body == b"False"
    assert sum(LINE in line and "RuntimeError" not in line for line in running.lines) == 1


def test_with_it_an_app_is_imported_once_for_all_workers(serve, hold):
    running = serve("scheduled:app", workers=2, environment={"HOLD": str(hold)})
    assert not any("imports the app by itself" in line or "unsafe" in line for line in running.lines)
    assert running.pids("zygote")


def test_it_may_be_allowed(serve, hold):
    running = serve("scheduled:app", workers=2, arguments=["--preload", "off"],
                    environment={"HOLD": str(hold)}, toml="[jobs]\napscheduler = \"allow\"\n")
    until(lambda: len(set((hold / "ran").read_text().split()) if (hold / "ran").exists() else ()) == 2,
          "its job has run in both workers")
    assert not any(LINE in line for line in running.lines)


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_one_task_worker_starts_it_where_that_is_wanted(serve, hold):
    running = serve("scheduled:app", workers=2, environment={"HOLD": str(hold)},
                    toml="[jobs]\napscheduler = \"task-worker\"\n[tasks]\nworkers = 2\n")
    until(lambda: len(lines(hold / "ran")) >= 5, "it runs its jobs")
    first = int(lines(hold / "ran")[0])
    assert set(lines(hold / "ran")) == {str(first)}
    assert first not in running.pids("app worker") and first in running.pids("task worker")
    os.kill(first, signal.SIGKILL)
    until(lambda: lines(hold / "ran")[-1] != str(first), "another does", 60)
    assert len(set(lines(hold / "ran"))) == 2


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    hold = tmp_path_factory.mktemp("hold")
    with Onebox(tmp_path_factory.mktemp("onebox"), "box_scheduled:app", workers=2,
                environment={"HOLD": str(hold)}) as running:
        yield running, hold


def test_each_job_runs_once_for_the_box(box):
    running, hold = box
    until(lambda: len(lines(hold / "seconds")) >= 3, "it has run three times", 60)
    runs = [line.split() for line in lines(hold / "seconds")]
    assert {int(pid) for pid, _ in runs} <= set(running.pids("task worker"))
    firings = [int(firing) for _, firing in runs]
    assert len(set(firings)) == len(firings), "no second has run twice"
    until(lambda: lines(hold / "heard"), "its listener has heard of a run in that process")
    assert {line.split()[1] for line in lines(hold / "heard")} == {"second"}
    running.wait_for_line("RuntimeError: this job is broken")


def test_a_request_adds_a_job_that_runs_elsewhere(box):
    running, hold = box
    assert running.get("/later/soon").status == 200
    until(lambda: lines(hold / "later"), "it has run")
    (line,) = lines(hold / "later")
    pid, word = line.split()
    assert word == "soon" and int(pid) in running.pids("task worker")


def test_a_job_with_a_date_is_removed_by_any_worker(box):
    running, _ = box
    far = "/later/far?at=2037-01-01T00:00:00"
    assert running.get(far).status == 200
    assert running.get(far).status == 500
    running.wait_for_line("ConflictingIdError: 'Job identifier .far. conflicts with an existing job'")
    assert running.get("/remove/far").status == 200
    assert running.get("/remove/far").status == 500
    running.wait_for_line("JobLookupError: 'No job by the id of far was found'")


def test_a_job_is_paused_for_the_box(box):
    running, hold = box
    assert running.get("/next/second").body != b"None"
    assert running.get("/pause/second").status == 200
    until(lambda: running.get("/next/second").body == b"None", "the box says so")
    before = len(lines(hold / "seconds"))
    until(lambda: len(lines(hold / "heard")) >= before, "what had begun has ended")
    assert running.get("/resume/second").status == 200
    until(lambda: len(lines(hold / "seconds")) > before + 1, "it runs again")
    assert running.get("/next/second").body > time.strftime("%Y").encode()
