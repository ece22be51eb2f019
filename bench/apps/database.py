"""One query a request, of a database that runs four at a time, in the order in which they come. While
the file SLOW is there each takes ten times as long."""
import os
import threading
import time

AT_ONCE = 4
SECONDS = 0.005
SLOW = os.environ["SLOW"]
free = threading.Semaphore(AT_ONCE)


def app(environ, start_response):
    with free:
        time.sleep(SECONDS * (10 if os.path.exists(SLOW) else 1))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
