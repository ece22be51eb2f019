"""Do an app's tasks run on Celery where the box is told so?"""
import os
import subprocess
import sys

import pytest

from databases import Redis
from onebox import APPS, BINARY, PYTHON

pytestmark = pytest.mark.once


@pytest.fixture
def celery(tmp_path):
    """The URL of a Redis, and a worker of Celery's on it."""
    with Redis(tmp_path) as redis:
        url = redis.environment["NATION_REDIS_URL"]
        environment = {**os.environ, "ONEBOX_CELERY_BROKER": url, "ONEBOX_TARGET": "celery_served:app",
                       "PYTHONPATH": str(BINARY.parent.parent / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(tmp_path / "celery.log", "wb") as log:
            worker = subprocess.Popen(
                [PYTHON, "-m", "celery", "-A", "onebox.celery_engine:app", "worker", "--pool", "solo"],
                cwd=APPS, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield url, worker.pid
        finally:
            worker.terminate()
            worker.wait(60)
            sys.stderr.write((tmp_path / "celery.log").read_text())


def test_a_request_waits_for_what_a_worker_of_celery_returns(serve, celery):
    url, pid = celery
    running = serve("celery_served:app", workers=2,
                    toml=f'[tasks]\nengine = "celery"\ncelery_broker = "{url}"\n')
    for a in range(3):
        assert running.get(f"/add/{a}/5").body.decode() == f"{a + 5} {pid}"
