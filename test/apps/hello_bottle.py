"""Bottle: a page, a form, a file, a stream."""
from wsgiref.validate import validator

from bottle import Bottle, request, response

app = Bottle()


@app.get("/")
def hello():
    return "Hello from Bottle"


@app.post("/form")
def form():
    upload = request.files.get("file")
    return {"name": request.forms["name"], "size": len(upload.file.read()) if upload else 0}


@app.get("/file")
def file():
    response.content_type = "application/octet-stream"
    return b"x" * 100_000


@app.get("/stream")
def stream():
    response.content_type = "text/plain"
    return (f"{number}\n" for number in range(1000))


validated = validator(app)
