"""An app that says which version of itself it is, and does at its import what the test asks for.

In the folder HOLD: `version` is what it answers, `import` holds statements for the import; every
import leaves a file.
"""
import os
import threading
import time
from pathlib import Path

HOLD = Path(os.environ["HOLD"])
(HOLD / f"imported.{os.getpid()}.{time.monotonic_ns()}").touch()
VERSION = (HOLD / "version").read_text().strip()


def wait_for(name):
    while not (HOLD / name).exists():
        time.sleep(0.005)


exec((HOLD / "import").read_text() if (HOLD / "import").exists() else "")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/hold/"):
        name = path.removeprefix("/hold/")
        (HOLD / f"{name}.begun").touch()
        wait_for(f"{name}.go")
    status = "500 Unwell" if path == "/health" and VERSION == "unwell" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    return [f"{VERSION} {os.getpid()} {threading.get_ident()}".encode()]
