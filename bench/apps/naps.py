"""An app that waits for others: 10 ms a request, as a query or a call to another service takes."""
import time


def app(environ, start_response):
    if environ["PATH_INFO"] == "/nap":
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"nap"]
