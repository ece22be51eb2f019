"""An app with APScheduler's API on the box's own jobs. HOLD: runs say there what they are."""
import os
from pathlib import Path

from flask import Flask, current_app, request

from onebox import current
from onebox.apscheduler import EVENT_JOB_EXECUTED, BackgroundScheduler

hold = Path(os.environ["HOLD"])
app = Flask(__name__)
scheduler = BackgroundScheduler(timezone="UTC")
strange = object()  # what no message could carry


def say(name, text):
    with open(hold / name, "a") as file:
        file.write(f"{text}\n")


def second(given):
    assert given is strange and current_app.name == "box_scheduled"
    say("seconds", f"{os.getpid()} {current().firing:.0f}")


def later(word):
    say("later", f"{os.getpid()} {word}")


def broken():
    raise RuntimeError("this job is broken")


scheduler.add_job(second, "interval", [strange], seconds=1, id="second")
scheduler.add_job(broken, "cron", second="*", id="broken")
scheduler.add_listener(lambda event: say("heard", f"{os.getpid()} {event.job_id}"), EVENT_JOB_EXECUTED)
scheduler.start()


@app.get("/pid")
def pid():
    return str(os.getpid())


@app.get("/later/<word>")
def add(word):
    run_date = request.args.get("at")
    return scheduler.add_job(later, "date" if run_date else None, [word], id=word, **(
        {"run_date": run_date} if run_date else {})).id


@app.get("/remove/<word>")
def remove(word):
    scheduler.remove_job(word)
    return "removed"


@app.get("/pause/<name>")
def pause(name):
    scheduler.pause_job(name)
    return "paused"


@app.get("/resume/<name>")
def resume(name):
    scheduler.resume_job(name)
    return "resumed"


@app.get("/next/<name>")
def next_run(name):
    return str(scheduler.get_job(name).next_run_time)
