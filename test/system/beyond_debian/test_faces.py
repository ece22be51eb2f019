"""Do the cache's faces work with libraries that are newer than Debian 12's?"""
import pytest

from test_cache_faces import NAMES, ROOT, run


@pytest.mark.parametrize("name", NAMES)
def test_with_current_libraries(name):
    run(ROOT / "build/beyond/python/python3", name)
