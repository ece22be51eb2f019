"""Requests that are held until the test lets them go, and a database that can be made slow."""
import os
import threading
import time
from pathlib import Path

FOLDER = Path(os.environ.get("HOLD", "."))
TEXT = [("Content-Type", "text/plain")]
begun = []  # the paths, in the order in which they began
CONNECTIONS = threading.Semaphore(2)  # of the database


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/begun":
        start_response("200 OK", TEXT)
        return [" ".join(begun).encode()]
    begun.append(path)
    if path == "/dies":
        os._exit(7)
    if "/hold/" in path:
        name = path.rpartition("/")[2]
        while not (FOLDER / f"{name}.go").exists():
            time.sleep(0.002)
    if path == "/database":
        with CONNECTIONS:
            time.sleep(0.1 if (FOLDER / "slow").exists() else 0.01)
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", TEXT)
    return [f"{path} {length}".encode()]
