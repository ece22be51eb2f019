"""Do the libraries that apps use find in Onebox's cache what they find in their own places?

The tests are those of test/faces: they have the cache in their own process, and in forks of it."""
import os
import subprocess

import pytest

from onebox import BINARY, PYTHON, ROOT, worker_sanitizers

FACES = ROOT / "test/faces"
NAMES = sorted(path.stem for path in FACES.glob("test_*.py"))


def run(python, name):
    """All tests of a file, by that Python, which needs no pytest."""
    environment = {**os.environ, "PYTHONPATH": str(BINARY.parent.parent / "python"),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    for pair in filter(None, worker_sanitizers().get("ONEBOX_APP_ENV", "").split(",")):
        variable, _, value = pair.partition("=")
        environment[variable] = value
    result = subprocess.run([python, "-W", "ignore::DeprecationWarning", "-m", "unittest", name],
                            cwd=FACES, env=environment, text=True, timeout=110,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout
    assert "Ran 0 tests" not in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_with_what_debian_has(name):
    run(PYTHON, name)
