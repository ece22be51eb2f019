"""An app whose requests wait for tasks that run wherever its settings say."""
import os

from flask import Flask

from onebox import task

app = Flask(__name__)


@task
def add(a, b):
    return a + b, os.getpid()


@app.get("/add/<int:a>/<int:b>")
def ask(a, b):
    total, pid = add.delay(a, b).get(timeout=60)
    return f"{total} {pid}"
