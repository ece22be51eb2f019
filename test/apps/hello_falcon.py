"""Falcon: a page, a form, a file, a stream."""
import io
from wsgiref.validate import validator

import falcon


class Hello:
    def on_get(self, request, response):
        response.content_type, response.text = "text/plain", "Hello from Falcon"


class Form:
    def on_post(self, request, response):
        found = {"name": "", "size": 0}
        if request.content_type.startswith("multipart/"):
            for part in request.get_media():
                if part.name == "file":
                    found["size"] = len(part.stream.read())
                else:
                    found[part.name] = part.text
        else:
            found["name"] = request.get_media()["name"]
        response.media = found


class File:
    def on_get(self, request, response):
        response.content_type = "application/octet-stream"
        response.stream = io.BytesIO(b"x" * 100_000)


class Stream:
    def on_get(self, request, response):
        response.content_type = "text/plain"
        response.stream = (b"%d\n" % number for number in range(1000))


app = falcon.App()
for route, resource in (("/", Hello()), ("/form", Form()), ("/file", File()), ("/stream", Stream())):
    app.add_route(route, resource)
validated = validator(app)
