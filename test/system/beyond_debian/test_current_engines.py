"""Do the faces of jobs and tasks work with libraries that are newer than Debian 12's, or not there at all?"""
import pytest

from test_cache_faces import run
from test_engines import ENGINES, ROOT, SECONDS

pytestmark = pytest.mark.timeout(SECONDS + 20)

CURRENT = ENGINES / "current"
NAMES = sorted(path.stem for path in ENGINES.glob("test_apscheduler*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_with_current_libraries(name):
    run(ROOT / "build/beyond/python/python3", name, ENGINES, preloaded=False, seconds=SECONDS)


@pytest.mark.parametrize("name", sorted(path.stem for path in CURRENT.glob("test_*.py")))
def test_what_only_current_libraries_have(name):
    run(ROOT / "build/beyond/python/python3", name, CURRENT, preloaded=False, seconds=SECONDS)
