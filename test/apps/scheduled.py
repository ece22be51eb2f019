"""An app that starts APScheduler when it is imported, as if it were alone. HOLD: its job says there that it
has run."""
import os
import threading
import time
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

app = Flask(__name__)
hold = Path(os.environ["HOLD"])
ran = hold / "ran"


def note():
    with open(ran, "a") as file:
        file.write(f"{os.getpid()}\n")


scheduler = BackgroundScheduler()
scheduler.add_job(note, "interval", seconds=0.05)
scheduler.start()


@app.get("/threads")
def threads():
    """Of this worker, when another one is asked too."""
    (hold / f"asked-{os.getpid()}").touch()
    while len(list(hold.glob("asked-*"))) < 2:
        time.sleep(0.01)
    return " ".join(thread.name for thread in threading.enumerate())


@app.get("/add")
def add():
    scheduler.add_job(note)
    return "added"


@app.get("/ran")
def has_run():
    return str(ran.exists())
