"""Does onebox.outbox write into the app's own transaction, with each driver and framework of Debian's?"""
import os
import subprocess

from databases import MariaDb
from onebox import PYTHON, ROOT


def test_with_what_debian_has(tmp_path):
    with MariaDb(tmp_path) as database:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1",
                       "DB_PORT": str(database.port), "DB_USER": "nation", "DB_PASSWORD": "nation",
                       "DB_NAME": "nation"}
        result = subprocess.run([PYTHON, "-m", "unittest", "test_enqueue"], cwd=ROOT / "test/outbox",
                                env=environment, text=True, timeout=110, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0, result.stdout
        assert "Ran 0 tests" not in result.stdout


def test_the_table_is_the_one_that_the_manual_shows():
    source = (ROOT / "python/onebox/outbox.py").read_text()
    table = source.split('CREATE_TABLE = """\\\n')[1].split('"""')[0]
    assert f"{table};\n" in (ROOT / "docs/use/outbox.md").read_text()
