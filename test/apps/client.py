"""Says who its client is, takes its time if it is told to, and answers with as many bytes as are asked for."""
import json
import os
import time
from pathlib import Path

FOLDER = Path(os.environ.get("HOLD", "."))


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if "/hold/" in path:
        while not (FOLDER / (path.rpartition("/")[2] + ".go")).exists():
            time.sleep(0.002)
    if path.startswith("/bytes/"):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (b"x" * 10_000 for _ in range(int(path.rpartition("/")[2]) // 10_000))
    body = environ["wsgi.input"].read().decode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "id=s3cret")])
    return [json.dumps({"address": environ.get("REMOTE_ADDR"), "port": environ.get("REMOTE_PORT"),
                        "scheme": environ["wsgi.url_scheme"], "body": body}).encode()]
