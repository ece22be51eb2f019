"""Answers what it is told to: which run this is, and what it was asked with. X-Say holds the answer's
fields, "Name: value | Name: value"; X-Hold a file that it waits for; X-Body the body instead."""
import itertools
import os
import time

runs = itertools.count(1)


def app(environ, start_response):
    run = next(runs)
    hold = environ.get("HTTP_X_HOLD")
    if hold:
        open(f"{hold}.begun{run}", "w").close()
        while not os.path.exists(hold):
            time.sleep(0.005)
    fields = [tuple(part.split(": ", 1)) for part in environ.get("HTTP_X_SAY", "").split(" | ") if part]
    tags = [value for name, value in fields if name == "ETag"]
    if tags and environ.get("HTTP_IF_NONE_MATCH") == tags[0]:
        start_response("304 Not Modified", fields)
        return [b""]
    failing = os.environ.get("HOLD") and os.path.exists(os.environ["HOLD"] + "/fails")
    status = "500 Failed" if failing else environ.get("HTTP_X_STATUS", "200 OK")
    start_response(status, [("Content-Type", "text/plain"), *fields])
    said = environ.get("HTTP_X_BODY")
    if said:
        return [said.encode() * int(environ.get("HTTP_X_TIMES", "1"))]
    seen = [environ.get(f"HTTP_{name}", "") for name in ("COOKIE", "ACCEPT_LANGUAGE", "AUTHORIZATION")]
    body = f"run {run} query {environ['QUERY_STRING']} " + " ".join(seen)
    if "HTTP_X_PARTS" in environ:
        return iter([body.encode(), b" and", b" more"])
    return [body.encode()]
