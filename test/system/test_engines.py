"""Do jobs and tasks have the faces of the libraries that apps use for them?

The tests are those of test/engines: nothing of ours that is compiled takes part."""
import pytest

from onebox import PYTHON, ROOT
from test_cache_faces import run

ENGINES = ROOT / "test/engines"
NAMES = sorted(path.stem for path in ENGINES.glob("test_*.py"))

SECONDS = 300  # that a file may take: Celery's has workers that start and end

pytestmark = [pytest.mark.once, pytest.mark.timeout(SECONDS + 20)]


@pytest.mark.parametrize("name", NAMES)
def test_with_what_debian_has(name):
    run(PYTHON, name, ENGINES, preloaded=False, seconds=SECONDS)
