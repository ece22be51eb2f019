"""$JOBS jobs that do nothing: each minute, at a moment of its own; with JOBS_FAR=yes once a year."""
import os

from onebox import job

WHEN = {"cron": "0 0 1 1 *"} if os.environ.get("JOBS_FAR") else {"every": 60, "jitter": 60}


def nothing():
    pass


for number in range(int(os.environ["JOBS"])):
    job(name=f"job {number}", **WHEN)(nothing)


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
