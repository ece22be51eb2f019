"""Do jobs and tasks have the faces of the libraries that apps use for them?

The tests are those of test/engines."""
import pytest

from onebox import PYTHON, ROOT
from test_cache_faces import run

ENGINES = ROOT / "test/engines"
NAMES = sorted(path.stem for path in ENGINES.glob("test_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_with_what_debian_has(name):
    run(PYTHON, name, ENGINES)
