"""Do the libraries that apps use find in Onebox's cache what they find in their own places?

The tests are those of test/faces: they have the cache in their own process, and in forks of it."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebox import BINARY, PYTHON, ROOT, worker_sanitizers

FACES = ROOT / "test/faces"
NAMES = sorted(path.stem for path in FACES.glob("test_*.py"))


def run(python, name, folder=FACES, preloaded=True, seconds=110):
    """All tests of a file, by that Python, which needs no pytest; with what the extension needs, or without."""
    environment = {**os.environ, "PYTHONPATH": str(BINARY.parent.parent / "python"),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    needed = worker_sanitizers().get("ONEBOX_APP_ENV", "") if preloaded else ""
    for pair in filter(None, needed.split(",")):
        variable, _, value = pair.partition("=")
        environment[variable] = value
    result = subprocess.run([python, "-W", "ignore::DeprecationWarning", "-m", "unittest", name],
                            cwd=folder, env=environment, text=True, timeout=seconds,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout
    assert "Ran 0 tests" not in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_with_what_debian_has(name):
    run(PYTHON, name)


def asked(running, count, path, *fields):
    """What is answered to so many requests at once, and by how many workers."""
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: running.get(path, *fields), range(count)))
    return answers, len({answer["x-worker"] for answer in answers})


@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_workers_share_them(serve, worker_class):
    running = serve("shared:app", workers=2, worker_class=worker_class)
    answers, workers = asked(running, 60, "/limited")
    assert workers == 2
    assert sorted(answer.status for answer in answers) == [200] * 7 + [429] * 53
    answers, _ = asked(running, 200, "/count")
    assert sorted(int(answer.body) for answer in answers) == list(range(1, 201))
    running.get("/made")
    answers, _ = asked(running, 50, "/made")
    assert len({answer.body for answer in answers}) == 1
    cookie = running.get("/login/7")["set-cookie"].split(";")[0]
    answers, workers = asked(running, 50, "/me", f"Cookie: {cookie}")
    assert ({answer.body for answer in answers}, workers) == ({b"7"}, 2)
    running.get("/revoke/7")
    answers, _ = asked(running, 50, "/me", f"Cookie: {cookie}")
    assert {answer.body for answer in answers} == {b"None"}
