"""Flask: a page, a form, a file, a stream."""
import io
from wsgiref.validate import validator

from flask import Flask, Response, jsonify, request, send_file

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello from Flask"


@app.post("/form")
def form():
    upload = request.files.get("file")
    return jsonify(name=request.form["name"], size=len(upload.read()) if upload else 0)


@app.get("/file")
def file():
    return send_file(io.BytesIO(b"x" * 100_000), mimetype="application/octet-stream")


@app.get("/stream")
def stream():
    return Response((f"{number}\n" for number in range(1000)), mimetype="text/plain")


validated = validator(app)
