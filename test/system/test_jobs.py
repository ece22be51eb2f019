"""Does each job run at its times, once for the box, whoever is started or killed meanwhile?"""
import os
import signal

import pytest

from wire import until


@pytest.fixture
def timed(serve, hold):
    """timed(**options): a server of timed.py."""
    return lambda **options: serve("timed:app", environment={"HOLD": str(hold)}, **options)


def runs(hold, name):
    """[due, fence, app, pid] of each."""
    path = hold / "runs"
    lines = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return [line[1:] for line in lines if line[0] == name]


def wait_for(hold, name, count, seconds=60):
    until(lambda: len(runs(hold, name)) >= count, f"{name} has run {count} times", seconds)
    return runs(hold, name)


def kill(running, role):
    for pid in running.pids(role):
        os.kill(pid, signal.SIGKILL)


def test_each_firing_runs_once_however_many_workers_there_are(timed, hold):
    running = timed(workers=3)
    found = wait_for(hold, "ticks", 3)
    due = [float(run[0]) for run in found]
    assert due == sorted(set(due)) and all(time == int(time) for time in due)
    assert {run[2] for run in found} == {"timed"}
    assert {int(run[3]) for run in found} <= set(running.pids("task worker"))
    fences = [int(run[1]) for run in found]
    assert fences == sorted(set(fences))
    wait_for(hold, "given", 2)


def test_a_trigger_that_is_none_is_told_with_its_place(timed, hold):
    running = timed()
    running.wait_for_line(r"timed\.py:\d+: the job never is not run: .*99")
    wait_for(hold, "ticks", 1)


def test_no_firing_runs_twice_though_broker_and_worker_are_killed(timed, hold):
    running = timed()
    for number, role in enumerate(("broker", "task worker", "broker"), 1):
        wait_for(hold, "ticks", number)
        kill(running, role)
    found = wait_for(hold, "ticks", len(runs(hold, "ticks")) + 2, 100)
    due = [run[0] for run in found]
    assert len(due) == len(set(due))


def test_a_job_is_registered_while_the_app_serves(timed, hold):
    running = timed()
    assert running.ask("POST", "/register").status == 200
    wait_for(hold, "later", 2)
    wait_for(hold, "ticks", 1)
    answer = running.ask("POST", "/register/wrong").body.decode()
    assert "the job wrong is not run:" in answer and "now and then" in answer


def test_commands_of_the_configuration(serve, hold):
    running = serve("tasked:app", environment={"HOLD": str(hold)}, toml=f"""
[[job]]
name = "touches"
every = "1 second"
command = "echo said; touch {hold}/touched"
""")
    until(lambda: (hold / "touched").exists(), "the command has run", 60)
    running.wait_for_line("job touches: said")
