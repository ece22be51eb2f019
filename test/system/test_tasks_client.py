"""Do tasks and jobs do in Python what they say, also where the broker is slow, dies or comes back?

The tests are those of test/tasks, with a broker in Python that fails where it is told to; what the real one
does is asked in test_tasks.py and test_jobs.py."""
import pytest

from onebox import PYTHON, ROOT
from test_cache_faces import run

FOLDER = ROOT / "test/tasks"
NAMES = sorted(path.stem for path in FOLDER.glob("test_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_with_a_broker_that_fails(name):
    run(PYTHON, name, FOLDER)
