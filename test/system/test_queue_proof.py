"""Does each task that was confirmed run, once, and not too early, whatever of the box is killed meanwhile?
`./do prove queue` asks it of a hundred thousand."""
import collections
import json
import random

import pytest

import queue_proof
from wire import until

SEED = random.SystemRandom().randrange(1_000_000)  # told where it fails


@pytest.mark.timeout(400)  # of a program with sanitizers too, on a machine that does something else
def test_tasks_survive_kills_of_whatever_there_is(tmp_path):
    verdict = queue_proof.prove(tmp_path, SEED, tasks=1000, rate=150, decks=1)
    print(verdict)
    assert not any(verdict.wrong.values()), str(verdict)
    assert verdict.told > 500, str(verdict)
    assert set(verdict.killed) == set(queue_proof.DECK), str(verdict)


def test_a_task_that_kills_its_workers_costs_those_behind_it_nothing(serve, tmp_path):
    running = serve("proven:app", environment={"PROOF": str(tmp_path / "ledger")}, toml="[tasks]\nthreads = 1\n")
    running.get("/")
    killer, *behind = queue_proof.tell(running, "behind", 5)

    def states():
        found = queue_proof.tell(running, "states", given=json.dumps([killer, *behind]))
        return {int(id): state for id, state in found.items()}
    until(lambda: all(state in ("done", "dead") for state, _ in states().values()), "all have ended", 60)
    assert states() == {killer: ["dead", 3], **{id: ["done", 0] for id in behind}}


FINE = """\
asked 1 0
told 1 10
begin 1 10 1 50 5.0
end 1 10 1 50 6.0
ack 10 1 done 50 7.0
"""


@pytest.mark.parametrize("lines, wrong", [
    ("", None),
    ("asked 2 0\ntold 2 11\n", "lost"),
    ("asked 2 0\ntold 2 11\nbegin 2 11 1 50 5.0\n", "lost"),
    ("asked 2 0\nbegin 2 11 1 50 5.0\n", "begun, and not done"),
    ("asked 2 0\nunknown 2\n", None),
    ("asked 2 9.5\ntold 2 11\nbegin 2 11 1 50 9.4\nend 2 11 1 50 9.6\n", "before its ETA"),
    ("begin 1 12 1 50 7.5\nend 1 12 1 50 7.6\n", "enqueued twice"),
    ("begin 1 10 2 60 8.0\nend 1 10 2 60 8.1\n", "begun after it was acknowledged"),
    ("ack 10 1 done 50 8.0\n", "acknowledged twice"),
    ("asked 2 0\ntold 2 11\nbegin 2 11 1 50 5.0\nbegin 2 11 2 60 5.5\nend 2 11 2 60 5.6\n",
     "run twice, and its holder lived"),
    ("asked 2 0\ntold 2 11\nbegin 2 11 1 70 5.0\nbegin 2 11 2 60 5.5\nend 2 11 2 60 5.6\n", None),
    ("asked 2 0\ntold 2 11\nbegin 2 11 1 50 5.0\nfails 2 11 1 50 5.1\nbegin 2 11 2 60 5.5\nend 2 11 2 60 5.6\n", None),
])
def test_the_proof_sees_what_it_looks_for(tmp_path, lines, wrong):
    (tmp_path / "ledger").write_text(FINE + lines)
    ledger = queue_proof.read(tmp_path / "ledger")
    verdict = queue_proof.Verdict(0, 2, 0.0, collections.Counter())
    verdict.judge(ledger, deaths={70: 5.2}, states={10: "done", 11: "done", 12: "done"})
    found = {what for what, numbers in verdict.wrong.items() if numbers}
    assert wrong in found if wrong else not found, found


def test_the_proof_sees_a_callback_that_did_not_wait(tmp_path):
    kind, numbers = next(unit for unit in queue_proof.units(0, 0, 1000) if unit[0] == "group")
    lines = [f"begin {number} 1 1 50 {1 + place}.0\nend {number} 1 1 50 {1 + place}.5\n"
             for place, number in enumerate(numbers)]
    (tmp_path / "ledger").write_text("".join([lines[-1], *lines[:-1]]))
    verdict = queue_proof.Verdict(0, 6, 0.0, collections.Counter())
    verdict.check_order(queue_proof.read(tmp_path / "ledger"), [(kind, numbers)])
    assert not any(verdict.wrong.values())
    early = lines[-1].replace(f"{len(numbers)}.", "0.")
    (tmp_path / "ledger").write_text("".join([early, *lines[:-1]]))
    verdict.check_order(queue_proof.read(tmp_path / "ledger"), [(kind, numbers)])
    assert any(verdict.wrong.values())
