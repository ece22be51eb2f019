"""Does the game pass its acceptance test on a current MySQL, with a current Python and Flask?"""
import subprocess

import pytest

from databases import MariaDb, Redis
from onebox import ROOT, Onebox
from test_nation import NATION, accept, whole

PYTHON = ROOT / "build/beyond/python/python3"
MYSQL = ROOT / "build/beyond/mysql"
MESSAGES = f"--lc-messages-dir={MYSQL / 'root/usr/share/mysql'}"


class MySql(MariaDb):
    """The same server in another make: only how it is installed and started differs."""

    name = "mysql"

    def install(self):
        if not (self.folder / "data").exists():
            subprocess.run([MYSQL / "mysqld", "--no-defaults", *self.options, MESSAGES,
                            "--initialize-insecure"], check=True, stderr=subprocess.DEVNULL)

    def command(self):
        return [MYSQL / "mysqld", "--no-defaults", *self.options, f"--port={self.port}",
                "--bind-address=127.0.0.1", "--socket=mysql.sock", "--mysqlx=OFF",
                "--secure-file-priv=NULL", MESSAGES, "--disable-log-bin"]

    def client(self, name, *arguments):
        name, *more = super().client(name, *arguments)
        return [MYSQL / {"mariadb": "mysql", "mariadb-admin": "mysqladmin"}[name], *more]


@pytest.fixture(scope="module")
def mysql_and_redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    with MySql(folder) as database, Redis(folder) as cache:
        environment = {"NATION_RUN": str(folder), **database.environment, **cache.environment}
        subprocess.run([PYTHON, NATION / "make_static.py"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([PYTHON, NATION / "seed_data.py", "--users", "1000", "--reset", "--indexes"],
                       env=whole(environment), check=True, stdout=subprocess.DEVNULL)
        yield environment


def test_the_game_on_a_current_mysql_and_python(mysql_and_redis, tmp_path):
    with Onebox(tmp_path, arguments=["--config", NATION / "onebox.toml"], chdir=None, workers=2,
                environment=mysql_and_redis, python=PYTHON) as running:
        accept(running.url)
