"""An app that is slow where it is told to be: at its import, and in /sleep/SECONDS."""
import os
import time

time.sleep(float(os.environ.get("SLOW_IMPORT", "0")))


def app(environ, start_response):
    _, path, *seconds = environ["PATH_INFO"].split("/")
    if path == "sleep":
        time.sleep(float(seconds[0]))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
