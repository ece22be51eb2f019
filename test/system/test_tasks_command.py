"""Do `onebox tasks`, `onebox jobs` and /metrics say how it is with tasks and jobs, and do what they are told?"""
import json
import re
import subprocess
from urllib.parse import quote

import pytest

from onebox import BINARY
from wire import until


def call(running, name, *arguments, **options):
    """Enqueues a task of looked_at.py; its id."""
    answer = running.get(f"/{name}?a={quote(json.dumps(arguments))}&k={quote(json.dumps(options))}")
    assert answer.status == 200, answer
    return json.loads(answer.body)


def ask(running, command, *words):
    return subprocess.run([BINARY, command, "--state", running.state, *map(str, words)],
                          capture_output=True, text=True, timeout=60)


def told(running, command, *words):
    """What a command that succeeds prints."""
    result = ask(running, command, *words)
    assert result.returncode == 0, result
    return result.stdout


def shown(running, command, *words):
    return json.loads(told(running, command, *words, "--json"))


def task(running, number):
    return shown(running, "tasks", "show", number)


def ended(running, number, state="done"):
    return until(lambda: task(running, number)["state"] == state, f"task {number} is {state}")


@pytest.fixture
def tasked(serve, hold):
    return serve("looked_at:app", environment={"HOLD": str(hold)})


def begun(hold, name):
    return list(hold.glob(f"{name}.*"))


def queue(running, name):
    [found] = [one for one in shown(running, "tasks")["queues"] if one["name"] == name]
    return found


def test_the_overview_shows_queues_workers_what_runs_and_what_is_dead(tasked, hold):
    done, dead = call(tasked, "add", 1, 2), call(tasked, "fails", "not today")
    runs, later = call(tasked, "held", "one"), call(tasked, "add", 1, 2, countdown=3600)
    ended(tasked, done)
    ended(tasked, dead, "dead")
    until(lambda: begun(hold, "one"), "it runs")
    until(lambda: task(tasked, runs)["progress"] == 0.4, "it has said how far it is")
    until(lambda: queue(tasked, "default")["waiting"] == 1, "the other is done")
    text = told(tasked, "tasks")
    assert re.search(r"^  default +1 +0 +- +1 +0 +\d\S* +- +-$", text, re.M), text
    assert re.search(r"^  mail +0 +0 +- +0 +1 +\d\S* +1000/s +-$", text, re.M), text
    assert re.search(r"^ +\d+ +\d+ +4 +1$", text, re.M), text
    assert re.search(rf"^ +{runs}  looked_at:held +default +\d +\d\S* +40 %$", text, re.M), text
    assert re.search(rf"^ +{dead}  looked_at:fails  mail +1 +\S+  ValueError: not today$", text, re.M), text
    figures = shown(tasked, "tasks")
    assert {one["name"] for one in figures["queues"]} >= {"default", "mail"}
    assert [one["id"] for one in figures["running"]] == [runs] and [one["id"] for one in figures["dead"]] == [dead]
    assert [one["id"] for one in shown(tasked, "tasks", "running")] == [runs]
    assert task(tasked, later)["state"] == "waiting"
    (hold / "one may end").touch()
    ended(tasked, runs)
    assert told(tasked, "tasks", "running") == "  nothing runs\n"


def test_show_has_the_result_or_the_whole_traceback(tasked):
    done, dead = call(tasked, "add", 1, 2), call(tasked, "fails", "not\ntoday \x1b[2J")
    ended(tasked, done)
    ended(tasked, dead, "dead")
    text = told(tasked, "tasks", "show", done)
    assert text.startswith(f"task {done}   done\n  name      looked_at:add\n  queue     default\n"), text
    assert re.search(r"^  took      \d\S*$", text, re.M) and re.search(r"^  result    3$", text, re.M), text
    text = told(tasked, "tasks", "show", dead)
    assert re.search(r"^  Traceback \(most recent call last\):$", text, re.M), text
    assert re.search(r"^    File \S+looked_at.py\S+ line \d+, in fails$", text, re.M), text
    assert text.endswith("  ValueError: not\n  today \\x1B[2J\n"), text
    gone = ask(tasked, "tasks", "show", 999_999)
    assert gone.returncode == 1 and "there is no task 999999" in gone.stderr


def test_dead_letters_are_listed_and_retried(tasked, hold):
    first, second = call(tasked, "mends", "a file"), call(tasked, "mends", "a file")
    other, fine = call(tasked, "fails", "no"), call(tasked, "add", 1, 2)
    for number in (first, second, other):
        ended(tasked, number, "dead")
    ended(tasked, fine)
    assert {one["id"] for one in shown(tasked, "tasks", "dead")} == {first, second, other}
    assert [one["id"] for one in shown(tasked, "tasks", "dead", "--queue", "mends", "--all")] == [first, second]
    assert "LookupError: there is no a file" in told(tasked, "tasks", "dead", "--queue", "mends")
    (hold / "a file").touch()
    some = ask(tasked, "tasks", "retry", first, fine, 999_999)
    assert some.returncode == 1
    assert some.stdout == f"{first}: waits again\n{fine}: is no dead letter\n999999: is not there\n"
    ended(tasked, first)
    assert told(tasked, "tasks", "retry", "--all", "--queue", "mends") == "1 dead letter waits again now\n"
    ended(tasked, second)
    assert told(tasked, "tasks", "dead", "--queue", "mends") == "  no task is dead\n"
    assert queue(tasked, "mail")["dead"] == 1, "it is of another queue"


def test_the_newest_of_many_dead_letters_are_shown(tasked):
    numbers = [call(tasked, "fails", str(number)) for number in range(12)]
    for number in numbers:
        ended(tasked, number, "dead")
    shown_first = [one["id"] for one in shown(tasked, "tasks")["dead"]]
    assert sorted(shown_first) == numbers[-5:]
    assert [one["id"] for one in shown(tasked, "tasks", "dead", "--all")] == numbers
    assert told(tasked, "tasks", "retry", "--all") == "12 dead letters wait again now\n"
    for number in numbers:
        until(lambda: task(tasked, number)["state"] == "dead", "it has failed again")
    assert told(tasked, "tasks", "purge", "mail", "--dead") == "12 dead letters of mail removed\n"
    assert queue(tasked, "mail")["dead"] == 0


def test_what_waits_and_what_runs_can_be_cancelled(tasked, hold):
    runs, waits = call(tasked, "held", "one"), call(tasked, "add", 1, 2, countdown=3600)
    until(lambda: begun(hold, "one"), "it runs")
    result = ask(tasked, "tasks", "cancel", runs, waits)
    assert result.returncode == 0, result
    assert result.stdout == f"{runs}: runs, and is being interrupted\n{waits}: cancelled\n"
    ended(tasked, runs, "cancelled")
    assert task(tasked, waits)["state"] == "cancelled"
    again = ask(tasked, "tasks", "cancel", waits, "--json")
    assert again.returncode == 1 and json.loads(again.stdout) == [{"id": waits, "outcome": "ended"}]


def test_a_queue_that_is_paused_begins_nothing(tasked):
    ended(tasked, call(tasked, "add", 1, 2))
    assert told(tasked, "tasks", "pause", "default").startswith("default is paused")
    waits = call(tasked, "add", 1, 2)
    assert queue(tasked, "default")["paused"] and queue(tasked, "default")["due"] == 1
    assert re.search(r"^  default .* paused$", told(tasked, "tasks"), re.M)
    assert task(tasked, waits)["state"] == "waiting"
    assert told(tasked, "tasks", "resume", "default") == "default goes on\n"
    ended(tasked, waits)


def test_what_waits_is_purged_where_that_is_meant(tasked):
    for _ in range(3):
        last = call(tasked, "add", 1, 2, countdown=3600)
    refused = ask(tasked, "tasks", "purge", "default")
    assert refused.returncode == 1
    assert refused.stderr == "onebox: 3 tasks wait in default; with --yes they are cancelled\n"
    assert task(tasked, last)["state"] == "waiting"
    assert told(tasked, "tasks", "purge", "default", "--yes") == "3 tasks of default cancelled\n"
    assert task(tasked, last)["state"] == "cancelled"


def test_to_retry_all_runs_no_job_again(tasked):
    number = shown(tasked, "jobs", "run", "broken nightly")["id"]
    dead = call(tasked, "fails", "no")
    ended(tasked, number, "dead")
    ended(tasked, dead, "dead")
    assert told(tasked, "tasks", "retry", "--all") == "1 dead letter waits again now\n"
    assert task(tasked, number)["attempts"] == 1 and task(tasked, number)["state"] == "dead"


@pytest.mark.parametrize("words, said", [
    (["shwo", "1"], "expected show, running, dead, retry, cancel, purge, pause or resume, got shwo 1"),
    (["show"], "show: expected the id of one task behind it"),
    (["cancel", "1", "x"], 'cancel: expected the id of a task, got "x"'),
    (["retry", "1", "--all"], "retry: expected ids of tasks or --all behind it"),
    (["pause"], "pause: expected one queue behind it"),
    (["pause", "mail", "--yes"], "--yes: not with onebox tasks pause"),
    (["--jsno"], "--jsno: there is no such option; did you mean --json?"),
])
def test_the_command_says_what_it_expects(tmp_path, words, said):
    result = subprocess.run([BINARY, "tasks", "--state", tmp_path, *words], capture_output=True, text=True)
    assert result.returncode == 2 and said in result.stderr, result


def test_a_queue_that_is_not_there_is_not_made(tasked):
    ended(tasked, call(tasked, "add", 1, 2))
    result = ask(tasked, "tasks", "pause", "defualt")
    assert result.returncode == 1 and "there is no queue defualt; did you mean default?" in result.stderr
    assert "defualt" not in {one["name"] for one in shown(tasked, "tasks")["queues"]}


@pytest.mark.parametrize("command", ["tasks", "jobs"])
def test_the_command_needs_a_box_that_has_had_some(serve, tmp_path, command):
    result = subprocess.run([BINARY, command, "--state", tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and "no onebox runs" in result.stderr
    result = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and f"onebox {command} " in result.stdout
    running = serve("answers:app")
    result = ask(running, command)
    assert result.returncode == 1 and result.stderr == f"onebox: this app has had no {command} so far\n"
    assert not running.pids("broker"), "a question starts none"


def test_the_metrics_say_the_same(tasked, hold):
    done, dead = call(tasked, "add", 1, 2), call(tasked, "fails", "no")
    call(tasked, "add", 1, 2, countdown=3600)
    ended(tasked, done)
    ended(tasked, dead, "dead")

    def metrics():
        found = tasked.metrics()
        return found if found.get('onebox_tasks_dead_total{queue="mail"}') == 1 else None
    found = until(metrics, "the broker has published what it counts")
    assert found['onebox_tasks_enqueued_total{queue="default"}'] == 2
    assert found['onebox_tasks_done_total{queue="default"}'] == 1
    assert found['onebox_tasks_waiting{queue="default"}'] == 1 and found['onebox_tasks_due{queue="default"}'] == 0
    assert found['onebox_tasks_failed_total{queue="mail"}'] == 1 and found['onebox_tasks_dead{queue="mail"}'] == 1
    told(tasked, "jobs", "run", "nightly")
    told(tasked, "jobs", "run", "broken nightly")
    until(lambda: tasked.metrics().get('onebox_jobs_runs_total{job="nightly",outcome="done"}') == 1, "it has run")
    until(lambda: tasked.metrics().get('onebox_jobs_runs_total{job="broken nightly",outcome="failed"}') == 1,
          "it has failed")
    assert 0 <= tasked.metrics()['onebox_jobs_lateness_seconds{job="nightly"}'] < 60


def test_an_app_without_tasks_has_no_metrics_of_them(serve):
    assert not [name for name in serve("answers:app").metrics() if name.startswith("onebox_tasks")]


# --- onebox jobs


def job(running, name):
    [found] = [one for one in shown(running, "jobs") if one["name"] == name]
    return found


def test_jobs_are_listed_with_when_they_are_due(tasked):
    until(lambda: ask(tasked, "jobs").returncode == 0, "they are declared")
    until(lambda: len(shown(tasked, "jobs")) == 2, "both are")
    assert re.search(r"^  nightly +every 1 day +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d+\S.* +- +- +-$",
                     told(tasked, "jobs"), re.M), told(tasked, "jobs")
    assert [one["name"] for one in shown(tasked, "jobs", "next")] == ["broken nightly", "nightly"]
    assert told(tasked, "jobs", "history") == "  nothing has run so far\n"


def test_a_job_runs_when_it_is_told_to(tasked, hold):
    until(lambda: ask(tasked, "jobs").returncode == 0 and len(shown(tasked, "jobs")) == 2, "they are declared")
    assert re.fullmatch(r"nightly runs as task (\d+); onebox tasks show \1 says how it goes\n",
                        told(tasked, "jobs", "run", "nightly"))
    number = shown(tasked, "jobs", "run", "broken nightly")["id"]
    until(lambda: (hold / "nightly has run").exists(), "it runs")
    until(lambda: job(tasked, "broken nightly")["last"]["outcome"] == "failed", "the other fails")
    until(lambda: job(tasked, "nightly")["last"]["outcome"] == "done", "it is done")
    text = told(tasked, "jobs", "history")
    assert re.search(rf"  broken nightly  failed +\S+ +\S+ +{number}  by hand, ValueError: not tonight$", text, re.M)
    assert re.search(r"  nightly +done +\S+ +\S+ +\d+  by hand$", text, re.M), text
    assert [one["job"] for one in shown(tasked, "jobs", "history", "nightly", "-n", "5")] == ["nightly"]
    assert len(shown(tasked, "jobs", "history", "-n", "1")) == 1


def test_a_job_can_be_paused(tasked):
    until(lambda: ask(tasked, "jobs").returncode == 0 and len(shown(tasked, "jobs")) == 2, "they are declared")
    assert told(tasked, "jobs", "pause", "nightly") == "nightly is paused\n"
    assert job(tasked, "nightly")["paused"]
    assert re.search(r"^  nightly .* paused$", told(tasked, "jobs"), re.M)
    assert [one["name"] for one in shown(tasked, "jobs", "next")] == ["broken nightly"]
    assert told(tasked, "jobs", "resume", "nightly") == "nightly goes on\n"
    assert not job(tasked, "nightly")["paused"]
    wrong = ask(tasked, "jobs", "pause", "nighlty")
    assert wrong.returncode == 1 and "there is no job nighlty; did you mean nightly?" in wrong.stderr


@pytest.mark.parametrize("words, said", [
    (["run"], "expected next, history [JOB], run JOB, pause JOB or resume JOB, got run"),
    (["next", "-n", "3"], "-n: it goes with onebox jobs history"),
    (["history", "-n", "many"], '-n: expected a number from 1 to 1000, got "many"'),
])
def test_the_jobs_command_says_what_it_expects(tmp_path, words, said):
    result = subprocess.run([BINARY, "jobs", "--state", tmp_path, *words], capture_output=True, text=True)
    assert result.returncode == 2 and said in result.stderr, result
